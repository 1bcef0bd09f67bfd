//! The bus without a broker, for `ringpad dev` and fast tests: same types, same promises, one process.
//!
//! Bounded: a subscriber that falls [`CAPACITY`] batches behind is told [`Lost::Overflow`], never kept in the dark. A
//! message's time to live is of no meaning here, since no subscriber gets anything that was sent before it came.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use crate::{
    envelope::{Batch, Head, Origin, unix_milliseconds},
    error::Lost,
    publisher::{Content, Routed},
};

/// How many batches a subscriber may fall behind.
pub const CAPACITY: usize = 1024;

/// The broker's stand-in; clones are the same one.
#[derive(Debug, Clone)]
pub struct InProcess {
    batches: broadcast::Sender<Arc<Batch>>,
    interruptions: watch::Sender<()>,
}

impl InProcess {
    pub(crate) fn new() -> Self {
        Self { batches: broadcast::Sender::new(CAPACITY), interruptions: watch::Sender::new(()) }
    }

    /// Breaks all connections there are, as a restart of the broker does: publishers and subscriptions are lost, and with
    /// the latter what they had not received. New ones are taken at once. For tests.
    pub fn interrupt(&self) {
        self.interruptions.send_replace(());
    }

    pub(crate) fn publisher(&self, origin: Origin) -> InProcessPublisher {
        InProcessPublisher {
            id: Uuid::new_v4(),
            origin,
            sent: 0,
            batches: self.batches.clone(),
            interrupted: self.interruptions.subscribe(),
        }
    }

    pub(crate) fn subscribe(&self) -> InProcessSubscription {
        InProcessSubscription {
            queue: format!("in-process-{}", Uuid::new_v4()),
            batches: self.batches.subscribe(),
            interrupted: self.interruptions.subscribe(),
            lost: None,
        }
    }
}

pub(crate) struct InProcessPublisher {
    pub(crate) id: Uuid,
    origin: Origin,
    sent: u64,
    batches: broadcast::Sender<Arc<Batch>>,
    interrupted: watch::Receiver<()>,
}

impl InProcessPublisher {
    pub(crate) fn publish(&mut self, content: Content<'_>) -> Result<Routed, Lost> {
        if has_been(&self.interrupted) {
            return Err(broken());
        }
        self.sent += 1;
        let head = Head {
            publisher: self.id,
            number: self.sent,
            origin: Some(self.origin),
            goodbye: content.is_goodbye(),
            sent_at: Some(unix_milliseconds()),
        };
        let batch = Batch { head, events: content.events().to_vec() };
        match self.batches.send(Arc::new(batch)) {
            Ok(_) => Ok(Routed::Delivered),
            Err(broadcast::error::SendError(_)) => Ok(Routed::NoRoute),
        }
    }

    pub(crate) fn lost(&self) -> impl Future<Output = Lost> + Send + use<> {
        let interrupted = self.interrupted.clone();
        interruption(interrupted)
    }
}

pub(crate) struct InProcessSubscription {
    pub(crate) queue: String,
    batches: broadcast::Receiver<Arc<Batch>>,
    interrupted: watch::Receiver<()>,
    lost: Option<Lost>,
}

impl InProcessSubscription {
    pub(crate) async fn next(&mut self) -> Result<Batch, Lost> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let next = self.receive().await;
        self.lost = next.as_ref().err().cloned();
        next
    }

    async fn receive(&mut self) -> Result<Batch, Lost> {
        let received = tokio::select! {
            biased;
            lost = interruption(self.interrupted.clone()) => return Err(lost),
            received = self.batches.recv() => received,
        };
        match received {
            Ok(batch) => Ok(Arc::unwrap_or_clone(batch)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Err(Lost::Overflow { missed }),
            Err(broadcast::error::RecvError::Closed) => Err(broken()),
        }
    }
}

/// Resolves when all connections are broken, or nobody is left who could break them.
async fn interruption(mut interrupted: watch::Receiver<()>) -> Lost {
    // An error says that the bus is gone, which is a loss just the same.
    drop(interrupted.changed().await);
    broken()
}

fn has_been(interrupted: &watch::Receiver<()>) -> bool {
    interrupted.has_changed().unwrap_or(true)
}

