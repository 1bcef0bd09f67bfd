//! The one task that writes. It takes the jobs that have accumulated into one transaction, so that many requests share one flush to
//! disk. Once it is on disk, the events go to the relay, and the answers to the clients.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ringpad_runtime::{CancellationToken, ErrorChain};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
};

use super::{
    batch::{Batch, Stop},
    database::DatabaseWriter,
    error::LogError,
    job::{Job, Probe},
    metrics::LogMetrics,
    outbox::{Committed, Outbox},
    queue::Queue,
};

/// A commit that is younger than this shows well enough that the log can be written: a probe then writes nothing.
const YOUNG: Duration = Duration::from_millis(500);

/// The task's state.
pub(super) struct Writer {
    pub(super) queue: Queue,
    pub(super) outbox: Arc<Outbox>,
    pub(super) fresh: mpsc::Sender<Committed>,
    /// When a commit that wrote something was last on disk.
    pub(super) written: watch::Sender<Option<Instant>>,
    pub(super) metrics: LogMetrics,
    /// Whether the last commit succeeded.
    pub(super) writable: bool,
    /// To be cancelled when the database has begun a new epoch.
    pub(super) over: CancellationToken,
}

impl Writer {
    /// Starts to write to this database. A database that blocks its thread gets one of its own.
    pub(super) fn start(self, database: DatabaseWriter) -> JoinHandle<()> {
        let runtime = Handle::current();
        if database.blocks() {
            spawn_blocking(move || {
                // Without a name it only is harder to tell from the others.
                rustix::thread::set_name(c"log-writer").ok();
                runtime.block_on(self.run(database));
            })
        } else {
            runtime.spawn(self.run(database))
        }
    }

    /// Works until every sender of jobs is gone, or the database has begun a new epoch.
    async fn run(mut self, mut database: DatabaseWriter) {
        let mut has_other_epoch = false;
        while !has_other_epoch && let Some(mut jobs) = self.queue.next().await {
            let began = Instant::now();
            self.metrics.batch_size.observe(jobs.len() as f64);
            let committed = database.commit(&mut jobs, self.probe()).await;
            self.writable = committed.is_ok();
            let answer = match committed {
                Ok(mut batch) => {
                    if let Some(Stop { done, error }) = batch.stop.take() {
                        has_other_epoch = error.is_other_epoch();
                        self.failed(jobs.iter().skip(done), &error);
                    }
                    self.committed(batch);
                    Ok(())
                }
                Err(error) => {
                    has_other_epoch = error.is_other_epoch();
                    self.failed(jobs.iter(), &error);
                    Err(error)
                }
            };
            jobs.into_iter().for_each(|job| job.answer(answer.as_ref().copied()));
            self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
            database.maintain();
        }
        if has_other_epoch {
            tracing::warn!("a standby of the database was promoted, which begins a new epoch");
            self.over.cancel();
        }
        database.close().await;
    }

    fn probe(&self) -> Probe {
        match self.written.borrow().is_some_and(|at| at.elapsed() < YOUNG) {
            _ if !self.writable => Probe::Much,
            true => Probe::Nothing,
            false => Probe::Little,
        }
    }

    /// The batch is on disk.
    fn committed(&self, batch: Batch) {
        if batch.writes {
            self.written.send_replace(Some(Instant::now()));
        }
        if !batch.events.is_empty() {
            let committed =
                Committed { first_key: batch.first_key, at: Instant::now(), events: batch.events };
            let last = committed.last_key();
            // First of all, or the relay would look for it in the log.
            let is_taken = self.offer(committed);
            self.outbox.committed(last);
            if !is_taken {
                self.outbox.nudge();
            }
        }
        batch.changed.into_iter().for_each(|id| self.outbox.store_changed(id));
        for (source, outcome) in batch.logged {
            self.metrics.logged(source, &outcome);
        }
        self.metrics.quarantined.inc_by(batch.quarantined);
        self.metrics.quarantine_dropped.inc_by(batch.dropped);
    }

    /// Hands a commit to the relay; false: it has no room, and has to read the log.
    fn offer(&self, committed: Committed) -> bool {
        let size = committed.size();
        if !self.outbox.has_room(size) {
            return false;
        }
        let is_taken = self.fresh.try_send(committed).is_ok();
        if !is_taken {
            self.outbox.taken(size);
        }
        is_taken
    }

    /// The commit of these jobs failed: nothing of it was done.
    fn failed<'a>(&self, jobs: impl Iterator<Item = &'a Job>, error: &LogError) {
        // What a probe finds is reported by its sender.
        let refused = jobs.filter(|job| !matches!(job, Job::Probe(_))).count();
        if refused > 0 {
            let error = ErrorChain(error);
            tracing::error!(%error, jobs = refused, "the commit failed; its requests are refused");
        }
        self.metrics.failed_commits.inc();
    }
}
