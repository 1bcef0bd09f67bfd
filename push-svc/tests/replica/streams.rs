//! What a pad gets when nothing fails.

use ringpad_proto::v1::{CallState, SubscribeRequest};
use std::time::Duration;

use crate::{harness::*, pads::*};

#[tokio::test]
async fn snapshot_heartbeat_and_updates_on_every_transport() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.log.ring("a");
    for transport in TRANSPORTS {
        let before = world.log.position("a");
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        let snapshot = pad.begin().await;
        assert_eq!((snapshot.position, snapshot.resumed), (before, false));
        assert_eq!(snapshot.epoch, world.log.epoch().to_string());
        assert_eq!(snapshot.store.unwrap().name, "Store a");
        assert_eq!(snapshot.heartbeat_interval.unwrap().seconds, 5);
        assert_eq!(snapshot.open_calls.len() as u64, before);
        assert!(snapshot.open_calls.iter().all(|call| call.state() == CallState::Ringing));
        for _ in 0..3 {
            let position = world.ring("a").await;
            pad.updates_to(position).await;
        }
    }
}

#[tokio::test]
async fn a_snapshot_of_long_calls_stays_below_default_limits() {
    let world = World::new().await;
    let replica = world.replica().await;
    for _ in 0..150 {
        world.log.ring_with_memo("a", &"x".repeat(60_000));
    }
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        let snapshot = pad.begin().await;
        assert!((10..100).contains(&snapshot.open_calls.len()), "{}", snapshot.open_calls.len());
        assert_eq!(snapshot.open_calls[0].revision, snapshot.position, "the newest");
        let position = world.ring("a").await;
        pad.updates_to(position).await;
    }
}

#[tokio::test]
async fn a_stores_pads_get_only_its_own_calls() {
    let world = World::new().await;
    let replica = world.replica().await;
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "b", SubscribeRequest::default()).await;
        pad.begin().await;
        for _ in 0..5 {
            world.ring("a").await;
        }
        // A sentinel after them: an event of the other store would come first.
        let sentinel = world.ring("b").await;
        pad.updates_to(sentinel).await;
    }
}

#[tokio::test]
async fn heartbeats_have_the_last_position() {
    let world = World::new().await;
    let replica = world.replica_with(&["--heartbeat-interval=50ms"]).await;
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        pad.begin().await;
        let position = world.ring("a").await;
        pad.updates_to(position).await;
        for _ in 0..3 {
            assert_eq!(pad.heartbeat().await.position, position);
        }
    }
}

#[tokio::test]
async fn repeated_and_swapped_events_reach_pads_once_and_in_order() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = Vec::new();
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        pad.begin().await;
        pads.push(pad);
    }
    let [one, two, three, four] = [(); 4].map(|()| world.log.ring("a"));
    world.publish(std::slice::from_ref(&two)).await;
    world.publish(&[one.clone(), two.clone(), one.clone()]).await;
    world.publish(&[four.clone(), three, one, four]).await;
    for pad in &mut pads {
        pad.updates_to(4).await;
        assert_eq!(pad.position, 4);
    }
    let sentinel = world.ring("a").await;
    for pad in &mut pads {
        pad.updates_to(sentinel).await;
    }
}

#[tokio::test]
async fn two_replicas_in_one_process_serve_the_same_calls() {
    let world = World::new().await;
    let replicas = [world.replica().await, world.replica().await];
    let mut pads = Vec::new();
    for (replica, transport) in replicas.iter().zip(TRANSPORTS) {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        pad.begin().await;
        pads.push(pad);
    }
    let mut last = 0;
    for _ in 0..200 {
        last = world.ring("a").await;
    }
    for pad in &mut pads {
        pad.updates_to(last).await;
    }
    for replica in replicas {
        replica.end().await.unwrap();
    }
}

#[tokio::test]
async fn a_long_snapshot_is_complete() {
    let world = World::new().await;
    let replica = world.replica().await;
    for _ in 0..100 {
        world.log.ring_with_memo("a", &"가".repeat(1_000));
    }
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        assert_eq!(pad.begin().await.open_calls.len(), 100);
    }
}

#[tokio::test]
async fn the_stream_of_a_pad_that_reads_nothing_ends_as_too_slow() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut slow = replica.pad(Transport::Grpc, "a", SubscribeRequest::default()).await;
    let mut quick = replica.pad(Transport::Grpc, "a", SubscribeRequest::default()).await;
    slow.begin().await;
    quick.begin().await;
    let memo = "x".repeat(8_000);
    for _ in 0..2_000 {
        let event = world.log.ring_with_memo("a", &memo);
        let position = event.position;
        world.publish(&[event]).await;
        quick.updates_to(position).await;
    }
    let ended = slow.end().await;
    assert_eq!(ended, StreamEnd::Exhausted);
}

#[tokio::test]
async fn the_answers_of_a_slow_log_are_waited_for() {
    let world = World::new().await;
    let replica = world.replica().await;
    world.log.answer_after(Duration::from_millis(300));
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", SubscribeRequest::default()).await;
        // While the log is being asked, a call comes in.
        let position = world.ring("a").await;
        pad.begin().await;
        pad.updates_to(position).await;
    }
}
