//! Receives from RabbitMQ: the only consumer of a private queue.
//!
//! Acknowledgements only limit the broker's speed, because the queue is deleted with its connection. So they may be late:
//! while messages arrive, one acknowledgement is for up to [`ACK_AT_LEAST_EVERY`] of them; as soon as there is nothing to
//! receive, the last one is sent. We do not wait for any of them; if one fails, the consumer fails too.

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

/// How many unacknowledged messages the broker sends. The other ones of a slow replica wait in its queue, where they
/// expire.
const PREFETCH: u16 = 256;
/// Far below [`PREFETCH`], so that the broker never pauses for an acknowledgement.
const ACK_AT_LEAST_EVERY: u64 = 64;

pub(crate) struct AmqpSubscription {
    queue: String,
    consumer: Consumer,
    channel: Channel,
    /// The delivery tag of the last batch received.
    received: u64,
    /// The delivery tag up to which the caller has processed them.
    processed: u64,
    /// The delivery tag up to which they are acknowledged to the broker.
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
        Self { queue, consumer, channel, received: 0, processed: 0, acknowledged: 0, lost: None, link }
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    pub(crate) fn ack(&mut self) {
        self.processed = self.received;
    }

    pub(crate) async fn next(&mut self) -> Result<ReceivedMessage, Loss> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        if self.processed >= self.acknowledged + ACK_AT_LEAST_EVERY {
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
            Some(Ok(delivery)) => self.classify(delivery),
            Some(Err(error)) => Err(self.lose(confirms::broken(&error))),
            // The broker has cancelled the consumer, which is no error for lapin, unless the connection has ended.
            None if self.channel.status().connected() => Err(self.lose(Loss::QueueDeleted)),
            None => Err(self.lose(Loss::Connection(None))),
        }
    }

    pub(crate) async fn close(self) {
        self.link.close().await;
    }

    /// Decodes a batch. Acknowledges a foreign message and rejects a poison message, which the caller only counts.
    fn classify(&mut self, delivery: Delivery) -> Result<ReceivedMessage, Loss> {
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

    /// Acknowledges what was processed since the last acknowledgement.
    fn acknowledge(&mut self) -> Result<(), Loss> {
        if self.processed > self.acknowledged {
            self.acknowledged = self.processed;
            let options = BasicAckOptions { multiple: true };
            self.sent(self.channel.basic_ack(self.processed, options).now_or_never())?;
        }
        Ok(())
    }

    /// lapin queues a frame when its future is polled for the first time; after that the future only waits.
    fn sent(&mut self, polled: Option<lapin::Result<()>>) -> Result<(), Loss> {
        match polled {
            Some(Err(error)) => Err(self.lose(confirms::broken(&error))),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn lose(&mut self, lost: Loss) -> Loss {
        self.lost.insert(lost).clone()
    }
}
