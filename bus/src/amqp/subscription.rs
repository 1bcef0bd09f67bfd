//! Receiving from RabbitMQ: the private queue's one consumer.
//!
//! Acknowledgements are for flow only, since the queue and all that is in it dies with the connection. So they may lag:
//! while messages come in one after the other, one acknowledgement stands for up to [`ACK_AT_LEAST_EVERY`] of them; as
//! soon as there is nothing to receive, the last one goes out. None is waited for. Should one fail, so does the consumer.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions},
    types::{FieldTable, ShortString},
};

use super::{confirms, connection::Link};
use crate::{
    envelope::{Batch, CONTENT_TYPE},
    error::Loss,
    message::ReceivedMessage,
};

/// How many unacknowledged messages the broker sends. A slow replica's others wait in its queue, where they expire.
const PREFETCH: u16 = 256;
/// Far below [`PREFETCH`], so that the broker never pauses for an acknowledgement.
const ACK_AT_LEAST_EVERY: u64 = 64;

pub(crate) struct AmqpSubscription {
    queue: String,
    consumer: Consumer,
    channel: Channel,
    /// The delivery tag of the last batch received, …
    received: u64,
    /// … up to which the caller has dealt with them, …
    dealt_with: u64,
    /// … and up to which the broker has been told.
    acknowledged: u64,
    lost: Option<Loss>,
    link: Link,
}

/// Starts consuming.
pub(super) async fn consume(channel: &Channel, queue: &str) -> lapin::Result<Consumer> {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue.into(), ShortString::default(), options, FieldTable::default()).await
}

impl AmqpSubscription {
    pub(super) fn new(link: Link, channel: Channel, consumer: Consumer, queue: String) -> Self {
        Self { queue, consumer, channel, received: 0, dealt_with: 0, acknowledged: 0, lost: None, link }
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    pub(crate) fn ack(&mut self) {
        self.dealt_with = self.received;
    }

    pub(crate) async fn next(&mut self) -> Result<ReceivedMessage, Loss> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        if self.dealt_with >= self.acknowledged + ACK_AT_LEAST_EVERY {
            self.acknowledge()?;
        }
        let ready = self.consumer.next().now_or_never();
        let next = match ready {
            Some(next) => next,
            None => {
                self.acknowledge()?;
                self.consumer.next().await
            }
        };
        match next {
            Some(Ok(delivery)) => self.sort(delivery),
            Some(Err(error)) => Err(self.lose(confirms::broken(&error))),
            // The consumer was cancelled, without an error: by the broker, if the connection is still there.
            None if self.channel.status().connected() => Err(self.lose(Loss::QueueDeleted)),
            None => Err(self.lose(confirms::closed())),
        }
    }

    pub(crate) async fn close(self) {
        self.link.close().await;
    }

    /// Tells ours from others', and acknowledges or rejects what the caller need not see.
    fn sort(&mut self, delivery: Delivery) -> Result<ReceivedMessage, Loss> {
        let tag = delivery.delivery_tag;
        let content_type = delivery.properties.content_type().as_ref().map_or("", ShortString::as_str);
        if content_type != CONTENT_TYPE {
            let content_type = content_type.to_owned();
            self.sent(self.channel.basic_ack(tag, BasicAckOptions::default()).now_or_never())?;
            return Ok(ReceivedMessage::Foreign { content_type });
        }
        match Batch::decode(Bytes::from(delivery.data)) {
            Ok(batch) => {
                self.received = tag;
                Ok(ReceivedMessage::Batch(batch))
            }
            Err(reason) => {
                let options = BasicRejectOptions { requeue: false };
                self.sent(self.channel.basic_reject(tag, options).now_or_never())?;
                Ok(ReceivedMessage::Poison { reason })
            }
        }
    }

    /// Tells the broker what has been dealt with since the last time.
    fn acknowledge(&mut self) -> Result<(), Loss> {
        if self.dealt_with > self.acknowledged {
            self.acknowledged = self.dealt_with;
            let options = BasicAckOptions { multiple: true };
            self.sent(self.channel.basic_ack(self.dealt_with, options).now_or_never())?;
        }
        Ok(())
    }

    /// A frame is handed to the connection when its future is first polled; from then on only waiting is left.
    fn sent(&mut self, handed_over: Option<lapin::Result<()>>) -> Result<(), Loss> {
        match handed_over {
            Some(Err(error)) => Err(self.lose(confirms::broken(&error))),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn lose(&mut self, lost: Loss) -> Loss {
        self.lost.insert(lost).clone()
    }
}
