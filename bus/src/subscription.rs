//! The receiving side of the bus, for both kinds of it.

use crate::{
    amqp::AmqpSubscription, error::Loss, in_process::InProcessSubscription, message::ReceivedMessage,
};

/// One connection to the broker that only consumes, and its private queue. The queue is deleted when the connection ends,
/// with everything in it: compare with the log after each new subscription.
#[derive(Debug)]
pub struct Subscription(SubscriptionKind);

enum SubscriptionKind {
    Amqp(Box<AmqpSubscription>),
    InProcess(InProcessSubscription),
}

impl Subscription {
    pub(crate) fn amqp(subscription: AmqpSubscription) -> Self {
        Self(SubscriptionKind::Amqp(Box::new(subscription)))
    }

    pub(crate) fn in_process(subscription: InProcessSubscription) -> Self {
        Self(SubscriptionKind::InProcess(subscription))
    }

    /// The private queue's name.
    pub fn queue(&self) -> &str {
        match &self.0 {
            SubscriptionKind::Amqp(subscription) => subscription.queue(),
            SubscriptionKind::InProcess(subscription) => &subscription.queue,
        }
    }

    /// The next message. Cancel-safe.
    ///
    /// # Errors
    /// The connection is lost, the queue deleted, or (in-process) the subscriber too slow. Every later call returns the same.
    pub async fn next(&mut self) -> Result<ReceivedMessage, Loss> {
        match &mut self.0 {
            SubscriptionKind::Amqp(subscription) => subscription.next().await,
            SubscriptionKind::InProcess(subscription) => {
                subscription.next().await.map(ReceivedMessage::Batch)
            }
        }
    }

    /// Acknowledges every batch received so far, so that the broker may send more. Sends nothing itself: under load, one
    /// acknowledgement is sent for many batches. If it cannot be sent, a later [`next`](Self::next) returns the error.
    pub fn ack(&mut self) {
        match &mut self.0 {
            SubscriptionKind::Amqp(subscription) => subscription.ack(),
            SubscriptionKind::InProcess(_) => {}
        }
    }

    /// Closes the connection in order, which deletes the queue; takes 2 s at most.
    pub async fn close(self) {
        match self.0 {
            SubscriptionKind::Amqp(subscription) => subscription.close().await,
            SubscriptionKind::InProcess(_) => {}
        }
    }
}

impl std::fmt::Debug for SubscriptionKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Amqp(_) => "Amqp",
            Self::InProcess(_) => "InProcess",
        })
    }
}
