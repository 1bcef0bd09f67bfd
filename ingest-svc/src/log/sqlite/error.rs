//! Errors of the database as the log's.

use std::path::PathBuf;

use super::super::error::LogError;

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::unavailable(error)
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two writers would give out the same positions.
    #[error("another ingest-svc has this file locked; stop that process first")]
    Held,
    /// The file, or the one that former versions lock, cannot be locked.
    #[error("cannot lock it: {0}")]
    Lock(#[source] std::io::Error),
    /// The file cannot be made, or not be written.
    #[error("{0}")]
    File(#[source] std::io::Error),
    /// It was renamed after a crash, without the file that has its newest records.
    #[error("its newest records are in {wal}: the file was renamed without its -wal file. Rename {wal} to {expected}", wal = wal.display(), expected = expected.display())]
    Renamed {
        /// Where the newest records are.
        wal: PathBuf,
        /// Where they would be found.
        expected: PathBuf,
    },
    /// Another application's database, or an empty one.
    #[error("it is a database, but not a log of RingPad")]
    NoLog,
    /// Written by another version.
    #[error("its schema version is {found}; this ingest-svc supports up to {known}. Use a newer ingest-svc")]
    Version {
        /// The file's.
        found: i64,
        /// The newest one that this code knows.
        known: i64,
    },
    /// The database file.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// The writer's thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}
