//! What the bus loses, the log mends.

use std::time::Duration;

use ringpad_bus::{Bus, Event};
use ringpad_proto::v1::SubscribeRequest;

use crate::{
    fake_log::BROKEN,
    harness::*,
    pads::{StreamEnd, TRANSPORTS, TestPad, Transport},
};

async fn pads(replica: &Replica) -> Vec<TestPad> {
    let mut pads = Vec::new();
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        pad.begin().await;
        pads.push(pad);
    }
    pads
}

#[tokio::test]
async fn a_lost_event_is_fetched_when_the_next_one_comes() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    world.ring("a").await;
    world.log.ring("a");
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn a_ring_behind_a_gap_that_does_not_close_is_shown_early_and_follows_in_place() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    let asked = world.log.asked("a");
    let first = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(first).await;
    }
    // A publisher that was not known makes the replica compare.
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
async fn a_pad_that_is_still_catching_up_is_shown_a_ring_early() {
    let world = World::new().await;
    let replica = world.replica().await;
    let epoch = world.log.epoch();
    // More than the hub keeps at hand for a pad that comes back.
    world.ring("a").await;
    for _ in 0..300 {
        world.log.ring("a");
    }
    let mut first = replica.pad(Transport::WebSocket, "a", SubscribeRequest::default()).await;
    first.begin().await;
    // Each page takes its time, the first one before the snapshot.
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
async fn the_last_event_of_a_store_is_missed_by_the_publishers_numbers() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
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
async fn rings_go_on_while_the_bus_is_away() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
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
async fn a_burst_that_overflows_the_bus_is_mended() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    let mut last = 0;
    for _ in 0..5_000 {
        last = world.ring("a").await;
    }
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn another_log_ends_the_streams_and_the_next_begin_afresh() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.ring("a").await;
    let mut pads = pads(&replica).await;
    let old = world.log.epoch();
    world.log.renew(&["a", "b"]);
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
async fn a_log_that_was_put_back_within_its_epoch_ends_the_streams() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    let mut last = 0;
    for _ in 0..3 {
        last = world.ring("a").await;
    }
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
    world.log.put_back("a", 1);
    // ingest-svc has been started again.
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
    let mut pads = pads(&replica).await;
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
    let mut pads = pads(&replica).await;
    let position = world.ring("a").await;
    let strange = Event { epoch: uuid::Uuid::new_v4(), ..world.log.ring("b") };
    let strange = Event { store_id: "a".to_owned(), position: position + 1, ..strange };
    world.publish(&[strange]).await;
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
}

#[tokio::test]
async fn without_the_log_live_streams_go_on_and_new_ones_are_refused() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
    world.ring("a").await;
    world.cut_log();
    let last = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
    for transport in TRANSPORTS {
        let mut refused = replica.pad(transport, "b", SubscribeRequest::default()).await;
        assert_eq!(refused.end().await, StreamEnd::Unavailable);
        // From what is at hand a pad resumes all the same.
        let mut back = replica.pad(transport, "a", after(last, world.log.epoch())).await;
        assert!(back.begin().await.resumed);
    }
    assert_eq!(http_get(replica.pads, "/readyz").await.0, 200);
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_a_clear_end() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.log.answer_after(PATIENCE);
    let mut refused = replica.pad(Transport::GrpcWeb, "a", SubscribeRequest::default()).await;
    assert_eq!(refused.end().await, StreamEnd::Unavailable);
}

#[tokio::test]
async fn an_event_that_comes_broken_is_fetched_whole() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = pads(&replica).await;
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
async fn an_event_that_nobody_can_read_makes_pads_begin_afresh_once() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.ring("a").await;
    let mut pads = pads(&replica).await;
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
