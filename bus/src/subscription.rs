//! The receiving end of the bus, broker or none.

use crate::{
    amqp::AmqpSubscription, error::Loss, in_process::InProcessSubscription, message::ReceivedMessage,
};

/// One connection to the broker that only consumes, and the private queue that lives and dies with it. What was in the
/// queue when it is lost is gone: compare with the log after each new subscription.
#[derive(Debug)]
pub struct Subscription(Kind);

enum Kind {
    Amqp(Box<AmqpSubscription>),
    InProcess(InProcessSubscription),
}

impl Subscription {
    pub(crate) fn amqp(subscription: AmqpSubscription) -> Self {
        Self(Kind::Amqp(Box::new(subscription)))
    }

    pub(crate) fn in_process(subscription: InProcessSubscription) -> Self {
        Self(Kind::InProcess(subscription))
    }

    /// The private queue's name.
    pub fn queue(&self) -> &str {
        match &self.0 {
            Kind::Amqp(subscription) => subscription.queue(),
            Kind::InProcess(subscription) => &subscription.queue,
        }
    }

    /// The next message. Cancel-safe: a cancelled call loses nothing.
    ///
    /// # Errors
    /// The connection is lost, the queue deleted, or (in-process) the subscriber too slow. So is every later call.
    pub async fn next(&mut self) -> Result<ReceivedMessage, Loss> {
        match &mut self.0 {
            Kind::Amqp(subscription) => subscription.next().await,
            Kind::InProcess(subscription) => subscription.next().await.map(ReceivedMessage::Batch),
        }
    }

    /// Says that every batch received so far has been dealt with, so that the broker may send more. Costs nothing: under
    /// load, one acknowledgement on the wire stands for many. If it cannot be sent, the next [`next`](Self::next) says so.
    pub fn ack(&mut self) {
        match &mut self.0 {
            Kind::Amqp(subscription) => subscription.ack(),
            Kind::InProcess(_) => {}
        }
    }

    /// Closes the connection in order, and with it the queue; takes 2 s at most.
    pub async fn close(self) {
        match self.0 {
            Kind::Amqp(subscription) => subscription.close().await,
            Kind::InProcess(_) => {}
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Amqp(_) => "Amqp",
            Self::InProcess(_) => "InProcess",
        })
    }
}
