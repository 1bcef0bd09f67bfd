//! A consistent copy of a log, made while it is in use.
//!
//! ```text
//! log ─► VACUUM INTO a temporary file next to the target ─► flush ─► integrity check ─► the target's name
//! ```
//!
//! `VACUUM INTO` reads all of it in one read transaction, so it does not wait for the writer, and does not begin
//! again at each commit, as SQLite's backup API does when another process writes. It has what was committed before it began. Until it
//! is done, the write-ahead log is not shortened. An interrupted backup leaves no file under the target's name.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use ringpad_runtime::CancellationToken;
use rusqlite::Connection;
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use super::{
    connection::{PAGE, connect_read_only},
    error::FileError,
    file, schema,
};

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Of its file.
    pub bytes: u64,
    /// All calls, also calls without a store.
    pub calls: u64,
    /// Without those that were removed.
    pub stores: u64,
    /// `None`: there is no event.
    pub newest: Option<NewestEvent>,
}

/// The newest event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEvent {
    /// Counts the events of all stores, in the order of their commits.
    pub number: u64,
    /// When it was committed.
    pub created: jiff::Timestamp,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to back up, or it cannot be read.
    #[error("the log {}", path.display())]
    Log {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// Its newest records would be missing.
    #[error("the log {}: it is open as {}: back it up by that name", path.display(), name.display())]
    OtherName {
        /// By which it was to be backed up.
        path: PathBuf,
        /// By which it is open.
        name: PathBuf,
    },
    /// A backup overwrites nothing.
    #[error("{}: there is such a file already; name another one, or remove it", .0.display())]
    Exists(PathBuf),
    /// The copy cannot be written.
    #[error("{}", path.display())]
    Target {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The log cannot be copied, or not be copied whole.
    #[error("cannot copy the log")]
    Copy(#[from] rusqlite::Error),
    /// What SQLite's integrity check says of the copy.
    #[error("the copy is damaged, and was removed: {0}")]
    Damaged(String),
    /// The user has interrupted it.
    #[error("interrupted; no backup was made")]
    Interrupted,
    /// A defect of this code.
    #[error("the copying thread panicked")]
    Panicked,
}

/// Copies the log `log` to the new file `target`, for its owner's eyes alone, and says what the copy holds.
///
/// # Errors
/// The reason why there is no backup. The file `target` is as it was before.
pub async fn back_up(
    log: PathBuf,
    target: PathBuf,
    shutdown: &CancellationToken,
) -> Result<Contents, BackupError> {
    let prepared = spawn_blocking(move || Backup::prepare(&log, target)).await;
    let backup = prepared.map_err(|_| BackupError::Panicked)??;
    let copying = backup.log.get_interrupt_handle();
    let stopped = shutdown.clone();
    let mut work = spawn_blocking(move || backup.run(&stopped));
    let done = tokio::select! {
        done = &mut work => done,
        () = shutdown.cancelled() => {
            copying.interrupt();
            work.await
        }
    };
    done.map_err(|_| BackupError::Panicked)?
}

/// A backup that can begin: the log can be read, and the target does not exist.
struct Backup {
    log: Connection,
    /// It is written in the target's directory, and removed when dropped.
    copy: NamedTempFile,
    target: PathBuf,
}

impl Backup {
    fn prepare(log: &Path, target: PathBuf) -> Result<Self, BackupError> {
        let connection = open(log)?;
        let at_target = |source| BackupError::Target { path: target.clone(), source };
        // A file that exists now is reported at once; one that is made while copying, at the end.
        match fs::symlink_metadata(&target) {
            Ok(_) => return Err(BackupError::Exists(target)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(at_target(error)),
        }
        let copy = partial(&target).map_err(at_target)?;
        Ok(Self { log: connection, copy, target })
    }

    fn run(self, shutdown: &CancellationToken) -> Result<Contents, BackupError> {
        let interrupted = || if shutdown.is_cancelled() { Err(BackupError::Interrupted) } else { Ok(()) };
        let at_target = |source| BackupError::Target { path: self.target.clone(), source };
        let Some(name) = self.copy.path().to_str() else {
            return Err(at_target(io::Error::new(ErrorKind::InvalidInput, "a name in UTF-8 is expected")));
        };
        // Of the copy.
        self.log.pragma_update(None, "page_size", PAGE)?;
        let copied = self.log.execute("VACUUM INTO ?1", [name]);
        interrupted()?;
        copied?;
        self.copy.as_file().sync_all().map_err(at_target)?;
        let copy = connect_read_only(self.copy.path())?;
        check_integrity(&copy)?.map_err(BackupError::Damaged)?;
        let contents = contents(&copy)?;
        drop(copy);
        interrupted()?;
        self.copy.persist_noclobber(&self.target).map_err(|failed| match failed.error.kind() {
            ErrorKind::AlreadyExists => BackupError::Exists(self.target.clone()),
            _ => BackupError::Target { path: self.target.clone(), source: failed.error },
        })?;
        sync_directory(&self.target).map_err(|source| BackupError::Target { path: self.target, source })?;
        Ok(contents)
    }
}

/// Opens a log that others may have open, to read it.
fn open(log: &Path) -> Result<Connection, BackupError> {
    let unfit = |source| BackupError::Log { path: log.to_owned(), source };
    let path = fs::canonicalize(log).map_err(|error| unfit(FileError::File(error)))?;
    let connection = connect_read_only(&path).map_err(|error| unfit(error.into()))?;
    schema::check_version(&connection).map_err(unfit)?;
    match file::open_elsewhere(&connection, &path).map_err(unfit)? {
        Some(name) => Err(BackupError::OtherName { path: log.to_owned(), name }),
        None => Ok(connection),
    }
}

/// A temporary file next to `target`, which is to become it. Only its owner may read it: it holds callers' numbers.
pub(super) fn partial(target: &Path) -> io::Result<NamedTempFile> {
    let name = target.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "no file's name"))?;
    let mut prefix = name.to_owned();
    prefix.push(".");
    tempfile::Builder::new().prefix(&prefix).suffix(".partial").tempfile_in(directory(target))
}

/// Makes a new name in the directory of `path` survive a power cut.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The first fault that SQLite finds in the file, if there is one.
pub(super) fn check_integrity(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    let result: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok(if result == "ok" { Ok(()) } else { Err(result) })
}

/// What is in the log.
pub(super) fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let count = |of: &str| connection.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0));
    let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let newest = "SELECT max(key), created FROM events";
    let newest = connection.query_row(newest, [], |row| {
        let (number, created): (Option<u64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let created = created.and_then(|created| jiff::Timestamp::from_millisecond(created).ok());
        Ok(number.zip(created).map(|(number, created)| NewestEvent { number, created }))
    })?;
    Ok(Contents {
        bytes: connection.query_row(bytes, [], |row| row.get(0))?,
        calls: count("calls")?,
        stores: count("stores WHERE deleted = 0")?,
        newest,
    })
}
