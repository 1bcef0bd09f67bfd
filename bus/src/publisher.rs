//! The publishing end of the bus, broker or none.

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

/// One connection to the broker that only publishes. It is never repaired: once lost, make a new one and send again
/// what has no outcome.
#[derive(Debug)]
pub struct Publisher(Kind);

enum Kind {
    Amqp(Box<AmqpPublisher>),
    InProcess(InProcessPublisher),
}

impl Publisher {
    pub(crate) fn amqp(publisher: AmqpPublisher) -> Self {
        Self(Kind::Amqp(Box::new(publisher)))
    }

    pub(crate) fn in_process(publisher: InProcessPublisher) -> Self {
        Self(Kind::InProcess(publisher))
    }

    /// Its id in every [`Batch`](crate::Batch) it sends.
    pub fn id(&self) -> Uuid {
        match &self.0 {
            Kind::Amqp(publisher) => publisher.id(),
            Kind::InProcess(publisher) => publisher.id,
        }
    }

    /// Sends one message. No events make a sign of life. The calls' order is the order on the wire.
    ///
    /// Returns when the message has been written to the connection. While the broker blocks publishers (memory or disk
    /// alarm) that takes as long as the alarm; it then goes on by itself, so do not put a timeout around it. Not to be
    /// cancelled: whether the message then went out is unknown, so drop the publisher as well.
    ///
    /// `ttl`: how long, in whole milliseconds, the message may wait in a queue; then it goes to the dead letters.
    ///
    /// # Errors
    /// The connection is lost; whether the message went out is unknown.
    pub async fn send(&mut self, events: &[Event], ttl: Duration) -> Result<Confirm, Loss> {
        self.publish(Content::Events(events), ttl).await
    }

    /// Says, in a message of its own, that the process leaves in order and has published everything. To be the last one.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn say_goodbye(&mut self, ttl: Duration) -> Result<Confirm, Loss> {
        self.publish(Content::Goodbye, ttl).await
    }

    async fn publish(&mut self, content: Content<'_>, ttl: Duration) -> Result<Confirm, Loss> {
        match &mut self.0 {
            Kind::Amqp(publisher) => {
                publisher.publish(content, ttl).await.map(|outcome| Confirm(Answer::Later(outcome)))
            }
            Kind::InProcess(publisher) => {
                publisher.publish(content).map(|routed| Confirm(Answer::Known(routed)))
            }
        }
    }

    /// Resolves when the connection is lost, so that an idle publisher notices, too.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let lost = match &self.0 {
            Kind::Amqp(publisher) => Ok(publisher.lost()),
            Kind::InProcess(publisher) => Err(publisher.lost()),
        };
        async move {
            match lost {
                Ok(lost) => lost.await,
                Err(lost) => lost.await,
            }
        }
    }

    /// Closes the connection in order; takes 2 s at most. Confirms that are still out are then [`Loss`].
    pub async fn close(self) {
        match self.0 {
            Kind::Amqp(publisher) => publisher.close().await,
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

/// A message's outcome, when it is known: a future. Many may be out at once; 16–64 are enough for full speed.
#[derive(Debug)]
#[must_use = "without its outcome nobody knows whether the message arrived"]
pub struct Confirm(Answer);

#[derive(Debug)]
enum Answer {
    Known(PublishOutcome),
    Later(PendingOutcome),
}

impl Confirm {
    /// Waits for the broker's answer.
    ///
    /// # Errors
    /// The connection is lost; the message may have been delivered or not.
    pub async fn outcome(self) -> Result<PublishOutcome, Loss> {
        self.await
    }
}

impl Future for Confirm {
    type Output = Result<PublishOutcome, Loss>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Answer::Known(routed) => Poll::Ready(Ok(*routed)),
            Answer::Later(promised) => Pin::new(promised).poll(context),
        }
    }
}
