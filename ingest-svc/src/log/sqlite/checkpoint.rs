//! Moves committed pages from the write-ahead log into the database file, beside the writer: an accept does not wait for it.
//!
//! The file is written from its beginning again once all of it has been moved and nobody reads it. Under a steady load that
//! moment does not come by itself, so the writer is asked for it between two commits, when next to nothing is left to be
//! moved: see [`Emptying`]. The file keeps its length then, since to write where something was costs half of what it costs
//! to make a file longer. While another program reads, e.g. a backup, nothing that is newer than what it reads can be
//! moved; the file grows, which a gauge and a WARN line show, and shrinks when that program has gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    super::metrics::LogMetrics,
    connection::{BUSY_TIMEOUT, connect},
    error::OpenError,
    file::LogFile,
};

/// Pages (of 4 KiB) in the write-ahead log at which it is to be emptied: with what is written meanwhile it has 256 MiB at
/// most.
const FULL: i64 = 32 * 1024;
/// Bytes that it has only while somebody reads it.
const HELD: u64 = 256 * 1024 * 1024;
/// How often that is said.
const SAID: Duration = Duration::from_secs(60);

/// How often the write-ahead log is checkpointed on a calm day. A checkpoint's writes delay the commits beside it for
/// some milliseconds, so it is rare; each page then moves once, however often it was written.
const INTERVAL: Duration = Duration::from_secs(4);

/// Jobs after which the writer asks for a checkpoint before that: some ten thousand pages.
pub(super) const JOBS: usize = 8 * 1024;

/// How long the writer waits for readers when it empties the write-ahead log: most need less.
const READERS: Duration = Duration::from_millis(20);

/// Whether the write-ahead log is to be emptied: because much is in it, or because what was deleted is still in it.
#[derive(Debug, Default)]
pub(super) struct Emptying {
    /// Nothing of what is in it now may be left on the disk, or it is too long: the file is to be cut off.
    cut_off: AtomicBool,
    /// All but a few pages have been moved, and nobody reads it: the writer may.
    possible: AtomicBool,
}

impl Emptying {
    /// Asks for it, as soon as it is possible, and for the file to be cut off.
    pub(super) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Release);
    }

    /// For the writer, between two commits: does it, if the time has come. Should somebody have begun to read, it is tried
    /// again after the next checkpoint.
    pub(super) fn do_if_possible(&self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.possible.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let cuts_off = self.cut_off.swap(false, Ordering::AcqRel);
        connection.busy_timeout(READERS)?;
        let done = checkpoint(connection, if cuts_off { "TRUNCATE" } else { "RESTART" });
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if cuts_off && !done.as_ref().is_ok_and(|done| done.all) {
            self.cut_off();
        }
        done.map(|_| ())
    }
}

/// What a checkpoint has done.
#[derive(Debug, Clone, Copy)]
struct Done {
    /// All that was in the write-ahead log when it began has been moved. If not, somebody reads what is older than the rest.
    all: bool,
    /// How many pages are in the write-ahead log, moved or not.
    pages: i64,
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Done> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let (busy, pages, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Done { all: !busy && moved >= pages, pages })
    })
}

/// See the module's text.
pub(super) struct Checkpoints {
    connection: Connection,
    file: Arc<LogFile>,
    emptying: Arc<Emptying>,
    metrics: LogMetrics,
    said_at: Option<Instant>,
}

impl Checkpoints {
    pub(super) fn open(
        file: Arc<LogFile>,
        emptying: Arc<Emptying>,
        metrics: LogMetrics,
    ) -> Result<Self, OpenError> {
        let connection = connect(file.path())?;
        Ok(Self { connection, file, emptying, metrics, said_at: None })
    }

    /// Checkpoints at each request, and at every interval, until the other end of `requests` is dropped.
    pub(super) fn run(mut self, requests: &Receiver<()>) {
        while requests.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
            if let Err(error) = self.once() {
                tracing::warn!(%error, "cannot checkpoint the log; trying again");
            }
        }
    }

    fn once(&mut self) -> rusqlite::Result<()> {
        let done = checkpoint(&self.connection, "PASSIVE")?;
        let bytes = self.file.wal_bytes();
        self.metrics.wal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        if !done.all {
            self.say_if_held(bytes);
            return Ok(());
        }
        if bytes >= HELD {
            self.emptying.cut_off();
        }
        if done.pages >= FULL || self.emptying.cut_off.load(Ordering::Acquire) {
            // What was written during the first one, so that little is left to the writer.
            checkpoint(&self.connection, "PASSIVE")?;
            self.emptying.possible.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn say_if_held(&mut self, bytes: u64) {
        if bytes < HELD || self.said_at.is_some_and(|at| at.elapsed() < SAID) {
            return;
        }
        self.said_at = Some(Instant::now());
        tracing::warn!(
            mib = bytes / 1024 / 1024,
            "the write-ahead log grows, because another program has been reading the log's file for long: is it a backup, or sqlite3?"
        );
    }
}
