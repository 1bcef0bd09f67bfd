//! The publishing side of the bus, for both kinds of it.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    amqp::AmqpPublisher,
    envelope::Event,
    error::Loss,
    in_process::InProcessPublisher,
    message::{Content, PublishOutcome},
};

/// One connection to the broker that only publishes. It does not reconnect: after a loss make a new one, and send again what
/// has no outcome.
#[derive(Debug)]
pub struct Publisher(PublisherKind);

enum PublisherKind {
    Amqp(Box<AmqpPublisher>),
    InProcess(InProcessPublisher),
}

impl Publisher {
    pub(crate) fn amqp(publisher: AmqpPublisher) -> Self {
        Self(PublisherKind::Amqp(Box::new(publisher)))
    }

    pub(crate) fn in_process(publisher: InProcessPublisher) -> Self {
        Self(PublisherKind::InProcess(publisher))
    }

    /// The publisher's id in every [`Batch`](crate::Batch) that it sends.
    pub fn id(&self) -> Uuid {
        match &self.0 {
            PublisherKind::Amqp(publisher) => publisher.id(),
            PublisherKind::InProcess(publisher) => publisher.id,
        }
    }

    /// Sends one message; without events it is a canary. Messages are sent in the order of the calls. Each has an
    /// [outcome](Self::outcome) later; 16–64 messages without one are enough for full speed;
    /// the caller bounds how many there are.
    ///
    /// Returns when the message has been written to the connection. While the broker blocks publishers (memory or disk
    /// alarm) that takes as long as the alarm, so do not put a timeout around it. Not cancel-safe: it is then unknown
    /// whether the message was sent, so drop the publisher as well.
    ///
    /// `ttl`: how long, in whole milliseconds, the message may wait in a queue; then it goes to the dead letters.
    ///
    /// # Errors
    /// The connection is lost; it is unknown whether the message was sent.
    pub async fn send(&mut self, events: &[Event], ttl: Duration) -> Result<(), Loss> {
        self.publish(Content::Events(events), ttl).await
    }

    /// Sends the last message, which has no events: the process leaves, and has published everything.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn say_goodbye(&mut self, ttl: Duration) -> Result<(), Loss> {
        self.publish(Content::Goodbye, ttl).await
    }

    async fn publish(&mut self, content: Content<'_>, ttl: Duration) -> Result<(), Loss> {
        match &mut self.0 {
            PublisherKind::Amqp(publisher) => publisher.publish(content, ttl).await,
            PublisherKind::InProcess(publisher) => publisher.publish(content),
        }
    }

    /// The broker's answer to the oldest message whose outcome was not taken yet. Cancel-safe. Wait for it also when there is no
    /// such message: it answers the broker's heartbeats, and notices when the connection is lost.
    ///
    /// # Errors
    /// The connection is lost; it is unknown whether messages without an outcome were delivered.
    pub async fn outcome(&mut self) -> Result<PublishOutcome, Loss> {
        match &mut self.0 {
            PublisherKind::Amqp(publisher) => publisher.outcome().await,
            PublisherKind::InProcess(publisher) => publisher.outcome().await,
        }
    }

    /// Closes the connection in order; takes 2 s at most. Outcomes that were not taken are lost.
    pub async fn close(self) {
        match self.0 {
            PublisherKind::Amqp(publisher) => publisher.close().await,
            PublisherKind::InProcess(_) => {}
        }
    }
}

impl std::fmt::Debug for PublisherKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Amqp(_) => "Amqp",
            Self::InProcess(_) => "InProcess",
        })
    }
}