fn broken() -> Lost {
    Lost::Connection("the in-process bus was interrupted".into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use uuid::Uuid;

    use crate::{Bus, Event, IN_PROCESS_CAPACITY, Lost, Origin, Publisher, Received, Routed, Subscription};

    const TTL: Duration = Duration::from_secs(30);
    const ORIGIN: Origin = Origin { epoch: Uuid::from_u128(1), instance: Uuid::from_u128(2) };

    async fn send(publisher: &mut Publisher, events: &[Event]) -> Result<Routed, Lost> {
        publisher.send(events, TTL).await?.outcome().await
    }

    async fn number(subscription: &mut Subscription) -> Result<u64, Lost> {
        match subscription.next().await? {
            Received::Batch(batch) => Ok(batch.head.number),
            other => panic!("the twin has batches only, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn every_subscriber_gets_every_batch_in_order() {
        let bus = Bus::in_process();
        let mut publisher = bus.publisher(ORIGIN).await.unwrap();
        let mut subscriptions = [bus.subscribe().await.unwrap(), bus.subscribe().await.unwrap()];
        let event = Event {
            store_id: "s".into(),
            epoch: publisher.id(),
            position: 1,
            bytes: vec![1, 2].into(),
            receipt: None,
        };
        let events = [event];
        assert_eq!(send(&mut publisher, &events).await, Ok(Routed::Delivered));
        assert_eq!(send(&mut publisher, &[]).await, Ok(Routed::Delivered));
        for subscription in &mut subscriptions {
            let Received::Batch(first) = subscription.next().await.unwrap() else {
                panic!("a batch was sent")
            };
            assert_eq!((first.head.publisher, first.head.number), (publisher.id(), 1));
            assert_eq!((first.head.origin, first.head.goodbye), (Some(ORIGIN), false));
            assert_eq!(first.events, events);
            subscription.ack();
            assert_eq!(number(subscription).await, Ok(2));
        }
        assert_ne!(subscriptions[0].queue(), subscriptions[1].queue());
    }

    #[tokio::test]
    async fn a_goodbye_is_a_message_like_any_other() {
        let bus = Bus::in_process();
        let mut publisher = bus.publisher(ORIGIN).await.unwrap();
        let mut subscription = bus.subscribe().await.unwrap();
        assert_eq!(publisher.say_goodbye(TTL).await.unwrap().await, Ok(Routed::Delivered));
        let Received::Batch(batch) = subscription.next().await.unwrap() else { panic!("a goodbye was sent") };
        assert!(batch.head.goodbye && batch.events.is_empty(), "{batch:?}");
        assert_eq!((batch.head.origin, batch.head.number), (Some(ORIGIN), 1));
    }

    #[tokio::test]
    async fn without_a_subscriber_there_is_no_route() {
        let bus = Bus::in_process();
        let mut publisher = bus.publisher(ORIGIN).await.unwrap();
        assert_eq!(send(&mut publisher, &[]).await, Ok(Routed::NoRoute));
        let mut subscription = bus.subscribe().await.unwrap();
        assert_eq!(send(&mut publisher, &[]).await, Ok(Routed::Delivered));
        assert_eq!(number(&mut subscription).await, Ok(2), "what was sent before is not received");
        subscription.close().await;
        assert_eq!(send(&mut publisher, &[]).await, Ok(Routed::NoRoute));
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_and_costs_only_itself() {
        let bus = Bus::in_process();
        let mut publisher = bus.publisher(ORIGIN).await.unwrap();
        let [mut slow, mut quick] = [bus.subscribe().await.unwrap(), bus.subscribe().await.unwrap()];
        for sent in 1..=IN_PROCESS_CAPACITY as u64 + 1 {
            assert_eq!(send(&mut publisher, &[]).await, Ok(Routed::Delivered));
            assert_eq!(number(&mut quick).await, Ok(sent));
        }
        assert_eq!(number(&mut slow).await, Err(Lost::Overflow { missed: 1 }));
        assert_eq!(number(&mut slow).await, Err(Lost::Overflow { missed: 1 }), "it stays lost");
    }

    #[tokio::test]
    async fn an_interruption_is_told_to_everyone_and_new_connections_are_taken() {
        let bus = Bus::in_process();
        let Bus::InProcess(broker) = &bus else { panic!("it is in-process") };
        let mut publisher = bus.publisher(ORIGIN).await.unwrap();
        let mut subscription = bus.subscribe().await.unwrap();
        let lost = publisher.lost();
        assert_eq!(publisher.lost().now_or_never(), None);
        broker.interrupt();
        assert!(matches!(lost.await, Lost::Connection(_)));
        assert!(matches!(send(&mut publisher, &[]).await, Err(Lost::Connection(_))));
        assert!(matches!(number(&mut subscription).await, Err(Lost::Connection(_))));
        let mut subscription = bus.subscribe().await.unwrap();
        let mut publisher = bus.publisher(ORIGIN).await.unwrap();
        assert_eq!(send(&mut publisher, &[]).await, Ok(Routed::Delivered));
        assert_eq!(number(&mut subscription).await, Ok(1));
    }
}
