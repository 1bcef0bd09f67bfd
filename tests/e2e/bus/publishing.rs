//! The path of a message, and of messages that are not delivered.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use lapin::{
    BasicProperties, Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use ringpad_bus::{
    Batch, CONTENT_TYPE, EnvelopeError, Head, PublishOutcome, ReceivedMessage, unix_milliseconds,
};
use ringpad_tests::{
    rabbit::{QUERIES, RabbitNode, unique},
    wait::{SOON, must, until},
};

use super::{ORIGIN, TTL, batch, bus, event, publisher, receive, send, subscription};

async fn channel(node: &RabbitNode) -> Channel {
    must("a channel", node.connect().await.create_channel().await)
}

/// Publishes messages that the bus would not send.
async fn publish(channel: &Channel, exchange: &str, content_type: Option<&str>, body: &[u8]) {
    let properties = match content_type {
        Some(content_type) => BasicProperties::default().with_content_type(content_type.into()),
        None => BasicProperties::default(),
    };
    let key = ShortString::default();
    let sent = channel.basic_publish(exchange.into(), key, BasicPublishOptions::default(), body, properties);
    must("a message of another program", sent.await);
}

/// Takes the next message of a queue.
async fn get(channel: &Channel, queue: &str) -> BasicGetMessage {
    let message = until(&format!("a message in {queue}"), SOON, async || {
        must("basic.get", channel.basic_get(queue.into(), BasicGetOptions::default()).await)
    })
    .await;
    must("an acknowledgement", message.ack(BasicAckOptions::default()).await);
    message
}

/// Why the broker moved a message to the dead letters.
fn reason(letter: &BasicGetMessage) -> String {
    let headers = letter.properties.headers().as_ref().map(FieldTable::inner);
    match headers.and_then(|headers| headers.get("x-first-death-reason")) {
        Some(AMQPValue::LongString(reason)) => reason.to_string(),
        other => panic!("a dead letter's reason is {other:?}"),
    }
}

#[tokio::test]
async fn every_replica_receives_every_batch_in_order_and_numbered() {
    let node = RabbitNode::shared().await;
    let bus = bus(&node.url(), &unique("fanout"));
    let mut replicas = [subscription(&bus).await, subscription(&bus).await];
    let mut publisher = publisher(&bus).await;
    // Enough that replicas must acknowledge to get the rest.
    let began = unix_milliseconds();
    for position in 1..=1000 {
        must("a send", publisher.send(&[event(position), event(position)], TTL).await);
    }
    for _ in 1..=1000 {
        assert_eq!(publisher.outcome().await, Ok(PublishOutcome::Delivered));
    }
    for replica in &mut replicas {
        for number in 1..=1000 {
            let received = batch(replica).await;
            // By the clock of this machine, whose reading may be the same.
            let sent_at = received.head.sent_at;
            assert!(sent_at.is_some_and(|at| (began..=unix_milliseconds()).contains(&at)), "{sent_at:?}");
            let (publisher, origin) = (publisher.id(), Some(ORIGIN));
            let head = Head { publisher, number, origin, goodbye: false, sent_at };
            let events = vec![event(number), event(number)];
            assert_eq!(received, Batch { head, events });
        }
    }
    let names = replicas.each_ref().map(|replica| replica.queue().to_owned());
    let all_acknowledged = until("all is acknowledged", QUERIES, async || {
        let queues = node.queues().await;
        names
            .iter()
            .all(|name| queues.iter().any(|queue| queue.name == *name && queue.messages == 0))
            .then_some(())
    });
    // A replica acknowledges while it waits for the next message.
    let [one, other] = &mut replicas;
    tokio::select! {
        () = all_acknowledged => {}
        next = one.next() => panic!("{next:?} was not sent"),
        next = other.next() => panic!("{next:?} was not sent"),
    }
}

#[tokio::test]
async fn a_message_is_persistent_has_an_expiration_and_names_its_type() {
    let node = RabbitNode::shared().await;
    let exchange = unique("properties");
    let bus = bus(&node.url(), &exchange);
    let mut publisher = publisher(&bus).await;
    let tap = Tap::new(node, &exchange).await;
    tap.bind().await;
    must("a send", publisher.send(&[event(1)], Duration::from_millis(29_500)).await);
    assert_eq!(publisher.outcome().await, Ok(PublishOutcome::Delivered));
    let message = get(&tap.channel, &tap.queue).await;
    let properties = &message.properties;
    assert_eq!(properties.content_type().as_ref().map(ShortString::as_str), Some(CONTENT_TYPE));
    assert_eq!(properties.delivery_mode(), &Some(2));
    assert_eq!(properties.expiration().as_ref().map(ShortString::as_str), Some("29500"));
}

