//! Receives from RabbitMQ: the only consumer of a private queue.
//!
//! Acknowledgements only limit the broker's speed, because the queue is deleted with its connection. So they are late: one is for
//! up to [`ACK_AT_LEAST_EVERY`] messages, or for those of [`ACK_WITHIN`].

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPMethod as Basic},
    },
    types::{FieldTable, ShortString},
};
use tokio::time::{Sleep, sleep};

use super::{
    connection::{Link, Message, Received, UNEXPECTED},
    error::LinkError,
};
use crate::{
    envelope::{Batch, CONTENT_TYPE},
    error::Loss,
    message::ReceivedMessage,
};

/// How many unacknowledged messages the broker sends. The other ones of a slow replica wait in its queue, where they
/// expire.
const PREFETCH: u16 = 256;
/// Far below [`PREFETCH`], so that the broker never pauses for an acknowledgement.
const ACK_AT_LEAST_EVERY: u64 = 64;
/// How long a message that was processed waits for its acknowledgement: each costs the broker as much as a small message.
const ACK_WITHIN: Duration = Duration::from_millis(200);

pub(crate) struct AmqpSubscription {
    queue: String,
    /// The delivery tag of the last batch received.
    received: u64,
    /// The delivery tag up to which the caller has processed them.
    processed: u64,
    /// The delivery tag up to which they are acknowledged to the broker.
    acknowledged: u64,
    /// When the next acknowledgement is due, if something was processed.
    ack_at: Option<Pin<Box<Sleep>>>,
    lost: Option<Loss>,
    link: Link,
}

/// Starts consuming.
pub(super) async fn consume(link: &mut Link, queue: &str) -> Result<(), LinkError> {
    let qos = basic::Qos { prefetch_count: PREFETCH, global: false };
    link.ask(AMQPClass::Basic(Basic::Qos(qos))).await?;
    let consume = basic::Consume {
        queue: queue.into(),
        consumer_tag: ShortString::default(),
        no_local: false,
        no_ack: false,
        exclusive: true,
        nowait: false,
        arguments: FieldTable::default(),
    };
    link.ask(AMQPClass::Basic(Basic::Consume(consume))).await
}

impl AmqpSubscription {
    pub(super) fn new(link: Link, queue: String) -> Self {
        Self { queue, received: 0, processed: 0, acknowledged: 0, ack_at: None, lost: None, link }
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    pub(crate) fn ack(&mut self) {
        self.processed = self.received;
    }

    pub(crate) async fn next(&mut self) -> Result<ReceivedMessage, Loss> {
        poll_fn(|context| self.poll_next(context)).await
    }

    pub(crate) async fn close(self) {
        self.link.close().await;
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<ReceivedMessage, Loss>> {
        if let Some(lost) = &self.lost {
            return Poll::Ready(Err(lost.clone()));
        }
        let next = self.poll_message(context);
        if let Poll::Ready(Err(lost)) = &next {
            self.lost = Some(lost.clone());
        }
        next
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<ReceivedMessage, Loss>> {
        if self.processed >= self.acknowledged + ACK_AT_LEAST_EVERY {
            self.acknowledge()?;
        }
        loop {
            if let Poll::Ready(received) = self.link.poll_receive(context) {
                let message = self.classify(received?)?;
                // What is answered at once does not wait for the next poll, unless it cannot be sent yet.
                if let Poll::Ready(sent) = self.link.poll_flush(context) {
                    sent?;
                }
                return Poll::Ready(Ok(message));
            }
            if !self.is_ack_due(context) {
                return Poll::Pending;
            }
            self.acknowledge()?;
        }
    }

    /// Whether what was processed must be acknowledged now.
    fn is_ack_due(&mut self, context: &mut Context<'_>) -> bool {
        self.processed > self.acknowledged
            && self
                .ack_at
                .get_or_insert_with(|| Box::pin(sleep(ACK_WITHIN)))
                .as_mut()
                .poll(context)
                .is_ready()
    }

    /// Decodes a batch. Acknowledges a foreign message and rejects a poison message, which the caller only counts.
    fn classify(&mut self, received: Received) -> Result<ReceivedMessage, Loss> {
        let Message { method, properties, body } = match received {
            Received::Message(message) => *message,
            Received::Method(AMQPClass::Basic(Basic::Cancel(_))) => return Err(Loss::QueueDeleted),
            Received::Method(_) => return Err(UNEXPECTED.into()),
        };
        let Basic::Deliver(basic::Deliver { delivery_tag: tag, .. }) = method else {
            return Err(UNEXPECTED.into());
        };
        let content_type = properties.content_type().as_ref().map_or("", ShortString::as_str);
        if content_type != CONTENT_TYPE {
            let ack = basic::Ack { delivery_tag: tag, multiple: false };
            self.link.send(AMQPClass::Basic(Basic::Ack(ack)))?;
            return Ok(ReceivedMessage::Foreign { content_type: content_type.to_owned() });
        }
        match Batch::decode(body) {
            Ok(batch) => {
                self.received = tag;
                Ok(ReceivedMessage::Batch(batch))
            }
            Err(reason) => {
                let reject = basic::Reject { delivery_tag: tag, requeue: false };
                self.link.send(AMQPClass::Basic(Basic::Reject(reject)))?;
                Ok(ReceivedMessage::Poison { reason })
            }
        }
    }

    /// Acknowledges what was processed since the last acknowledgement. It is sent with the next poll.
    fn acknowledge(&mut self) -> Result<(), Loss> {
        self.ack_at = None;
        self.acknowledged = self.processed;
        let ack = basic::Ack { delivery_tag: self.processed, multiple: true };
        Ok(self.link.send(AMQPClass::Basic(Basic::Ack(ack)))?)
    }
}
