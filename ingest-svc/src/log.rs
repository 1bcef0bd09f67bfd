//! The log, the authoritative copy: stores, calls, events. A record is merged into its call, takes its store's next position and
//! becomes an event in one transaction; an answer means that the commit is on disk.
//!
//! ```text
//!            jobs (bounded)                    commit
//! Log ──────────────────────► queue ─► batch ──────────► database ◄─── readers ◄─── LogReader
//!   ◄──── answer after commit ─────────── │
//!                                         └─► outbox ─► relay
//! ```
//!
//! What is decided about calls and stores is in [`crate::call`] and [`crate::store`]; how it is stored, in [`sqlite`].

mod batch;
mod error;
mod holdings;
mod job;
mod metrics;
mod outbox;
mod queue;
mod read;
mod reader;
mod sqlite;

use std::{
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    call::{ActionOutcome, ActionRequest, Ingested},
    capacity::LogCapacity,
    cdr::Record,
    request::Quarantined,
    store::{Moving, StoreEntry, Upserted},
};
pub use error::LogError;
use error::Obstacle;
use job::{Answer, Job};
pub(crate) use job::{IMPORT, Import};
pub(crate) use metrics::{LogMetrics, Waiting};
pub use outbox::{Committed, Outbox};
pub use read::{
    AllMissed, CallPage, CallQuery, Cursor, Extent, Missed, OutboxPage, PageMark, PageSize, Purpose,
};
pub use reader::LogReader;
pub use sqlite::{
    BackupError, Contents, Existing, NewestEvent, OpenError, RestoreError, Restored, back_up, restore,
};

/// How long a request waits for its commit: less than number providers wait for an answer.
const ANSWER: Duration = Duration::from_secs(4);

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

/// The threads that write.
#[derive(Debug)]
pub struct LogThreads(Vec<JoinHandle<()>>);

impl LogThreads {
    /// Waits for the writer to finish what it was given, and for all other threads also if one has panicked.
    ///
    /// # Panics
    /// If a thread has panicked, with its panic.
    pub fn join(self) {
        let ended: Vec<_> = self.0.into_iter().map(JoinHandle::join).collect();
        if let Some(panic) = ended.into_iter().find_map(Result::err) {
            std::panic::resume_unwind(panic);
        }
    }

    /// Each thread by itself, so that the end of one is noticed while the others still run.
    pub(crate) fn into_handles(self) -> Vec<JoinHandle<()>> {
        self.0
    }
}

/// Opens the log, or makes it. A ring pops up for `popup_ttl` after its receipt.
pub(crate) fn open(
    path: &Path,
    popup_ttl: Duration,
    capacity: &LogCapacity,
    metrics: LogMetrics,
) -> Result<OpenLog, OpenError> {
    let database = sqlite::open(path, popup_ttl, capacity, &metrics)?;
    let sqlite::Database { epoch, jobs, written, connections, outbox, fresh, threads } = database;
    let reader = LogReader::new(epoch, connections, capacity, metrics);
    Ok(OpenLog { log: Log { jobs, written, reader }, outbox, fresh, threads: LogThreads(threads) })
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
    pub async fn act(&self, request: ActionRequest) -> Result<ActionOutcome, LogError> {
        self.ask(|answer| Job::Act(Box::new(request), answer)).await
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

    /// Removes a store; false: there is no such store.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn delete_store(&self, id: String) -> Result<bool, LogError> {
        self.ask(|answer| Job::Delete(id, answer)).await
    }

    /// Keeps a request that is not a CDR. When the quarantine is full, the oldest request of the source that has most is dropped.
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
        handed_over.map(|()| answered).map_err(|_| Obstacle::Closing.into())
    }
}

/// Where an answer comes from.
type Answered<T> = oneshot::Receiver<Result<T, LogError>>;

/// Waits for the commit. What is not answered in time may have been done all the same: a repeat is recognised.
async fn answer<T>(answered: Answered<T>) -> Result<T, LogError> {
    let answer = timeout(ANSWER, answered).await.map_err(|_| LogError::silent())?;
    answer.unwrap_or_else(|_| Err(Obstacle::Closing.into()))
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
pub(crate) use sqlite::tests::OtherProgram;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
