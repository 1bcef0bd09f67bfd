//! Which canaries count: those of each ingest-svc of the replica's own log, and no others.

use std::time::Duration;

use ringpad_bus::{Bus, Event, Origin, Publisher};
use tokio::{task::JoinSet, time::interval};
use uuid::Uuid;

use crate::harness::*;

const TTL: Duration = Duration::from_secs(30);
/// Between two canaries; those of ingest-svc are a second apart.
const INTERVAL: Duration = Duration::from_millis(200);

/// An ingest-svc of the log `epoch` that sends canaries until it is dropped.
pub async fn alive(bus: &Bus, epoch: Uuid) -> JoinSet<()> {
    let mut publisher = connect(bus, epoch).await;
    let (mut task, mut ticks) = (JoinSet::new(), interval(INTERVAL));
    task.spawn(async move {
        loop {
            ticks.tick().await;
            publisher.send(&[], TTL).await.unwrap();
            publisher.outcome().await.unwrap();
        }
    });
    task
}

async fn connect(bus: &Bus, epoch: Uuid) -> Publisher {
    bus.publisher(Origin { epoch, instance: Uuid::new_v4() }).await.unwrap()
}

pub const LAST_RECEIVED: &str = "ringpad_push_bus_heard_timestamp_seconds";
const OTHER_LOG: &str = r#"ringpad_push_bus_messages_total{kind="other_log"}"#;
const SILENT: &str = "ringpad_push_silent_publishers";

#[tokio::test]
async fn rings_come_from_the_log_while_only_another_installation_is_alive() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let _another = alive(&world.bus, Uuid::new_v4()).await;
    let first = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(first).await;
    }
    // From now on our ingest-svc has lost the broker.
    let last_received = metric(&replica, LAST_RECEIVED).await;
    for _ in 0..3 {
        let position = world.log.ring("a").position;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    wait_for("the messages of the other log", async || metric(&replica, OTHER_LOG).await > 3.0).await;
    assert_eq!(
        metric(&replica, LAST_RECEIVED).await.to_bits(),
        last_received.to_bits(),
        "nothing came from our log"
    );
}

#[tokio::test]
async fn one_silent_instance_of_two_is_reported_until_it_is_alive_again() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let _one = alive(&world.bus, world.log.epoch()).await;
    wait_for("one instance to be alive", async || metric(&replica, LAST_RECEIVED).await > 0.0).await;
    let first = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(first).await;
    }
    // The world's publisher sends nothing any more, though its log accepts further calls.
    wait_for("one silent instance", async || metric(&replica, SILENT).await == 1.0).await;
    for _ in 0..3 {
        let position = world.log.ring("a").position;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    world.ring("a").await;
    wait_for("no silent instance", async || metric(&replica, SILENT).await == 0.0).await;
}

#[tokio::test]
async fn an_instance_that_said_goodbye_is_not_silent() {
    let world = World::new().await;
    let replica = world.replica().await;
    let _one = alive(&world.bus, world.log.epoch()).await;
    wait_for("one instance to be alive", async || metric(&replica, LAST_RECEIVED).await > 0.0).await;
    let mut two = connect(&world.bus, world.log.epoch()).await;
    two.send(&[], TTL).await.unwrap();
    two.outcome().await.unwrap();
    two.say_goodbye(TTL).await.unwrap();
    two.outcome().await.unwrap();
    let mut three = connect(&world.bus, world.log.epoch()).await;
    three.send(&[], TTL).await.unwrap();
    three.outcome().await.unwrap();
    // The third one leaves without a goodbye, later; once it is silent, the second one would be, too.
    wait_for("a silent instance", async || metric(&replica, SILENT).await > 0.0).await;
    assert_eq!(metric(&replica, SILENT).await.to_bits(), 1_f64.to_bits());
}

#[tokio::test]
async fn events_of_another_log_never_reach_a_pad() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let mut another = connect(&world.bus, Uuid::new_v4()).await;
    // Its event claims the epoch of our log and the next position; pads would notice it by its revision.
    world.log.ring("b");
    let foreign = Event { store_id: "a".to_owned(), position: 1, ..world.log.ring("b") };
    another.send(&[foreign], TTL).await.unwrap();
    another.outcome().await.unwrap();
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn a_new_log_is_followed_at_once_and_its_old_publisher_ignored() {
    let world = World::new().await;
    let replica = world.replica().await;
    let old = world.log.epoch();
    let _left_running = alive(&world.bus, old).await;
    wait_for("the old instance to be alive", async || metric(&replica, LAST_RECEIVED).await > 0.0).await;
    world.log.replace(&["a", "b"]);
    world.new_publisher().await;
    let mut pads = replica.pads().await;
    for _ in 0..3 {
        let position = world.ring("a").await;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    wait_for("the messages of the old log", async || metric(&replica, OTHER_LOG).await > 3.0).await;
}
