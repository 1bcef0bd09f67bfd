//! The bus without a broker, for `ringpad dev` and fast tests: the same types and guarantees within one process.
//!
//! A subscriber that is more than [`CAPACITY`] batches behind gets [`Loss::Overflow`]. Messages do not expire, because a
//! subscriber gets only what is sent after it has subscribed.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use crate::{
    envelope::{Batch, Head, Origin, unix_milliseconds},
    error::Loss,
    message::{Content, PublishOutcome},
};

/// How many batches a subscriber may be behind.
pub const CAPACITY: usize = 1024;

/// The substitute for a broker; all clones share it.
#[derive(Debug, Clone)]
pub struct InProcess {
    batches: broadcast::Sender<Arc<Batch>>,
    interruptions: watch::Sender<()>,
}

impl InProcess {
    pub(crate) fn new() -> Self {
        Self { batches: broadcast::Sender::new(CAPACITY), interruptions: watch::Sender::new(()) }
    }

    /// Breaks all connections, as a restart of the broker does: publishers and subscriptions are lost, with all messages that
    /// were not received. New ones can be made at once. For tests.
    pub fn interrupt(&self) {
        self.interruptions.send_replace(());
    }

    pub(crate) fn publisher(&self, origin: Origin) -> InProcessPublisher {
        InProcessPublisher {
            id: Uuid::new_v4(),
            origin,
            sent: 0,
            outcomes: VecDeque::new(),
            batches: self.batches.clone(),
            interrupted: self.interruptions.subscribe(),
        }
    }

    pub(crate) fn subscribe(&self) -> InProcessSubscription {
        InProcessSubscription {
            queue: format!("in-process-{}", Uuid::new_v4()),
            batches: self.batches.subscribe(),
            interrupted: self.interruptions.subscribe(),
            lost: None,
        }
    }
}

pub(crate) struct InProcessPublisher {
    pub(crate) id: Uuid,
    origin: Origin,
    sent: u64,
    /// Of the messages that the caller has not asked for yet, oldest first.
    outcomes: VecDeque<PublishOutcome>,
    batches: broadcast::Sender<Arc<Batch>>,
    interrupted: watch::Receiver<()>,
}

impl InProcessPublisher {
    pub(crate) fn publish(&mut self, content: Content<'_>) -> Result<(), Loss> {
        if is_interrupted(&self.interrupted) {
            return Err(broken());
        }
        self.sent += 1;
        let head = Head {
            publisher: self.id,
            number: self.sent,
            origin: Some(self.origin),
            goodbye: content.is_goodbye(),
            sent_at: Some(unix_milliseconds()),
        };
        let batch = Batch { head, events: content.events().to_vec() };
        self.outcomes.push_back(match self.batches.send(Arc::new(batch)) {
            Ok(_) => PublishOutcome::Delivered,
            Err(broadcast::error::SendError(_)) => PublishOutcome::NoRoute,
        });
        Ok(())
    }

    pub(crate) async fn outcome(&mut self) -> Result<PublishOutcome, Loss> {
        match self.outcomes.pop_front() {
            Some(outcome) => Ok(outcome),
            None => Err(interruption(self.interrupted.clone()).await),
        }
    }
}

pub(crate) struct InProcessSubscription {
    pub(crate) queue: String,
    batches: broadcast::Receiver<Arc<Batch>>,
    interrupted: watch::Receiver<()>,
    lost: Option<Loss>,
}

impl InProcessSubscription {
    pub(crate) async fn next(&mut self) -> Result<Batch, Loss> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let next = self.receive().await;
        self.lost = next.as_ref().err().cloned();
        next
    }

    async fn receive(&mut self) -> Result<Batch, Loss> {
        let received = tokio::select! {
            biased;
            lost = interruption(self.interrupted.clone()) => return Err(lost),
            received = self.batches.recv() => received,
        };
        match received {
            Ok(batch) => Ok(Arc::unwrap_or_clone(batch)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Err(Loss::Overflow { missed }),
            Err(broadcast::error::RecvError::Closed) => Err(broken()),
        }
    }
}

/// Resolves when all connections are broken, or no handle is left that could break them.
async fn interruption(mut interrupted: watch::Receiver<()>) -> Loss {
    // An error means that the bus no longer exists, which is a loss too.
    drop(interrupted.changed().await);
    broken()
}

fn is_interrupted(interrupted: &watch::Receiver<()>) -> bool {
    interrupted.has_changed().unwrap_or(true)
}

fn broken() -> Loss {
    Loss::Connection(None)
}
