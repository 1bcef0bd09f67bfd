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
//! What is decided about calls and stores is in [`crate::call`] and [`crate::store`]; how it is stored, in the folder of each
//! database.

mod answer;
mod batch;
mod copy;
mod database;
mod error;
mod holdings;
mod job;
mod json;
mod metrics;
mod outbox;
mod postgres;
mod queue;
mod read;
mod reader;
pub mod sqlite;
mod unreadable;
mod writer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use ringpad_runtime::CancellationToken;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    call::{ActionOutcome, ActionRequest, Ingested},
    capacity::LogCapacity,
    cdr::Record,
    customer::{CustomerChange, Deleted},
    pad::{PadChange, PadOutcome},
    request::Quarantined,
    store::{Moving, StoreEntry, Upserted},
};
pub use copy::{Copied, CopyError, Fault, Faulty, Outcome, Progress, copy};
use database::OpenDatabase;
pub use database::{Database, OpenError};
pub use error::LogError;
use error::Obstacle;
use job::{Answered, Job, Work};
pub(crate) use job::{CustomerImport, Import};
use metrics::{LogMetrics, Waiting};
pub use outbox::{Committed, Outbox};
pub use postgres::{PostgresError, Servers, TargetError};
use queue::Queue;
pub use read::{
    AllMissed, CallPage, CallQuery, Cursor, Extent, Missed, OutboxPage, PageMark, PageSize, Purpose,
    ReservationPage, ReservationQuery,
};
pub use reader::LogReader;
use writer::Writer;

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
    /// To be awaited after the last [`Log`] is dropped.
    pub tasks: LogTasks,
}

/// What works for the log until the last handle is dropped: the writer, and what the database runs for itself.
#[derive(Debug)]
pub struct LogTasks(Vec<JoinHandle<()>>);

impl LogTasks {
    /// Waits for the writer to finish what it was given, and for all other tasks also if one has panicked.
    ///
    /// # Panics
    /// If a task has panicked, with its panic.
    pub async fn join(self) {
        let ended = futures_util::future::join_all(self.0).await;
        if let Some(error) = ended.into_iter().find_map(Result::err) {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Each task by itself, so that the end of one is noticed while the others still run.
    pub(crate) fn into_handles(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|task| Self(vec![task]))
    }
}

/// Opens the log, or makes it. A ring pops up for `popup_ttl` after its receipt. The log cancels `over` when its database begins a
/// new epoch: this one's positions are then given out again, so it must be opened again.
pub(crate) async fn open(
    database: &Database,
    popup_ttl: Duration,
    capacity: &LogCapacity,
    registry: &mut Registry,
    over: CancellationToken,
) -> Result<OpenLog, OpenError> {
    let metrics = LogMetrics::new(registry);
    let popup_ttl = popup_ttl.try_into().unwrap_or(SignedDuration::MAX);
    let open = database.open(popup_ttl, capacity, &metrics, registry).await?;
    let OpenDatabase { epoch, outbox, writer: database, reader, mut tasks } = open;
    let (jobs, receiver) = mpsc::channel(capacity.jobs);
    let (sender, fresh) = mpsc::channel(capacity.outbox_commits);
    let (sees_written, written) = watch::channel(None);
    registry.register_collector(Box::new(Waiting::new(written.clone(), Arc::clone(&outbox))));
    let reader = LogReader::new(epoch, reader, capacity, metrics.clone());
    let writer = Writer {
        queue: Queue::new(receiver, capacity),
        outbox: Arc::clone(&outbox),
        fresh: sender,
        written: sees_written,
        metrics,
        writable: false,
        over,
    };
    tasks.push(writer.start(database));
    Ok(OpenLog { log: Log { jobs, written, reader }, outbox, fresh, tasks: LogTasks(tasks) })
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
        self.hand_over(Job::Ingest, record).await.map(Submitted)
    }

    /// Does what a pad wants done to a call of its store.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn act(&self, request: ActionRequest) -> Result<ActionOutcome, LogError> {
        self.ask(Job::Act, request).await
    }

    /// Makes a store, or replaces its name and numbers.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn upsert_store(&self, entry: StoreEntry, moving: Moving) -> Result<Upserted, LogError> {
        self.ask(Job::Upsert, (entry, moving)).await
    }

    /// The same for a part of an import, in one transaction; records that wait go first.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn import_stores(&self, import: Import) -> Result<Vec<Upserted>, LogError> {
        self.ask(Job::Import, import).await
    }

    /// Makes customers of a store, or replaces what is known of them, in one transaction; records that wait go first. `None`: no such
    /// store.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn import_customers(
        &self,
        import: CustomerImport,
    ) -> Result<Option<Vec<CustomerChange>>, LogError> {
        self.ask(Job::Customers, import).await
    }

    /// Deletes a customer of a store, both by id.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn delete_customer(&self, store_id: String, id: String) -> Result<Deleted, LogError> {
        self.ask(Job::DeleteCustomer, (store_id, id)).await
    }

    /// Removes a store; false: there is no such store.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn delete_store(&self, id: String) -> Result<bool, LogError> {
        self.ask(Job::Delete, id).await
    }

    /// Changes what is known of tablets.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn change_pads(&self, change: PadChange) -> Result<PadOutcome, LogError> {
        self.ask(Job::Pads, change).await
    }

    /// The same, unless the writer has much to do; nobody waits for it. The writer reports and counts a commit that fails.
    pub(crate) fn change_pads_later(&self, change: PadChange) {
        let (work, _nobody_waits) = Work::new(change);
        if self.jobs.try_send(Job::Pads(work)).is_err() {
            tracing::debug!("the log has much to do; when a pad got its token is not noted");
        }
    }

    /// Keeps a request that is not a CDR. When the quarantine is full, the oldest request of the source that has most is dropped.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn quarantine(&self, request: Quarantined) -> Result<(), LogError> {
        self.ask(Job::Quarantine, request).await
    }

    /// Takes requests out of the quarantine.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn release(&self, ids: Vec<u64>) -> Result<(), LogError> {
        self.ask(Job::Release, ids).await
    }

    /// Deletes a few calls and events from before a Unix second; says whether there may be more.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn purge(&self, before: i64) -> Result<bool, LogError> {
        self.ask(Job::Purge, before).await
    }

    /// Whether the log can be written: writes something, unless there was a commit just now that did.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn probe(&self) -> Result<(), LogError> {
        self.ask(Job::Probe, ()).await
    }

    /// When something was last written that is on disk; `None`: nothing yet.
    pub fn written_at(&self) -> Option<Instant> {
        *self.written.borrow()
    }

    /// The reading half.
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Has the writer do a job.
    async fn ask<I, T>(&self, job: fn(Box<Work<I, T>>) -> Job, input: I) -> Result<T, LogError> {
        answer(self.hand_over(job, input).await?).await
    }

    /// Gives the writer a job; the answer comes after the commit.
    async fn hand_over<I, T>(
        &self,
        job: fn(Box<Work<I, T>>) -> Job,
        input: I,
    ) -> Result<Answered<T>, LogError> {
        let (work, answered) = Work::new(input);
        let handed_over = timeout(ANSWER, self.jobs.send(job(work))).await.map_err(|_| LogError::silent())?;
        handed_over.map(|()| answered).map_err(|_| Obstacle::Closing.into())
    }
}

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
pub(crate) use {sqlite::tests::OtherProgram, tests::try_open};

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