#[tokio::test]
async fn a_message_that_reaches_no_queue_has_no_route() {
    let node = RabbitNode::shared().await;
    let bus = bus(&node.url(), &unique("no-route"));
    let mut publisher = publisher(&bus).await;
    assert_eq!(send(&mut publisher, 1).await, Ok(PublishOutcome::NoRoute));
    let mut replica = subscription(&bus).await;
    assert_eq!(send(&mut publisher, 2).await, Ok(PublishOutcome::Delivered));
    assert_eq!(batch(&mut replica).await.head.number, 2);
    replica.close().await;
    assert_eq!(send(&mut publisher, 3).await, Ok(PublishOutcome::NoRoute));
}

#[tokio::test]
async fn an_undelivered_message_never_counts_as_delivered_while_queues_come_and_go() {
    let node = RabbitNode::shared().await;
    let exchange = unique("flapping");
    let bus = bus(&node.url(), &exchange);
    let mut publisher = publisher(&bus).await;
    let tap = Tap::new(node, &exchange).await;
    let mut outcomes = Vec::new();
    let sending = async {
        for position in 1..=4000 {
            must("a send", publisher.send(&[event(position)], TTL).await);
            if position >= 32 {
                outcomes.push(publisher.outcome().await);
            }
        }
        while outcomes.len() < 4000 {
            outcomes.push(publisher.outcome().await);
        }
    };
    tokio::select! {
        () = sending => {}
        () = tap.flap() => {}
    }
    let mut arrived = BTreeSet::new();
    while let Some(message) =
        must("basic.get", tap.channel.basic_get(tap.queue(), BasicGetOptions::default()).await)
    {
        arrived.insert(must("a batch", Batch::decode(message.delivery.data.into())).head.number);
    }
    let delivered: BTreeSet<_> = (1..)
        .zip(&outcomes)
        .filter(|(_, is)| **is == Ok(PublishOutcome::Delivered))
        .map(|(number, _)| number)
        .collect();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Ok(PublishOutcome::Delivered | PublishOutcome::NoRoute)))
    );
    assert_eq!(outcomes.len(), 4000);
    assert!(!arrived.is_empty() && arrived.len() < 4000, "{} arrived", arrived.len());
    assert_eq!(delivered, arrived);
}

#[tokio::test]
async fn an_unreadable_message_goes_to_the_dead_letters_and_the_next_one_is_received() {
    let node = RabbitNode::shared().await;
    let exchange = unique("poison");
    let bus = bus(&node.url(), &exchange);
    let mut replica = subscription(&bus).await;
    let raw = channel(node).await;
    publish(&raw, &exchange, Some(CONTENT_TYPE), b"\xff\xff").await;
    publish(&raw, &exchange, Some(CONTENT_TYPE), b"").await;
    let poison = receive(&mut replica).await;
    assert!(matches!(poison, ReceivedMessage::Poison { reason: EnvelopeError::Malformed(_) }), "{poison:?}");
    let poison = receive(&mut replica).await;
    assert!(matches!(poison, ReceivedMessage::Poison { reason: EnvelopeError::Unnumbered }), "{poison:?}");
    let dead = format!("{exchange}.dead");
    let letter = get(&raw, &dead).await;
    assert_eq!((letter.delivery.data.as_slice(), reason(&letter).as_str()), (&b"\xff\xff"[..], "rejected"));
    assert_eq!(reason(&get(&raw, &dead).await), "rejected");

    let mut publisher = publisher(&bus).await;
    assert_eq!(send(&mut publisher, 3).await, Ok(PublishOutcome::Delivered));
    assert_eq!(batch(&mut replica).await.events, [event(3)]);
}

