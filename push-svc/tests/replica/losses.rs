//! Events that the bus loses are read from the log.

use std::time::Duration;

use ringpad_bus::{Bus, Event};
use ringpad_proto::v1::SubscribeRequest;

use crate::{
    fake_log::BROKEN,
    harness::*,
    pads::{StreamEnd, TRANSPORTS, Transport},
};

#[tokio::test]
async fn a_lost_event_is_read_when_the_next_one_comes() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    world.ring("a").await;
    world.log.ring("a");
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn a_ring_after_a_gap_is_sent_early_and_again_in_order() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let asked = world.log.asked("a");
    let first = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(first).await;
    }
    // An unknown publisher makes the replica compare.
    wait_for("the comparison", async || world.log.asked("a") > asked).await;
    world.log.answer_after(Duration::from_secs(2));
    world.log.ring("a");
    world.ring("a").await;
    let last = world.ring("a").await;
    for pad in &mut pads {
        for position in [first + 2, last] {
            let early = pad.early().await;
            assert_eq!(early.call.unwrap().revision, position);
            assert!(early.pop_until.is_some());
        }
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn a_pad_that_is_catching_up_is_sent_a_ring_early() {
    let world = World::new().await;
    let replica = world.replica().await;
    let epoch = world.log.epoch();
    // More than one page, and the hub has none of it.
    world.ring("a").await;
    for _ in 0..300 {
        world.log.ring("a");
    }
    let mut first = replica.pad(Transport::WebSocket, "a", SubscribeRequest::default()).await;
    first.begin().await;
    // Each page takes 1.5 s, the first one before the snapshot.
    world.log.answer_after(Duration::from_millis(1_500));
    let mut back = replica.pad(Transport::Grpc, "a", after(1, epoch)).await;
    back.begin().await;
    let last = world.ring("a").await;
    first.updates_to(last).await;
    let early = back.early_among_updates().await;
    assert_eq!(early.call.unwrap().revision, last);
    back.updates_to(last).await;
}

#[tokio::test]
async fn the_loss_of_a_stores_last_event_shows_in_the_message_numbers() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let first = world.ring("a").await;
    // Loss with the publisher's connection; nothing follows it in its store.
    let lost = world.log.ring("a").position;
    world.new_publisher().await;
    world.ring("b").await;
    assert!(lost > first);
    for pad in &mut pads {
        pad.updates_to(lost).await;
    }
}

#[tokio::test]
async fn rings_come_from_the_log_while_there_is_no_bus() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    world.ring("a").await;
    let Bus::InProcess(bus) = &world.bus else { panic!("the in-process bus") };
    bus.interrupt();
    for _ in 0..3 {
        let position = world.log.ring("a").position;
        for pad in &mut pads {
            pad.updates_to(position).await;
        }
    }
    world.new_publisher().await;
    let back = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(back).await;
    }
}

#[tokio::test]
async fn a_burst_that_overflows_the_bus_is_read_from_the_log() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let mut last = 0;
    for _ in 0..5_000 {
        last = world.ring("a").await;
    }
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn after_a_change_of_the_log_pads_get_a_fresh_snapshot() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.ring("a").await;
    let mut pads = replica.pads().await;
    let old = world.log.epoch();
    world.log.replace(&["a", "b"]);
    world.new_publisher().await;
    world.ring("a").await;
    for (pad, transport) in pads.iter_mut().zip(TRANSPORTS) {
        assert_eq!(pad.end().await, StreamEnd::Unavailable);
        let mut pad = replica.pad(transport, "a", after(1, old)).await;
        let snapshot = pad.begin().await;
        assert_eq!((snapshot.resumed, snapshot.epoch), (false, world.log.epoch().to_string()));
    }
}

#[tokio::test]
async fn a_log_that_was_restored_within_its_epoch_ends_the_streams() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let mut last = 0;
    for _ in 0..3 {
        last = world.ring("a").await;
    }
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
    world.log.restore("a", 1);
    // ingest-svc is started again.
    world.new_publisher().await;
    world.ring("b").await;
    for (pad, transport) in pads.iter_mut().zip(TRANSPORTS) {
        assert_eq!(pad.end().await, StreamEnd::Unavailable);
        let mut pad = replica.pad(transport, "a", after(last, world.log.epoch())).await;
        assert_eq!(pad.begin().await.position, 1);
    }
}

#[tokio::test]
async fn a_deleted_store_ends_its_streams() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    world.log.delete("a");
    let hint = Event {
        store_id: "a".to_owned(),
        epoch: world.log.epoch(),
        position: 0,
        bytes: bytes::Bytes::new(),
        receipt: None,
    };
    world.publish(&[hint]).await;
    for pad in &mut pads {
        assert_eq!(pad.end().await, StreamEnd::NotFound);
    }
}

#[tokio::test]
async fn an_event_of_another_log_changes_nothing() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    let position = world.ring("a").await;
    let foreign = Event { epoch: uuid::Uuid::new_v4(), ..world.log.ring("b") };
    let foreign = Event { store_id: "a".to_owned(), position: position + 1, ..foreign };
    world.publish(&[foreign]).await;
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn without_the_log_live_streams_continue_and_new_ones_are_refused() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    world.ring("a").await;
    world.cut_log();
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
    for transport in TRANSPORTS {
        let mut refused = replica.pad(transport, "b", SubscribeRequest::default()).await;
        assert_eq!(refused.end().await, StreamEnd::Unavailable);
        // A pad whose next event is in memory resumes without the log.
        let mut back = replica.pad(transport, "a", after(last, world.log.epoch())).await;
        assert!(back.begin().await.resumed);
    }
    assert_eq!(http_get(replica.pads, "/readyz").await.0, 200);
}

#[tokio::test]
async fn a_stream_is_refused_if_the_log_does_not_answer() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.log.answer_after(PATIENCE);
    let mut refused = replica.pad(Transport::GrpcWeb, "a", SubscribeRequest::default()).await;
    assert_eq!(refused.end().await, StreamEnd::Unavailable);
}

#[tokio::test]
async fn an_event_that_was_damaged_on_the_bus_is_read_from_the_log() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = replica.pads().await;
    for _ in 0..2 {
        let mut event = world.log.ring("a");
        event.bytes = BROKEN.into();
        world.publish(&[event]).await;
        let last = world.ring("a").await;
        for pad in &mut pads {
            pad.updates_to(last).await;
        }
    }
}

#[tokio::test]
async fn after_an_unreadable_event_pads_get_one_fresh_snapshot() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.ring("a").await;
    let mut pads = replica.pads().await;
    let mut event = world.log.ring("a");
    let broken = event.position;
    world.log.break_event("a", broken);
    event.bytes = BROKEN.into();
    world.publish(&[event]).await;
    for pad in &mut pads {
        assert_eq!(pad.end().await, StreamEnd::Unavailable);
    }
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", after(broken - 1, world.log.epoch())).await;
        let snapshot = pad.begin().await;
        assert!(!snapshot.resumed && snapshot.position >= broken, "{transport:?}");
        let last = world.ring("a").await;
        pad.updates_to(last).await;
    }
}
