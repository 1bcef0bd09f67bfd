//! Errors of the database as the log's.

use std::path::PathBuf;

use super::{super::error::LogError, schema::Moved};

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::unavailable(error)
    }
}

impl From<FileError> for LogError {
    fn from(error: FileError) -> Self {
        Self::unavailable(error)
    }
}

impl From<Moved> for FileError {
    fn from(Moved { to, at }: Moved) -> Self {
        Self::Moved { to, at }
    }
}

/// What is wrong with the log's file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Two writers would give out the same positions.
    #[error("another ingest-svc has this file locked; stop that process first")]
    Held,
    /// The file, or the one that former versions lock, cannot be locked.
    #[error("cannot lock it")]
    Lock(#[source] std::io::Error),
    /// The file cannot be made, or not be written.
    #[error(transparent)]
    File(std::io::Error),
    /// It was renamed after a crash, without the file that has its newest records.
    #[error("its newest records are in {wal}: the file was renamed without its -wal file. Rename {wal} to {expected}", wal = wal.display(), expected = expected.display())]
    Renamed {
        /// Where the newest records are.
        wal: PathBuf,
        /// Where they would be found.
        expected: PathBuf,
    },
    /// `ringpad log copy` has moved it; both would give out the same positions.
    #[error(
        "it was moved to the database {to} on {at:.0}, which has all newer calls. To go back to this file all the same, rename it and make a log of it with `ringpad restore`"
    )]
    Moved {
        /// The database and its servers.
        to: String,
        /// When.
        at: jiff::Timestamp,
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
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// Its name does not lead to it any more.
    #[error(
        "its file was renamed, replaced or removed while in use: give it back its name, or start ingest-svc again"
    )]
    Replaced,
    /// The file system has no room for another record.
    #[error("its disk is full: {left_kib} KiB are left, and {needed_kib} KiB at least are needed")]
    Full {
        /// What is left.
        left_kib: u64,
        /// What the largest record needs.
        needed_kib: u64,
    },
}