#[tokio::test]
async fn a_message_of_another_program_is_ignored() {
    let node = RabbitNode::shared().await;
    let exchange = unique("foreign");
    let bus = bus(&node.url(), &exchange);
    let mut replica = subscription(&bus).await;
    let mut publisher = publisher(&bus).await;
    let raw = channel(node).await;
    for (content_type, expected) in [(Some("application/json"), "application/json"), (None, "")] {
        publish(&raw, &exchange, content_type, br#"{"fromn":"01012345678"}"#).await;
        match receive(&mut replica).await {
            ReceivedMessage::Foreign { content_type } => assert_eq!(content_type, expected),
            other => panic!("{other:?} instead of a foreign message"),
        }
    }
    // The sentinel: if they had been rejected, they would come before it.
    publish(&raw, &exchange, Some(CONTENT_TYPE), b"sentinel").await;
    assert!(matches!(receive(&mut replica).await, ReceivedMessage::Poison { .. }));
    assert_eq!(get(&raw, &format!("{exchange}.dead")).await.delivery.data, b"sentinel");

    // Between our batches that are not acknowledged yet, only this message is acknowledged.
    assert_eq!(send(&mut publisher, 1).await, Ok(PublishOutcome::Delivered));
    publish(&raw, &exchange, None, b"{}").await;
    assert!(matches!(receive(&mut replica).await, ReceivedMessage::Batch(_)));
    assert!(matches!(receive(&mut replica).await, ReceivedMessage::Foreign { .. }));
    let name = replica.queue().to_owned();
    until("ours is still there", QUERIES, async || {
        node.queues().await.iter().any(|queue| queue.name == name && queue.messages == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_message_that_waits_too_long_goes_to_the_dead_letters() {
    let node = RabbitNode::shared().await;
    let exchange = unique("expired");
    let bus = bus(&node.url(), &exchange);
    let mut stuck = subscription(&bus).await;
    let mut publisher = publisher(&bus).await;
    // The first 256 are on their way to the replica; the others wait in its queue.
    for position in 1..=260 {
        must("a send", publisher.send(&[event(position)], Duration::from_millis(1)).await);
        assert_eq!(publisher.outcome().await, Ok(PublishOutcome::Delivered));
    }
    let raw = channel(node).await;
    let letter = get(&raw, &format!("{exchange}.dead")).await;
    assert_eq!(reason(&letter), "expired");
    let expired = must("a batch", Batch::decode(letter.delivery.data.into())).head.number;
    assert!(expired > 256, "{expired} was with the replica");
    assert_eq!(batch(&mut stuck).await.head.number, 1);
}

#[tokio::test]
async fn dead_letters_are_listed_with_reason_and_time_and_stay_until_they_are_purged() {
    let node = RabbitNode::shared().await;
    let exchange = unique("letters");
    let bus = bus(&node.url(), &exchange);
    let mut replica = subscription(&bus).await;
    let mut publisher = publisher(&bus).await;
    let raw = channel(node).await;
    publish(&raw, &exchange, Some(CONTENT_TYPE), b"poison").await;
    assert!(matches!(receive(&mut replica).await, ReceivedMessage::Poison { .. }));
    // They wait behind messages that the replica has not acknowledged.
    for position in 1..=257 {
        // The others may wait for a busy broker to deliver them.
        let ttl = if position == 257 { Duration::from_millis(1) } else { QUERIES };
        must("a send", publisher.send(&[event(position)], ttl).await);
        assert_eq!(publisher.outcome().await, Ok(PublishOutcome::Delivered));
    }
    for look in 1..=2 {
        let letters = until("two dead letters", SOON, async || {
            let letters = must("dead letters", bus.dead_letters(10).await);
            (letters.len() == 2).then_some(letters)
        })
        .await;
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
        assert_eq!(reasons, ["rejected", "expired"], "look {look}");
        for letter in &letters {
            let age = letter.at.map(|at| must("the past", SystemTime::now().duration_since(at)));
            assert!(age.is_some_and(|age| age < QUERIES), "{letter:?}");
            assert_eq!(
                (letter.queue.as_str(), letter.content_type.as_str()),
                (replica.queue(), CONTENT_TYPE)
            );
        }
        assert_eq!((letters[0].bytes, &letters[0].batch), (6, &None));
        assert_eq!(letters[1].batch.as_ref().map(|batch| batch.head.number), Some(257));
    }
    assert_eq!(must("one dead letter", bus.dead_letters(1).await).len(), 1);
    assert_eq!(must("a purge", bus.purge_dead_letters().await), 2);
    assert_eq!(must("dead letters", bus.dead_letters(10).await), []);
}

/// A queue that keeps every message that is sent while it is bound.
struct Tap {
    channel: Channel,
    exchange: String,
    queue: String,
}

impl Tap {
    async fn new(node: &RabbitNode, exchange: &str) -> Self {
        let tap = Self {
            channel: channel(node).await,
            exchange: exchange.to_owned(),
            queue: format!("{exchange}-tap"),
        };
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        must("a queue", tap.channel.queue_declare(tap.queue(), options, FieldTable::default()).await);
        tap
    }

    fn queue(&self) -> ShortString {
        self.queue.as_str().into()
    }

    async fn bind(&self) {
        let (exchange, key) = (self.exchange.as_str().into(), ShortString::default());
        let bound = self.channel.queue_bind(
            self.queue(),
            exchange,
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        must("a binding", bound.await);
    }

    async fn unbind(&self) {
        let (exchange, key) = (self.exchange.as_str().into(), ShortString::default());
        must(
            "no binding",
            self.channel.queue_unbind(self.queue(), exchange, key, FieldTable::default()).await,
        );
    }

    async fn flap(&self) {
        loop {
            self.bind().await;
            self.unbind().await;
        }
    }
}
