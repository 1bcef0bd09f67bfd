//! The in-process bus keeps the promises of the broker.

use std::time::Duration;

use futures_util::FutureExt;
use uuid::Uuid;

use super::Bus;
use crate::{
    Event, IN_PROCESS_CAPACITY, Loss, Origin, PublishOutcome, Publisher, ReceivedMessage, Subscription,
};

const TTL: Duration = Duration::from_secs(30);
const ORIGIN: Origin = Origin { epoch: Uuid::from_u128(1), instance: Uuid::from_u128(2) };

async fn send(publisher: &mut Publisher, events: &[Event]) -> Result<PublishOutcome, Loss> {
    publisher.send(events, TTL).await?;
    publisher.outcome().await
}

async fn number(subscription: &mut Subscription) -> Result<u64, Loss> {
    match subscription.next().await? {
        ReceivedMessage::Batch(batch) => Ok(batch.head.number),
        other => panic!("an in-process bus has only batches, not {other:?}"),
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
    assert_eq!(send(&mut publisher, &events).await, Ok(PublishOutcome::Delivered));
    assert_eq!(send(&mut publisher, &[]).await, Ok(PublishOutcome::Delivered));
    for subscription in &mut subscriptions {
        let ReceivedMessage::Batch(first) = subscription.next().await.unwrap() else {
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
async fn a_goodbye_is_received_as_an_empty_batch() {
    let bus = Bus::in_process();
    let mut publisher = bus.publisher(ORIGIN).await.unwrap();
    let mut subscription = bus.subscribe().await.unwrap();
    publisher.say_goodbye(TTL).await.unwrap();
    assert_eq!(publisher.outcome().await, Ok(PublishOutcome::Delivered));
    let ReceivedMessage::Batch(batch) = subscription.next().await.unwrap() else {
        panic!("a goodbye was sent")
    };
    assert!(batch.head.goodbye && batch.events.is_empty(), "{batch:?}");
    assert_eq!((batch.head.origin, batch.head.number), (Some(ORIGIN), 1));
}

#[tokio::test]
async fn without_a_subscriber_there_is_no_route() {
    let bus = Bus::in_process();
    let mut publisher = bus.publisher(ORIGIN).await.unwrap();
    assert_eq!(send(&mut publisher, &[]).await, Ok(PublishOutcome::NoRoute));
    let mut subscription = bus.subscribe().await.unwrap();
    assert_eq!(send(&mut publisher, &[]).await, Ok(PublishOutcome::Delivered));
    assert_eq!(number(&mut subscription).await, Ok(2), "what was sent before is not received");
    subscription.close().await;
    assert_eq!(send(&mut publisher, &[]).await, Ok(PublishOutcome::NoRoute));
}

#[tokio::test]
async fn only_a_slow_subscriber_gets_an_overflow() {
    let bus = Bus::in_process();
    let mut publisher = bus.publisher(ORIGIN).await.unwrap();
    let [mut slow, mut quick] = [bus.subscribe().await.unwrap(), bus.subscribe().await.unwrap()];
    for sent in 1..=IN_PROCESS_CAPACITY as u64 + 1 {
        assert_eq!(send(&mut publisher, &[]).await, Ok(PublishOutcome::Delivered));
        assert_eq!(number(&mut quick).await, Ok(sent));
    }
    assert_eq!(number(&mut slow).await, Err(Loss::Overflow { missed: 1 }));
    assert_eq!(number(&mut slow).await, Err(Loss::Overflow { missed: 1 }), "it stays lost");
}

#[tokio::test]
async fn an_interruption_breaks_all_connections_and_new_ones_work() {
    let bus = Bus::in_process();
    let Bus::InProcess(broker) = &bus else { panic!("it is in-process") };
    let mut publisher = bus.publisher(ORIGIN).await.unwrap();
    let mut subscription = bus.subscribe().await.unwrap();
    assert_eq!(publisher.outcome().now_or_never(), None);
    broker.interrupt();
    assert!(matches!(publisher.outcome().await, Err(Loss::Connection(_))));
    assert!(matches!(send(&mut publisher, &[]).await, Err(Loss::Connection(_))));
    assert!(matches!(number(&mut subscription).await, Err(Loss::Connection(_))));
    let mut subscription = bus.subscribe().await.unwrap();
    let mut publisher = bus.publisher(ORIGIN).await.unwrap();
    assert_eq!(send(&mut publisher, &[]).await, Ok(PublishOutcome::Delivered));
    assert_eq!(number(&mut subscription).await, Ok(1));
}
