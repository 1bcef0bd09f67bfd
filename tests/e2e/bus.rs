//! The bus on a real RabbitMQ node.

mod loss;
mod publishing;
mod tls;
mod topology;

use std::time::Duration;

use bytes::Bytes;
use ringpad_bus::{
    Batch, Bus, BusSettings, Event, Loss, Origin, PublishOutcome, Publisher, ReceivedMessage, Subscription,
};
use ringpad_tests::wait::{SOON, must, within};
use uuid::Uuid;

/// So long that it has no effect.
const TTL: Duration = Duration::from_secs(300);
/// The publisher's origin.
const ORIGIN: Origin = Origin { epoch: Uuid::from_u128(7), instance: Uuid::from_u128(8) };

/// The defaults of the settings, except the broker and the exchange, which each test has for itself.
fn settings(url: &str, exchange: &str) -> BusSettings {
    BusSettings {
        amqp_url: must("the broker's URL", url.parse()),
        amqp_ca_file: None,
        amqp_exchange: exchange.to_owned(),
        amqp_queue_prefix: format!("{exchange}-inbound"),
        amqp_dead_letter_exchange: None,
    }
}

pub(crate) fn bus(url: &str, exchange: &str) -> Bus {
    must("settings of the bus", settings(url, exchange).bus())
}

pub(crate) async fn publisher(bus: &Bus) -> Publisher {
    must("a publisher", within("a publisher", SOON, bus.publisher(ORIGIN)).await)
}

async fn subscription(bus: &Bus) -> Subscription {
    must("a subscription", within("a subscription", SOON, bus.subscribe()).await)
}

pub(crate) fn event(position: u64) -> Event {
    let bytes = Bytes::from(format!("event {position}"));
    Event { store_id: "shop-1".to_owned(), epoch: Uuid::from_u128(7), position, bytes, receipt: None }
}

/// Sends one event and waits for the broker's answer.
async fn send(publisher: &mut Publisher, position: u64) -> Result<PublishOutcome, Loss> {
    publisher.send(&[event(position)], TTL).await?;
    publisher.outcome().await
}

async fn receive(subscription: &mut Subscription) -> ReceivedMessage {
    must("a message", within("a message", SOON, subscription.next()).await)
}

async fn batch(subscription: &mut Subscription) -> Batch {
    match receive(subscription).await {
        ReceivedMessage::Batch(batch) => {
            subscription.ack();
            batch
        }
        other => panic!("{other:?} instead of a batch"),
    }
}
