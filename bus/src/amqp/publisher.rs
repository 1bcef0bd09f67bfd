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

use super::{
    connection::{Link, Received, UNEXPECTED},
    error::LinkError,
};
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
    outcomes: Outcomes,
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
            outcomes: Outcomes::default(),
            lost: None,
            link,
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) async fn publish(&mut self, content: Content<'_>, ttl: Duration) -> Result<(), Loss> {
        poll_fn(|context| self.poll_unblocked(context)).await?;
        let head = Head {
            publisher: self.id,
            number: self.outcomes.begin(),
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
        let pushed = self.link.send_message(publish, properties, &self.body);
        pushed.map_err(|error| self.lose(error.into()))?;
        poll_fn(|context| self.poll_sent(context)).await
    }

    /// What became of the oldest message without an outcome.
    pub(crate) async fn outcome(&mut self) -> Result<PublishOutcome, Loss> {
        poll_fn(|context| {
            loop {
                if let Some(outcome) = self.outcomes.take() {
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
        self.outcomes.note(tag, is_multiple, outcome).map_err(Loss::from)
    }

    fn lose(&mut self, lost: Loss) -> Loss {
        self.lost.insert(lost).clone()
    }
}

/// What became of the messages whose outcome was not taken yet. The caller bounds how many there are.
#[derive(Default)]
struct Outcomes {
    /// The number of the last message.
    sent: u64,
    /// The oldest first; `None`: the broker has not answered.
    waiting: VecDeque<Option<PublishOutcome>>,
}

impl Outcomes {
    /// The number of the next message.
    fn begin(&mut self) -> u64 {
        self.waiting.push_back(None);
        self.sent += 1;
        self.sent
    }

    /// Notes an answer to a message, or with `is_multiple` to all messages up to it. The first answer counts: a message that came back
    /// is acknowledged as well.
    fn note(&mut self, number: u64, is_multiple: bool, outcome: PublishOutcome) -> Result<(), LinkError> {
        // The broker has answered what was never sent.
        let later = self.sent.checked_sub(number).ok_or(UNEXPECTED)?;
        let later = usize::try_from(later).unwrap_or(usize::MAX);
        let Some(place) = self.waiting.len().checked_sub(later.saturating_add(1)) else { return Ok(()) };
        let first = if is_multiple { 0 } else { place };
        for answer in self.waiting.range_mut(first..=place) {
            answer.get_or_insert(outcome);
        }
        Ok(())
    }

    /// The outcome of the oldest message, once it is known.
    fn take(&mut self) -> Option<PublishOutcome> {
        self.waiting.pop_front_if(|outcome| outcome.is_some())?
    }
}

#[cfg(test)]
mod tests {
    use PublishOutcome::{Delivered, NoRoute, Refused};
    use proptest::prelude::*;

    use super::*;

    fn of(messages: u64) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for number in 1..=messages {
            assert_eq!(outcomes.begin(), number);
        }
        outcomes
    }

    #[test]
    fn outcomes_are_taken_in_the_order_of_the_messages() {
        let mut outcomes = of(4);
        assert_eq!(outcomes.note(2, false, Delivered), Ok(()));
        assert_eq!(outcomes.take(), None, "the first has none");
        assert_eq!(outcomes.note(3, true, Refused), Ok(()));
        assert_eq!([(); 4].map(|()| outcomes.take()), [Some(Refused), Some(Delivered), Some(Refused), None]);
        assert_eq!(outcomes.begin(), 5);
        assert_eq!(outcomes.note(4, false, Delivered), Ok(()));
        assert_eq!([(); 2].map(|()| outcomes.take()), [Some(Delivered), None]);
    }

    #[test]
    fn a_message_that_came_back_is_not_delivered_whenever_it_is_acknowledged() {
        for is_multiple in [false, true] {
            let mut outcomes = of(2);
            assert_eq!(outcomes.note(2, false, NoRoute), Ok(()));
            assert_eq!(outcomes.note(1, false, Delivered), Ok(()));
            assert_eq!(outcomes.note(2, is_multiple, Delivered), Ok(()));
            assert_eq!([(); 2].map(|()| outcomes.take()), [Some(Delivered), Some(NoRoute)]);
            // Also if its outcome was taken before.
            assert_eq!(outcomes.note(2, is_multiple, Delivered), Ok(()));
            assert_eq!(outcomes.take(), None);
        }
    }

    #[test]
    fn an_answer_to_what_was_not_sent_is_an_error() {
        assert_eq!(of(2).note(3, false, Delivered), Err(UNEXPECTED));
        assert_eq!(of(2).note(u64::MAX, true, Delivered), Err(UNEXPECTED));
    }

    proptest! {
        /// As if each message's first answer were kept by its number.
        #[test]
        fn no_outcome_is_lost_or_invented(
            answers in proptest::collection::vec((1..=12_u64, any::<bool>(), 0..3_usize, any::<bool>()), 0..24),
        ) {
            let (mut outcomes, mut known) = (of(12), [None; 12]);
            let mut taken = Vec::new();
            for (number, is_multiple, outcome, takes) in answers {
                let outcome = [Delivered, NoRoute, Refused][outcome];
                prop_assert_eq!(outcomes.note(number, is_multiple, outcome), Ok(()));
                for (one, known) in (1..).zip(&mut known) {
                    if one == number || (is_multiple && one < number) {
                        known.get_or_insert(outcome);
                    }
                }
                if takes {
                    taken.extend(outcomes.take());
                }
            }
            taken.extend(std::iter::from_fn(|| outcomes.take()));
            let expected: Vec<_> = known.into_iter().map_while(|outcome| outcome).collect();
            prop_assert_eq!(taken, expected);
        }
    }
}
