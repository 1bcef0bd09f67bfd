//! The log: the only module with SQL, and the one place where truth is kept: stores, calls, events.
//!
//! ```text
//!            jobs (bounded)             commit
//! Log ──────────────────────► writer ───────────► SQLite ◄─── readers (a few, each its own connection)
//!   ◄──── answer after commit ── │                   ▲
//!                                └─► outbox ─► relay └─── checkpoints, beside the writer
//! ```
//!
//! A record is merged into its call, takes its store's next position and becomes an event in one transaction; an answer
//! means that the commit is on disk. The file belongs to one ingest-svc at a time; a lock on it sees to that.

mod act;
mod backup;
mod call;
mod checkpoint;
mod directory;
mod file;
mod ingest;
mod job;
mod metrics;
mod outbox;
mod purge;
mod quarantine;
mod queue;
mod read;
mod reader;
mod restore;
mod schema;
mod set_aside;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

use crate::cdr::Record;
pub use act::{Act, Acted, ActingPad, Action, Claimed, Reserved};
pub use backup::{BackupError, Contents, NewestEvent, back_up};
use checkpoint::{Checkpoints, Emptying};
pub(crate) use directory::Assigned;
pub use directory::{Change, Conflict, Moving, NumberKind, OwnedNumber, StoreEntry, Upserted};
use file::LogFile;
pub(crate) use ingest::Another;
pub(crate) use job::Import;
use job::{Answer, Job};
pub(crate) use metrics::{LogMetrics, Waiting};
pub use outbox::{Committed, Outbox};
pub use quarantine::{QUARANTINE, Quarantined, RawBody, RawRequest};
pub use read::{
    AllMissed, CallPage, CallQuery, Cursor, Extent, Missed, OutboxPage, PageMark, PageSize, Purpose,
};
pub use reader::LogReader;
pub use restore::{Existing, RestoreError, Restored, restore};
use writer::Writer;

/// Requests that may wait for the writer. When it is full, the next ones wait for a place, and their senders with them.
const JOBS: usize = 1_024;

/// Stores and numbers of theirs in one transaction of an import at most, unless a store has more by itself: some ten
/// milliseconds, for which records wait.
pub(crate) const IMPORT: usize = 1_500;

/// How long a request waits for its commit: less than number providers wait for an answer.
const ANSWER: Duration = Duration::from_secs(4);

/// What became of a record that is durably logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// New, and its store's pads will see it.
    Accepted,
    /// After parsing, equal in every field to a record already logged.
    Duplicate,
    /// No store owns the number; tried again at the call's next record.
    Unrouted,
}

/// The answer to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingested {
    /// The call that the record belongs to.
    pub call_id: Uuid,
    /// What became of it.
    pub status: Status,
}

/// Why the log did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The log cannot be read or written now. Nothing is half-written; send again, a repeat is recognised.
    #[error("the log cannot be used now: {0}")]
    Unavailable(Arc<str>),
    /// A query was ended.
    #[error("the log is not read any longer for one request: ask for less, or later")]
    TooLong,
}

impl LogError {
    fn unavailable(error: &rusqlite::Error) -> Self {
        Self::Unavailable(Arc::from(error.to_string()))
    }

    fn closed() -> Self {
        Self::Unavailable(Arc::from("it is being closed"))
    }

    fn replaced() -> Self {
        Self::Unavailable(Arc::from(
            "its file was renamed, replaced or removed while in use: give it back its name, or start ingest-svc again",
        ))
    }

    /// There was no answer in time.
    pub(crate) fn silent() -> Self {
        Self::Unavailable(Arc::from("the disk does not answer"))
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two writers would give out the same positions.
    #[error("another ingest-svc holds it")]
    Held,
    /// The file, or the one that former versions lock, cannot be locked.
    #[error("cannot lock it: {0}")]
    Lock(std::io::Error),
    /// The file cannot be made, or not be written.
    #[error("{0}")]
    File(std::io::Error),
    /// It was renamed after a crash, without the file that has its newest records.
    #[error("its newest records are in {}: it was renamed without that file; rename that to {}", wal.display(), expected.display())]
    Renamed {
        /// Where the newest records are.
        wal: PathBuf,
        /// Where they would be found.
        expected: PathBuf,
    },
    /// Another application's database, or an empty one.
    #[error("it is a database, but no log of RingPad")]
    NoLog,
    /// Written by another version.
    #[error("it has version {found}, and this ingest-svc knows version {known}")]
    Version {
        /// The file's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database file.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// The writer's thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A cloneable handle on the log. The writer ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Log {
    jobs: mpsc::Sender<Job>,
    written: watch::Receiver<Option<Instant>>,
    reader: LogReader,
}

/// An open log: the handle, and what the rest of the service needs of it.
#[derive(Debug)]
pub struct OpenLog {
    /// For the edges.
    pub log: Log,
    /// For the relay.
    pub outbox: Arc<Outbox>,
    /// For the relay: what has just been committed.
    pub fresh: mpsc::Receiver<Committed>,
    /// To be joined after the last [`Log`] is dropped.
    pub threads: LogThreads,
}

/// The writer, and the checkpointer, which ends with it.
#[derive(Debug)]
pub struct LogThreads {
    writer: thread::JoinHandle<()>,
    checkpoints: thread::JoinHandle<()>,
}

impl LogThreads {
    /// Waits for the writer to finish what it was given.
    pub fn join(self) {
        if self.writer.join().is_err() || self.checkpoints.join().is_err() {
            tracing::error!("a thread of the log panicked");
        }
    }
}

/// Opens the log, or makes it.
pub(crate) fn open(path: &Path, popup_ttl: Duration, metrics: LogMetrics) -> Result<OpenLog, OpenError> {
    let file = Arc::new(LogFile::hold(path)?);
    let emptying = Arc::new(Emptying::default());
    let (writer, fresh) = Writer::open(&file, popup_ttl, metrics.clone(), emptying.clone())?;
    let checkpointer = Checkpoints::open(Arc::clone(&file), emptying, metrics.clone())?;
    let outbox = writer.outbox();
    let reader = LogReader::new(writer.epoch(), file, metrics);
    let written = writer.written();
    let (jobs, receiver) = mpsc::channel(JOBS);
    let (checkpoints, requests) = std::sync::mpsc::sync_channel(1);
    let threads = LogThreads {
        writer: spawn("log-writer", move || writer.run(receiver, checkpoints))?,
        checkpoints: spawn("log-checkpoints", move || checkpointer.run(&requests))?,
    };
    Ok(OpenLog { log: Log { jobs, written, reader }, outbox, fresh, threads })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, OpenError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)
}

impl Log {
    /// Logs a record; resolves when it is on disk.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn ingest(&self, record: Record) -> Result<Ingested, LogError> {
        self.submit(record).await?.ingested().await
    }

