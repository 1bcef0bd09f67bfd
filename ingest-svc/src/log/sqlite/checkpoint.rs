//! Moves committed pages from the write-ahead log into the database file, on a thread of its own: an accept does not wait for it.
//!
//! SQLite writes the file from its beginning again once all of it has been moved and nobody reads it. Under a steady load that
//! moment does not come by itself, so the writer creates it between two commits, when almost nothing is left to be moved; see
//! [`Emptying`]. The file keeps its length then, because overwriting costs half of what it costs to make a file longer. While
//! another program reads, e.g. a backup, pages that are newer than its snapshot cannot be moved. The file grows, which a gauge and
//! a WARN line show, and shrinks when that program has ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};
use rusqlite::Connection;

use super::{
    connection::{BUSY_TIMEOUT, connect},
    error::FileError,
    file::LogFile,
};

/// How often it is reported that another program keeps the write-ahead log from being emptied.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// How often the write-ahead log is checkpointed without much load. A checkpoint's writes delay concurrent commits for
/// some milliseconds, so it is rare; each page then moves once, however often it was written.
const INTERVAL: Duration = Duration::from_secs(4);

/// Jobs after which the writer asks for a checkpoint before that: some ten thousand pages.
pub(super) const JOBS: usize = 8 * 1024;

/// How long the writer waits for readers when it empties the write-ahead log: most need less.
const READERS: Duration = Duration::from_millis(20);

/// Whether the write-ahead log is to be emptied: because much is in it, or because what was deleted is still in it.
#[derive(Debug, Default)]
pub(super) struct Emptying {
    /// What is in it now must not be left on the disk, or the file is too long: it is to be truncated.
    truncate: AtomicBool,
    /// All but a few pages have been moved, and nobody reads the file: the writer may empty it.
    possible: AtomicBool,
}

impl Emptying {
    /// Asks for the file to be emptied and truncated, as soon as that is possible.
    pub(super) fn request_truncation(&self) {
        self.truncate.store(true, Ordering::Release);
    }

    /// For the writer, between two commits: empties the file if that is possible now. If a reader has begun to read, it is tried
    /// again after the next checkpoint.
    pub(super) fn empty_if_possible(&self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.possible.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let truncates = self.truncate.swap(false, Ordering::AcqRel);
        connection.busy_timeout(READERS)?;
        let done = checkpoint(connection, if truncates { "TRUNCATE" } else { "RESTART" });
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if truncates && !done.as_ref().is_ok_and(|done| done.all) {
            self.request_truncation();
        }
        done.map(|_| ())
    }
}

/// What a checkpoint has done.
#[derive(Debug, Clone, Copy)]
struct Checkpoint {
    /// Everything that was in the write-ahead log when it began has been moved. If not, a reader reads an older snapshot.
    all: bool,
    /// How many pages are in the write-ahead log, moved or not.
    pages: i64,
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Checkpoint> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let (busy, pages, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Checkpoint { all: !busy && moved >= pages, pages })
    })
}

/// The thread that moves the pages.
pub(super) struct Checkpoints {
    connection: Connection,
    file: Arc<LogFile>,
    emptying: Arc<Emptying>,
    /// What the write-ahead log has at most, unless another program reads it.
    limit: u64,
    page_bytes: u64,
    wal_bytes: Gauge,
    reported_at: Option<Instant>,
}

impl Checkpoints {
    pub(super) fn open(
        file: Arc<LogFile>,
        emptying: Arc<Emptying>,
        limit: u64,
        registry: &mut Registry,
    ) -> Result<Self, FileError> {
        let (connection, wal_bytes) = (connect(file.path())?, Gauge::default());
        let page_bytes = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        registry.register_with_unit(
            "ringpad_log_wal",
            "Size of the log's write-ahead log on disk",
            Unit::Bytes,
            wal_bytes.clone(),
        );
        Ok(Self { connection, file, emptying, limit, page_bytes, wal_bytes, reported_at: None })
    }

    /// Checkpoints at each request, and at every interval, until the other end of `requests` is dropped.
    pub(super) fn run(mut self, requests: &Receiver<()>) {
        while requests.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
            if let Err(error) = self.checkpoint() {
                tracing::warn!(%error, "cannot checkpoint the log; trying again");
            }
        }
    }

    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let done = checkpoint(&self.connection, "PASSIVE")?;
        let bytes = self.file.wal_bytes();
        self.wal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        if !done.all {
            self.report_if_held(bytes);
            return Ok(());
        }
        if bytes >= self.limit {
            self.emptying.request_truncation();
        }
        // At half of the limit, because more is written until it is empty.
        let is_full = u64::try_from(done.pages).unwrap_or(0) * self.page_bytes >= self.limit / 2;
        if is_full || self.emptying.truncate.load(Ordering::Acquire) {
            // Moves what was written during the first one, so that little is left to the writer.
            checkpoint(&self.connection, "PASSIVE")?;
            self.emptying.possible.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn report_if_held(&mut self, bytes: u64) {
        if bytes < self.limit || self.reported_at.is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        self.reported_at = Some(Instant::now());
        tracing::warn!(
            mib = bytes / 1024 / 1024,
            "the write-ahead log grows, because another program has been reading the log's file for a long time: is it a backup, or sqlite3?"
        );
    }
}
