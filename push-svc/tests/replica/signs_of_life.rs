//! Whose signs of life count: those of each ingest-svc of the replica's own log, and nobody else's.

use std::time::Duration;

use ringpad_bus::{Bus, Event, Origin, Publisher};
use ringpad_proto::v1::SubscribeRequest;
use tokio::{task::JoinSet, time::interval};
use uuid::Uuid;

use crate::{
    harness::*,
    pads::{TRANSPORTS, TestPad},
};

const TTL: Duration = Duration::from_secs(30);
/// Between two signs of life; ingest-svc's are a second apart.
const OFTEN: Duration = Duration::from_millis(200);

/// An ingest-svc of the log `epoch` that gives signs of life until it is dropped.
async fn alive(bus: &Bus, epoch: Uuid) -> JoinSet<()> {
    let mut publisher = connect(bus, epoch).await;
    let (mut life, mut ticks) = (JoinSet::new(), interval(OFTEN));
    life.spawn(async move {
        loop {
            ticks.tick().await;
            publisher.send(&[], TTL).await.unwrap().outcome().await.unwrap();
        }
    });
    life
}

async fn connect(bus: &Bus, epoch: Uuid) -> Publisher {
    bus.publisher(Origin { epoch, instance: Uuid::new_v4() }).await.unwrap()
}

async fn pads(replica: &Replica) -> Vec<TestPad> {
    let mut pads = Vec::new();
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        pad.begin().await;
        pads.push(pad);
    }
    pads
}

/// The value of a metric; zero if it is not there yet.
async fn metric(replica: &Replica, name: &str) -> f64 {
    let (_, _, metrics) = http_get(replica.admin, "/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

const HEARD: &str = "ringpad_push_bus_heard_timestamp_seconds";
const OTHER_LOG: &str = r#"ringpad_push_bus_messages_total{kind="other_log"}"#;
const SILENT: &str = "ringpad_push_silent_publishers";

#[tokio::test]
async fn rings_come_from_the_log_while_only_another_installation_is_heard() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    let _another = alive(&world.bus, Uuid::new_v4()).await;
    let first = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(first).await;
    }
    // From now on ours has lost the broker.
    let heard = metric(&replica, HEARD).await;
    for _ in 0..3 {
        let position = world.log.ring("a").position;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    wait_for("the others are counted", async || metric(&replica, OTHER_LOG).await > 3.0).await;
    assert_eq!(metric(&replica, HEARD).await.to_bits(), heard.to_bits(), "ours was not heard");
}

#[tokio::test]
async fn one_of_two_that_falls_silent_is_missed_until_it_is_back() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    let _one = alive(&world.bus, world.log.epoch()).await;
    wait_for("one is heard", async || metric(&replica, HEARD).await > 0.0).await;
    let first = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(first).await;
    }
    // The world's publisher says nothing any more, though it goes on accepting.
    wait_for("it is missed", async || metric(&replica, SILENT).await == 1.0).await;
    for _ in 0..3 {
        let position = world.log.ring("a").position;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    world.ring("a").await;
    wait_for("it is heard again", async || metric(&replica, SILENT).await == 0.0).await;
}

#[tokio::test]
async fn nobody_misses_one_that_said_goodbye() {
    let world = World::new().await;
    let replica = world.replica().await;
    let _one = alive(&world.bus, world.log.epoch()).await;
    wait_for("one is heard", async || metric(&replica, HEARD).await > 0.0).await;
    let mut two = connect(&world.bus, world.log.epoch()).await;
    two.send(&[], TTL).await.unwrap().outcome().await.unwrap();
    two.say_goodbye(TTL).await.unwrap().outcome().await.unwrap();
    let mut three = connect(&world.bus, world.log.epoch()).await;
    three.send(&[], TTL).await.unwrap().outcome().await.unwrap();
    // The one that left without a goodbye after it is missed; by then the other would be, too.
    wait_for("one is missed", async || metric(&replica, SILENT).await > 0.0).await;
    assert_eq!(metric(&replica, SILENT).await.to_bits(), 1_f64.to_bits());
}

#[tokio::test]
async fn events_of_another_log_never_reach_a_pad() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    let mut another = connect(&world.bus, Uuid::new_v4()).await;
    // One that claims to be of ours, and would be next; pads see that it is not by its revision.
    world.log.ring("b");
    let strange = Event { store_id: "a".to_owned(), position: 1, ..world.log.ring("b") };
    another.send(&[strange], TTL).await.unwrap().outcome().await.unwrap();
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn a_log_that_is_made_anew_is_heard_at_once_and_its_old_publisher_no_more() {
    let world = World::new().await;
    let replica = world.replica().await;
    let old = world.log.epoch();
    let _left_running = alive(&world.bus, old).await;
    wait_for("the old log is heard", async || metric(&replica, HEARD).await > 0.0).await;
    world.log.renew(&["a", "b"]);
    world.new_publisher().await;
    let mut pads = pads(&replica).await;
    for _ in 0..3 {
        let position = world.ring("a").await;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    wait_for("the old one is another log's", async || metric(&replica, OTHER_LOG).await > 3.0).await;
}
