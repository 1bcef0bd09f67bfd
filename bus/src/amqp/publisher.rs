//! Publishing to RabbitMQ: mandatory, persistent, confirmed.
//!
//! The broker counts the messages of a channel in confirm mode: the first is 1, as ours is. A message that reaches no queue
//! comes back before it is acknowledged; it is recognised by the number in its body.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPMethod as Basic, AMQPProperties},
    },
    types::ShortString,
};
use uuid::Uuid;

use super::connection::{Link, Received, UNEXPECTED};
use crate::{
    envelope::{Batch, CONTENT_TYPE, Head, Origin, unix_milliseconds},
    error::Loss,
    message::{Content, PublishOutcome},
};

/// AMQP's delivery mode for messages that survive a restart of the broker in a durable queue: the dead letters'.
const PERSISTENT: u8 = 2;

pub(crate) struct AmqpPublisher {
    id: Uuid,
    origin: Origin,
    exchange: ShortString,
    properties: AMQPProperties,
    body: Vec<u8>,
    /// The number of the last message.
    sent: u64,
    /// What became of the last messages, the oldest first; `None`: the broker has not answered.
    outcomes: VecDeque<Option<PublishOutcome>>,
    lost: Option<Loss>,
    link: Link,
}

impl AmqpPublisher {
    /// The link's channel is in confirm mode, and nothing was published on it.
    pub(super) fn new(link: Link, exchange: &str, origin: Origin) -> Self {
        let properties =
            AMQPProperties::default().with_content_type(CONTENT_TYPE.into()).with_delivery_mode(PERSISTENT);
        Self {
            id: Uuid::new_v4(),
            origin,
            exchange: exchange.into(),
            properties,
            body: Vec::new(),
            sent: 0,
            outcomes: VecDeque::new(),
            lost: None,
            link,
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) async fn publish(&mut self, content: Content<'_>, ttl: Duration) -> Result<(), Loss> {
        poll_fn(|context| self.poll_unblocked(context)).await?;
        self.sent += 1;
        let head = Head {
            publisher: self.id,
            number: self.sent,
            origin: Some(self.origin),
            goodbye: content.is_goodbye(),
            sent_at: Some(unix_milliseconds()),
        };
        Batch::encode(&head, content.events(), &mut self.body);
        let properties = self.properties.clone().with_expiration(ttl.as_millis().to_string().into());
        let publish = basic::Publish {
            exchange: self.exchange.clone(),
            routing_key: ShortString::default(),
            // Without it the broker acknowledges also a message that reached no queue.
            mandatory: true,
            immediate: false,
        };
        self.outcomes.push_back(None);
        let pushed = self.link.send_message(publish, properties, &self.body);
        pushed.map_err(|error| self.lose(error.into()))?;
        poll_fn(|context| self.poll_sent(context)).await
    }

    /// What became of the oldest message without an outcome.
    pub(crate) async fn outcome(&mut self) -> Result<PublishOutcome, Loss> {
        poll_fn(|context| {
            loop {
                if let Some(Some(outcome)) = self.outcomes.pop_front_if(|outcome| outcome.is_some()) {
                    return Poll::Ready(Ok(outcome));
                }
                if self.poll_take(context)?.is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    pub(crate) async fn close(self) {
        self.link.close().await;
    }

    /// Resolves when the broker does not block publishers.
    fn poll_unblocked(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Loss>> {
        while self.poll_take(context)?.is_ready() {}
        if self.link.is_blocked() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Resolves when everything is written to the socket. Reads meanwhile, as the broker may be waiting for that.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Loss>> {
        if let Poll::Ready(Ok(())) = self.link.poll_flush(context) {
            return Poll::Ready(Ok(()));
        }
        // If writing has failed, reading fails, too, or finds the broker's reason.
        while self.poll_take(context)?.is_ready() {}
        Poll::Pending
    }

    /// Takes what the broker sends next.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Loss>> {
        if let Some(lost) = &self.lost {
            return Poll::Ready(Err(lost.clone()));
        }
        self.link.poll_receive(context).map(|received| {
            let taken = received.map_err(Loss::from).and_then(|received| self.take(received));
            taken.map_err(|lost| self.lose(lost))
        })
    }

    fn take(&mut self, received: Received) -> Result<(), Loss> {
        let (tag, is_multiple, outcome) = match received {
            Received::Method(AMQPClass::Basic(Basic::Ack(ack))) => {
                (ack.delivery_tag, ack.multiple, PublishOutcome::Delivered)
            }
            Received::Method(AMQPClass::Basic(Basic::Nack(nack))) => {
                (nack.delivery_tag, nack.multiple, PublishOutcome::Refused)
            }
            // Only what was published comes back.
            Received::Message(returned) => {
                let batch = Batch::decode(returned.body).map_err(|_| UNEXPECTED)?;
                (batch.head.number, false, PublishOutcome::NoRoute)
            }
            Received::Method(_) => return Err(UNEXPECTED.into()),
        };
        if tag > self.sent {
            return Err(UNEXPECTED.into());
        }
        let oldest = self.sent + 1 - self.outcomes.len() as u64;
        let first = if is_multiple { oldest } else { tag };
        for number in first.max(oldest)..=tag {
            let place = usize::try_from(number - oldest).unwrap_or(usize::MAX);
            // A message that came back is acknowledged as well.
            if let Some(none @ None) = self.outcomes.get_mut(place) {
                *none = Some(outcome);
            }
        }
        Ok(())
    }

    fn lose(&mut self, lost: Loss) -> Loss {
        self.lost.insert(lost).clone()
    }
}
