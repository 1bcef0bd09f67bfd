//! What waits for one commit, and what happens once it is on disk: the events go to the relay, the answers to the clients.

use std::{sync::Arc, time::Instant};

use ringpad_bus::Event;
use tokio::sync::{mpsc, watch};

use super::{
    error::LogError,
    job::Answer,
    metrics::{Counted, LogMetrics},
    outbox::{Committed, Outbox},
};

/// An answer that waits for the commit. It is called with the commit's outcome.
type Due = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// What waits for the commit.
#[derive(Default)]
pub(super) struct Batch {
    due: Vec<Due>,
    pub(super) events: Vec<Event>,
    /// The ids of stores that push-svc is to ask the log about.
    pub(super) changed: Vec<String>,
    pub(super) logged: Vec<Counted>,
    pub(super) quarantined: u64,
    /// Quarantined requests that were dropped for newer ones.
    pub(super) dropped: u64,
    /// Whether it has something that the database must write, and cannot leave out because nothing has changed.
    pub(super) writes: bool,
}

impl Batch {
    /// Answers a failed job now, and one that succeeded after the commit. A client that has gone away needs no answer: what
    /// it asked for is done, and a repeat is recognised.
    ///
    /// # Errors
    /// The job has failed.
    pub(super) fn settle<T: Send + 'static>(
        &mut self,
        answer: Answer<T>,
        outcome: Result<T, LogError>,
    ) -> Result<(), LogError> {
        match outcome {
            Ok(value) => {
                self.due.push(Box::new(move |committed| drop(answer.send(committed.map(|()| value)))));
                Ok(())
            }
            Err(error) => {
                drop(answer.send(Err(error.clone())));
                Err(error)
            }
        }
    }

    /// The commit failed: nothing of it was done.
    pub(super) fn refuse(self, error: &LogError) {
        self.due.into_iter().for_each(|answer| answer(Err(error.clone())));
    }
}

/// Where a backend sends what it has committed.
pub(super) struct Committer {
    pub(super) outbox: Arc<Outbox>,
    pub(super) fresh: mpsc::Sender<Committed>,
    /// When a commit that wrote something was last on disk.
    pub(super) written: watch::Sender<Option<Instant>>,
    pub(super) metrics: LogMetrics,
}

impl Committer {
    /// The batch is on disk. The first of its events has the key `first_key`, the others follow without a gap.
    pub(super) fn committed(&self, batch: Batch, first_key: u64) {
        if batch.writes {
            self.written.send_replace(Some(Instant::now()));
        }
        if !batch.events.is_empty() {
            let committed = Committed { first_key, at: Instant::now(), events: batch.events };
            self.outbox.committed(committed.last_key());
            self.offer(committed);
        }
        batch.changed.into_iter().for_each(|id| self.outbox.store_changed(id));
        batch.logged.into_iter().for_each(|logged| self.metrics.logged(logged));
        self.metrics.quarantined.inc_by(batch.quarantined);
        self.metrics.quarantine_dropped.inc_by(batch.dropped);
        batch.due.into_iter().for_each(|answer| answer(Ok(())));
    }

    /// Hands a commit to the relay. A relay that is behind will find it in the log.
    fn offer(&self, committed: Committed) {
        let size = committed.size();
        if !self.outbox.has_room(size) {
            self.outbox.nudge();
        } else if self.fresh.try_send(committed).is_err() {
            self.outbox.taken(size);
            self.outbox.nudge();
        }
    }
}