    /// Gives a record its place: records are logged in the order in which these calls end.
    pub(crate) async fn submit(&self, record: Record) -> Result<Submitted, LogError> {
        self.hand_over(|answer| Job::Ingest(Box::new(record), answer)).await.map(Submitted)
    }

    /// Does what a pad wants done to a call of its store.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn act(&self, act: Act) -> Result<Acted, LogError> {
        self.ask(|answer| Job::Act(Box::new(act), answer)).await
    }

    /// Makes a store, or replaces its name and numbers.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn upsert_store(&self, entry: StoreEntry, moving: Moving) -> Result<Upserted, LogError> {
        self.ask(|answer| Job::Upsert(entry, moving, answer)).await
    }

    /// The same for as many stores as [`IMPORT`] says, in one transaction; records that wait go first.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn import_stores(&self, import: Import) -> Result<Vec<Upserted>, LogError> {
        self.ask(|answer| Job::Import(Box::new(import), answer)).await
    }

    /// Removes a store; false: there is none.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn delete_store(&self, id: String) -> Result<bool, LogError> {
        self.ask(|answer| Job::Delete(id, answer)).await
    }

    /// Keeps a request that was no CDR. When there are more than [`QUARANTINE`], or more than 256 MiB of them, the oldest one of
    /// the source that has most goes.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn quarantine(&self, request: Quarantined) -> Result<(), LogError> {
        self.ask(|answer| Job::Quarantine(Box::new(request), answer)).await
    }

    /// Takes requests out of the quarantine.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn release(&self, ids: Vec<u64>) -> Result<(), LogError> {
        self.ask(|answer| Job::Release(ids, answer)).await
    }

    /// Deletes a few calls and events from before a Unix second; says whether there may be more.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn purge(&self, before: i64) -> Result<bool, LogError> {
        self.ask(|answer| Job::Purge(before, answer)).await
    }

    /// Whether the log can be written: writes something, unless there was a commit just now that did.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn probe(&self) -> Result<(), LogError> {
        self.ask(Job::Probe).await
    }

    /// When something was last written that is on disk; `None`: nothing yet.
    pub fn written_at(&self) -> Option<Instant> {
        *self.written.borrow()
    }

    /// Sees the same, without being a handle on the log.
    pub(crate) fn written(&self) -> watch::Receiver<Option<Instant>> {
        self.written.clone()
    }

    /// The writer has ended although there is a handle: it has panicked.
    pub fn is_dead(&self) -> bool {
        self.jobs.is_closed()
    }

    /// The reading half.
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Has the writer do a job.
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, LogError> {
        answer(self.hand_over(job).await?).await
    }

    /// Gives the writer a job; the answer comes after the commit.
    async fn hand_over<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<Answered<T>, LogError> {
        let (answer, answered) = oneshot::channel();
        let handed_over =
            timeout(ANSWER, self.jobs.send(job(answer))).await.map_err(|_| LogError::silent())?;
        handed_over.map(|()| answered).map_err(|_| LogError::closed())
    }
}

/// Where an answer comes from.
type Answered<T> = oneshot::Receiver<Result<T, LogError>>;

/// Waits for the commit. What is not answered in time may have been done all the same: a repeat is recognised.
async fn answer<T>(answered: Answered<T>) -> Result<T, LogError> {
    let answer = timeout(ANSWER, answered).await.map_err(|_| LogError::silent())?;
    answer.unwrap_or_else(|_| Err(LogError::closed()))
}

/// A record that has its place among those waiting for the log.
#[derive(Debug)]
pub(crate) struct Submitted(Answered<Ingested>);

impl Submitted {
    /// Resolves when the record is on disk.
    pub(crate) async fn ingested(self) -> Result<Ingested, LogError> {
        answer(self.0).await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
