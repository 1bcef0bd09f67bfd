//! Puts a backup in the place of a log.
//!
//! ```text
//! lock the log ─► copy the backup next to it ─► check, new epoch, flush ─► keep the old log under another name
//!        ─► move its newest commits into its file ─► remove the files next to it ─► give the copy its name
//! ```
//!
//! The backup takes the log's name in the last step: a restoration that is interrupted, also by a power cut, leaves the
//! old log, whole. If the old log is damaged, its newest commits are not moved: they stay next to its other name, and
//! an interruption between the last two steps leaves it without them. Positions that pads have seen since the backup will be used
//! again; because of the new epoch, pads and push-svc begin again with a fresh snapshot.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, fchown},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, config::DbConfig};
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::{
    backup::{Contents, check_integrity, contents, partial, sync_directory},
    connection::connect,
    error::FileError,
    file::{LogFile, next_to, write_through},
    schema,
};

/// What happens to a log that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is restored.
    Refused,
    /// It is kept next to the restored one, under another name.
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
    #[error("the log {}", path.display())]
    Log {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// A log is not overwritten unless the user asks for it.
    #[error("the log {}: there is one already; --replace keeps it under another name", .0.display())]
    Exists(PathBuf),
    /// The backup cannot be used.
    #[error("the backup {}", path.display())]
    Backup {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// Its newest records are in another file.
    #[error(
        "the backup {}: {} is next to it: it is a log that is in use, or was left by a crash; make a backup of it first",
        path.display(),
        other.display()
    )]
    InUse {
        /// Which file.
        path: PathBuf,
        /// The file with its newest records.
        other: PathBuf,
    },
    /// SQLite's integrity check has found a fault.
    #[error("the backup {}: it is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found first.
        why: String,
    },
    /// A file cannot be written.
    #[error("{}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It failed when the log that was there had its second name already.
    #[error("the backup was not put in place, and the log that was there is kept as {}", kept.display())]
    Kept {
        /// That name.
        kept: PathBuf,
        /// What failed.
        source: Box<RestoreError>,
    },
}

/// Makes the log `log` of the backup `backup`, with an epoch of its own. Blocks for as long as it takes.
///
/// # Errors
/// The reason why nothing was restored.
pub fn restore(backup: &Path, log: &Path, existing: Existing) -> Result<Restored, RestoreError> {
    refuse_if_in_use(backup)?;
    let source = File::open(backup)
        .map_err(|error| RestoreError::Backup { path: backup.to_owned(), source: FileError::File(error) })?;
    let at_log = |source| RestoreError::Log { path: log.to_owned(), source };
    let mut made = vec![log.to_owned(), lock_file(log)];
    made.retain(|file| fs::symlink_metadata(file).is_err());
    let held = LogFile::hold(log).map_err(at_log)?;
    let place = Place { log: held.path() };
    let restored = match place.is_taken() {
        Err(error) => Err(at_log(FileError::File(error))),
        Ok(true) if existing == Existing::Refused => Err(RestoreError::Exists(log.to_owned())),
        Ok(there) => place.fill(backup, source, there),
    };
    if restored.is_err() {
        for file in made {
            // An empty file that belongs to this user would prevent ingest-svc from starting as its own user.
            if let Err(error) = fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "an empty file was left");
            }
        }
    }
    restored
}

/// Refuses a backup with newer records in a file next to it.
fn refuse_if_in_use(backup: &Path) -> Result<(), RestoreError> {
    for suffix in ["-wal", "-journal"] {
        let other = next_to(backup, suffix);
        if fs::metadata(&other).is_ok_and(|found| found.len() > 0) {
            return Err(RestoreError::InUse { path: backup.to_owned(), other });
        }
    }
    Ok(())
}

/// Checks the copy of a backup, and gives it a new epoch.
fn renew(backup: &Path, copy: &Path) -> Result<Contents, RestoreError> {
    let unfit = |source| RestoreError::Backup { path: backup.to_owned(), source };
    let sql = |error: rusqlite::Error| unfit(error.into());
    let connection = connect(copy).map_err(sql)?;
    // A log that was moved to PostgreSQL, and is used again.
    schema::forget_move(&connection).map_err(unfit)?;
    schema::check_version(&connection).map_err(unfit)?;
    let sound = check_integrity(&connection).map_err(sql)?;
    sound.map_err(|why| RestoreError::Damaged { path: backup.to_owned(), why })?;
    start_new_history(&connection).map_err(sql)?;
    let contents = contents(&connection).map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))?;
    Ok(contents)
}

