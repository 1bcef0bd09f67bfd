//! The publishing side of the bus, for both kinds of it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use uuid::Uuid;

use crate::{
    amqp::{AmqpPublisher, PendingOutcome},
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

    /// Sends one message; without events it is a canary. Messages are sent in the order of the calls.
    ///
    /// Returns when the message has been written to the connection. While the broker blocks publishers (memory or disk
    /// alarm) that takes as long as the alarm, so do not put a timeout around it. Not cancel-safe: it is then unknown
    /// whether the message was sent, so drop the publisher as well.
    ///
    /// `ttl`: how long, in whole milliseconds, the message may wait in a queue; then it goes to the dead letters.
    ///
    /// # Errors
    /// The connection is lost; it is unknown whether the message was sent.
    pub async fn send(&mut self, events: &[Event], ttl: Duration) -> Result<Confirm, Loss> {
        self.publish(Content::Events(events), ttl).await
    }

    /// Sends the last message, which has no events: the process leaves, and has published everything.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn say_goodbye(&mut self, ttl: Duration) -> Result<Confirm, Loss> {
        self.publish(Content::Goodbye, ttl).await
    }

    async fn publish(&mut self, content: Content<'_>, ttl: Duration) -> Result<Confirm, Loss> {
        match &mut self.0 {
            PublisherKind::Amqp(publisher) => {
                publisher.publish(content, ttl).await.map(|outcome| Confirm(ConfirmState::Later(outcome)))
            }
            PublisherKind::InProcess(publisher) => {
                publisher.publish(content).map(|routed| Confirm(ConfirmState::Known(routed)))
            }
        }
    }

    /// Resolves when the connection is lost, so that an idle publisher notices it too.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let lost = match &self.0 {
            PublisherKind::Amqp(publisher) => Ok(publisher.lost()),
            PublisherKind::InProcess(publisher) => Err(publisher.lost()),
        };
        async move {
            match lost {
                Ok(lost) => lost.await,
                Err(lost) => lost.await,
            }
        }
    }

    /// Closes the connection in order; takes 2 s at most. Confirms without an answer then end with a [`Loss`].
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

/// The outcome of a message, as a future. Many may wait at the same time; 16–64 are enough for full speed.
#[derive(Debug)]
#[must_use = "only the outcome shows whether the message arrived"]
pub struct Confirm(ConfirmState);

#[derive(Debug)]
enum ConfirmState {
    Known(PublishOutcome),
    Later(PendingOutcome),
}

impl Confirm {
    /// Waits for the broker's answer.
    ///
    /// # Errors
    /// The connection is lost; it is unknown whether the message was delivered.
    pub async fn outcome(self) -> Result<PublishOutcome, Loss> {
        self.await
    }
}

impl Future for Confirm {
    type Output = Result<PublishOutcome, Loss>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            ConfirmState::Known(routed) => Poll::Ready(Ok(*routed)),
            ConfirmState::Later(outcome) => Pin::new(outcome).poll(context),
        }
    }
}
