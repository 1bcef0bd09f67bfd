//! Messages are never larger than the broker accepts, also with a long backlog of records with long texts.

use std::time::Duration;

use bytes::Bytes;
use ringpad_bus::Loss;
use ringpad_proto::v1::Cdr;
use ringpad_tests::{
    link::Link,
    rabbit::{RabbitNode, unique},
    services::{Shop, System},
    wait::{SOON, until},
};
use tokio::sync::OnceCell;

use crate::bus;

/// A broker's limit that a ring does not exceed, and one with a long memo does.
const TIGHT: usize = 1_500;
/// A limit that a message of a backlog exceeds: it has up to 256 events, or 256 KiB of them.
const SMALL: usize = 60_000;
/// As long as a memo may be.
const MEMO: usize = 2_048;
/// The relay connects again after a refusal.
const RECONNECTED: Duration = Duration::from_secs(60);

const CONNECTIONS: &str = "ringpad_relay_connections_total";
const EXPIRED: &str = "ringpad_relay_expired_total";
const PUBLISHED: &str = "ringpad_relay_published_total";
const TOO_LARGE: &str = "ringpad_relay_too_large_total";
const WAITING: &str = "ringpad_outbox_events";
const WAITING_BYTES: &str = "ringpad_relay_waiting_bytes";

async fn tight() -> &'static RabbitNode {
    static NODE: OnceCell<RabbitNode> = OnceCell::const_new();
    NODE.get_or_init(|| RabbitNode::start_with(Box::leak(limit(TIGHT).into_boxed_str()))).await
}

fn limit(bytes: usize) -> String {
    format!("max_message_size = {bytes}")
}

async fn all_is_published(system: &System, events: f64) {
    until("all is published", RECONNECTED, async || {
        let published = system.metric(PUBLISHED).await >= events;
        (published && system.metric(WAITING).await == 0.0).then_some(())
    })
    .await;
}

fn long(store: &Shop) -> Cdr {
    Cdr { memo: "x".repeat(MEMO), ..store.ring() }
}

#[tokio::test]
async fn a_refusal_names_the_brokers_limit() {
    let bus = bus::bus(&tight().await.url(), &unique("tight"));
    let mut publisher = bus::publisher(&bus).await;
    let event = ringpad_bus::Event { bytes: Bytes::from(vec![7; TIGHT]), ..bus::event(1) };
    let outcome = async {
        publisher.send(&[event], SOON).await?;
        publisher.outcome().await
    };
    assert_eq!(outcome.await, Err(Loss::TooLarge { limit: TIGHT }));
    assert_eq!(publisher.outcome().await, Err(Loss::TooLarge { limit: TIGHT }), "it stays lost");
}

#[tokio::test]
async fn a_record_that_alone_is_too_large_is_read_from_the_log_and_the_next_one_comes_over_the_bus() {
    let node = tight().await;
    // So long that no event is left out because of its age.
    let system = System::start_with(&node.url(), 1, &[("POPUP_TTL", "10m")]).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut provider = system.provider();
    let records = [long(&store), store.ring(), long(&store)];
    for record in &records {
        let call = provider.deliver(record).await.call_id;
        for pad in &mut pads {
            assert_eq!(pad.update().await.call.map(|shown| shown.id), Some(call.clone()));
        }
    }
    all_is_published(&system, 3.0).await;
    assert_eq!(system.metric(TOO_LARGE).await, 2.0);
    // The second one was known to be too large.
    assert_eq!(system.metric(CONNECTIONS).await, 2.0);
}

#[tokio::test]
async fn a_backlog_of_long_memos_goes_out_in_messages_that_the_broker_takes() {
    let node = RabbitNode::start_with(&limit(SMALL)).await;
    let link = Link::to(node.address()).await;
    let mut system = System::prepare(&node.url(), 1, &[("POPUP_TTL", "10m")]);
    system.ingest.set("AMQP_URL", &node.url_at(link.at));
    link.black_hole();
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut provider = system.provider();
    let mut calls = Vec::new();
    for _ in 0..300 {
        calls.push(provider.deliver(&long(&store)).await.call_id);
    }
    until("the backlog is long", SOON, async || {
        (system.metric(WAITING_BYTES).await > 5.0 * SMALL as f64).then_some(())
    })
    .await;
    link.heal();
    link.cut();
    all_is_published(&system, 300.0).await;
    assert_eq!((system.metric(TOO_LARGE).await, system.metric(EXPIRED).await), (0.0, 0.0));
    for pad in &mut pads {
        pad.until_position(300).await;
        assert_eq!(pad.shown(), calls, "{:?}", pad.transport);
    }
    // One refusal was enough to learn the limit.
    let connections = system.metric(CONNECTIONS).await;
    assert!(connections <= 3.0, "{connections} connections");
}