/// Makes the copy a single file with a history of its own.
fn start_new_history(connection: &Connection) -> rusqlite::Result<()> {
    // A copy made by another program may need a write-ahead log next to it; ingest-svc makes its own.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.execute("UPDATE meta SET epoch = ?1", [Uuid::new_v4().as_bytes()])?;
    // The name of the file that was backed up.
    if connection.table_exists(None, "file")? {
        connection.execute("DELETE FROM file", [])?;
    }
    Ok(())
}

/// Where the log belongs. It is held.
pub(super) struct Place<'a> {
    pub(super) log: &'a Path,
}

impl Place<'_> {
    /// Whether there is anything that would be lost. Locking it has made an empty file, if there was none.
    fn is_taken(&self) -> io::Result<bool> {
        let length = |path: &Path| match fs::metadata(path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        Ok(length(self.log)? > 0 || length(&next_to(self.log, "-wal"))? > 0)
    }

    /// Puts the backup here; `there`: in the place of a log.
    fn fill(&self, backup: &Path, source: File, there: bool) -> Result<Restored, RestoreError> {
        let copy = self.copy(source)?;
        let contents = renew(backup, copy.path())?;
        copy.as_file().sync_all().map_err(at(copy.path()))?;
        let lock = lock_file(self.log);
        File::open(&lock).and_then(|file| self.give_to_owner(&file)).map_err(at(&lock))?;
        if !there {
            self.replace(copy)?;
            return Ok(Restored { contents, kept: None });
        }
        let kept = self.keep()?;
        self.settle();
        match self.replace(copy) {
            Ok(()) => Ok(Restored { contents, kept: Some(kept) }),
            Err(error) => Err(RestoreError::Kept { kept, source: Box::new(error) }),
        }
    }

    /// Gives the copy the log's name.
    fn replace(&self, copy: NamedTempFile) -> Result<(), RestoreError> {
        self.clear()?;
        copy.persist(self.log).map_err(|failed| at(self.log)(failed.error))?;
        sync_directory(self.log).map_err(at(self.log))
    }

    /// Moves the newest commits of the old log into its file, so that it is complete without the files next to it. If it is
    /// damaged, nothing is moved: what can be saved is in the files next to its other name.
    pub(super) fn settle(&self) {
        let settled = connect(self.log).and_then(|connection| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            if check_integrity(&connection)?.is_ok() {
                write_through(&connection)?;
            }
            Ok(())
        });
        if let Err(error) = settled {
            tracing::info!(%error, "the log that was there cannot be read; it is kept as it is");
        }
    }

    /// Copies the backup next to the log; only the log's owner may read it.
    fn copy(&self, mut backup: File) -> Result<NamedTempFile, RestoreError> {
        let mut copy = partial(self.log).map_err(at(self.log))?;
        let copied = io::copy(&mut backup, &mut copy).and_then(|_| self.give_to_owner(copy.as_file()));
        copied.map_err(at(copy.path()))?;
        Ok(copy)
    }

    /// The user who restores, often root, may be another one than ingest-svc runs as. The new log gets the owner of the old one.
    fn give_to_owner(&self, copy: &File) -> io::Result<()> {
        let (own, log) = (copy.metadata()?, fs::metadata(self.log)?);
        // A file that was made just now belongs to the user who restores; then the owner of the directory counts.
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

    /// Gives a second name to the old log, and to what a crash has left next to it. Both are kept as they are: SQLite might ignore
    /// the files next to a damaged log.
    pub(super) fn keep(&self) -> Result<PathBuf, RestoreError> {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        let kept = next_to(self.log, format!(".replaced-{now}"));
        for suffix in ["-wal", ""] {
            match fs::hard_link(next_to(self.log, suffix), next_to(&kept, suffix)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(at(&kept)(error)),
            }
        }
        sync_directory(&kept).map_err(at(&kept))?;
        Ok(kept)
    }

    /// Removes the files that SQLite would take for the newest records of the restored log.
    pub(super) fn clear(&self) -> Result<(), RestoreError> {
        for suffix in ["-wal", "-shm", "-journal"] {
            let other = next_to(self.log, OsStr::new(suffix));
            match fs::remove_file(&other) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(at(&other)(error)),
            }
        }
        sync_directory(self.log).map_err(at(self.log))
    }
}

/// The file next to the log that [`LogFile::hold`] locks.
fn lock_file(log: &Path) -> PathBuf {
    next_to(log, ".lock")
}

fn at(path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::File { path: path.clone(), source }
}
