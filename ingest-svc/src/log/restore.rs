//! Puts a backup in the place of a log.
//!
//! ```text
//! lock the log ─► copy the backup beside it ─► check, new epoch, flush ─► keep the old log under another name
//!                                                    ─► remove what lay beside it ─► give the copy its name
//! ```
//!
//! The backup takes the log's name in the last step: a restoration that is interrupted, also by a power cut, leaves the
//! old log. What positions the pads have seen since the backup will be given out again; the new epoch tells them, and
//! push-svc, to begin anew with a fresh snapshot.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, fchown},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::{
    OpenError,
    backup::{Contents, check_integrity, contents, partial, sync_directory},
    file::{LogFile, beside},
    schema,
};

/// What is to become of a log that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is restored.
    Refused,
    /// It is kept beside the restored one, under a name that says so.
    Kept,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the log holds now.
    pub contents: Contents,
    /// Where the log is that was there before.
    pub kept: Option<PathBuf>,
}

/// Why nothing was restored. The log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is in use, or cannot be used.
    #[error("the log {}: {why}", path.display())]
    Log {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: OpenError,
    },
    /// Nothing is overwritten without being asked for.
    #[error("the log {}: there is one already; --replace keeps it under another name", .0.display())]
    Exists(PathBuf),
    /// The backup cannot be used.
    #[error("the backup {}: {why}", path.display())]
    Backup {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: OpenError,
    },
    /// It is not all there is.
    #[error(
        "the backup {}: {} lies beside it: it is a log that is in use, or was left by a crash; make a backup of it first",
        path.display(),
        other.display()
    )]
    InUse {
        /// Which file.
        path: PathBuf,
        /// The file with its newest records.
        other: PathBuf,
    },
    /// What SQLite's integrity check says of it.
    #[error("the backup {}: it is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found first.
        why: String,
    },
    /// A file cannot be written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

/// Makes the log `log` of the backup `backup`, with an epoch of its own. Blocks for as long as it takes.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore(backup: &Path, log: &Path, existing: Existing) -> Result<Restored, RestoreError> {
    refuse_if_in_use(backup)?;
    let source = File::open(backup)
        .map_err(|error| RestoreError::Backup { path: backup.to_owned(), why: OpenError::File(error) })?;
    let at_log = |why| RestoreError::Log { path: log.to_owned(), why };
    let held = LogFile::hold(log).map_err(at_log)?;
    let place = Place { log: held.path() };
    let there = place.is_taken().map_err(|error| at_log(OpenError::File(error)))?;
    if there && existing == Existing::Refused {
        return Err(RestoreError::Exists(log.to_owned()));
    }
    let copy = place.copy(source)?;
    let contents = renew(backup, copy.path())?;
    copy.as_file().sync_all().map_err(at(copy.path()))?;
    let kept = if there { Some(place.keep()?) } else { None };
    place.clear()?;
    copy.persist(place.log).map_err(|failed| at(place.log)(failed.error))?;
    sync_directory(place.log).map_err(at(place.log))?;
    Ok(Restored { contents, kept })
}

/// What lies beside a database file that is more than itself.
fn refuse_if_in_use(backup: &Path) -> Result<(), RestoreError> {
    for suffix in ["-wal", "-journal"] {
        let other = beside(backup, suffix);
        if fs::metadata(&other).is_ok_and(|found| found.len() > 0) {
            return Err(RestoreError::InUse { path: backup.to_owned(), other });
        }
    }
    Ok(())
}

/// Checks the copy of a backup, and gives it a new epoch.
fn renew(backup: &Path, copy: &Path) -> Result<Contents, RestoreError> {
    let unfit = |why| RestoreError::Backup { path: backup.to_owned(), why };
    let sql = |error: rusqlite::Error| unfit(error.into());
    let connection = schema::connect(copy).map_err(sql)?;
    schema::check_version(&connection).map_err(unfit)?;
    let sound = check_integrity(&connection).map_err(sql)?;
    sound.map_err(|why| RestoreError::Damaged { path: backup.to_owned(), why })?;
    begin_anew(&connection).map_err(sql)?;
    let contents = contents(&connection).map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))?;
    Ok(contents)
}

/// Makes the copy a single file with a history of its own.
fn begin_anew(connection: &Connection) -> rusqlite::Result<()> {
    // A copy made by other means may want a write-ahead log beside it; ingest-svc makes its own.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.execute("UPDATE meta SET epoch = ?1", [Uuid::new_v4().as_bytes()])?;
    // By which name another file was open.
    if connection.table_exists(None, "file")? {
        connection.execute("DELETE FROM file", [])?;
    }
    Ok(())
}

/// Where the log belongs. It is held.
struct Place<'a> {
    log: &'a Path,
}

impl Place<'_> {
    /// Whether there is anything that would be lost. Holding it has made an empty file, if there was none.
    fn is_taken(&self) -> io::Result<bool> {
        let length = |path: &Path| match fs::metadata(path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        Ok(length(self.log)? > 0 || length(&beside(self.log, "-wal"))? > 0)
    }

    /// Copies the backup beside the log, for the log's owner alone.
    fn copy(&self, mut backup: File) -> Result<NamedTempFile, RestoreError> {
        let mut copy = partial(self.log).map_err(at(self.log))?;
        let copied = io::copy(&mut backup, &mut copy).and_then(|_| self.give_to_owner(copy.as_file()));
        copied.map_err(at(copy.path()))?;
        Ok(copy)
    }

    /// Somebody else, often root, may be restoring than ingest-svc runs as: whose the log was, its successor is.
    fn give_to_owner(&self, copy: &File) -> io::Result<()> {
        let (own, log) = (copy.metadata()?, fs::metadata(self.log)?);
        // A file that was made just now is of its maker; the directory then says whose it is to be.
        let owner = if log.len() == 0 && own.uid() == 0 {
            fs::metadata(self.log.parent().unwrap_or(Path::new("/")))?
        } else {
            log
        };
        if (owner.uid(), owner.gid()) == (own.uid(), own.gid()) {
            return Ok(());
        }
        fchown(copy, Some(owner.uid()), Some(owner.gid()))
    }

    /// Gives the old log a second name, and what a crash left beside it. Both are kept as they are: SQLite might take a log
    /// that is damaged for one that needs nothing of what lies beside it.
    fn keep(&self) -> Result<PathBuf, RestoreError> {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        let kept = beside(self.log, format!(".replaced-{now}"));
        for suffix in ["-wal", ""] {
            match fs::hard_link(beside(self.log, suffix), beside(&kept, suffix)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(at(&kept)(error)),
            }
        }
        sync_directory(&kept).map_err(at(&kept))?;
        Ok(kept)
    }

    /// Removes what SQLite would take for the newest records of the file that is about to take the log's name.
    fn clear(&self) -> Result<(), RestoreError> {
        for suffix in ["-wal", "-shm", "-journal"] {
            let other = beside(self.log, OsStr::new(suffix));
            match fs::remove_file(&other) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(at(&other)(error)),
            }
        }
        sync_directory(self.log).map_err(at(self.log))
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |why| RestoreError::File { path: path.clone(), why }
}
