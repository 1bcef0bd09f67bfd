//! Pads that return with a position.

use ringpad_proto::v1::SubscribeRequest;

use crate::{harness::*, pads::*};

#[tokio::test]
async fn a_pad_that_returns_to_the_other_replica_gets_what_it_missed() {
    let world = World::new().await;
    let [one, other] = [world.replica().await, world.replica().await];
    for transport in TRANSPORTS {
        let mut pad = one.pad(transport, "a", SubscribeRequest::default()).await;
        pad.begin().await;
        let had = world.ring("a").await;
        pad.updates_to(had).await;
        drop(pad);
        let mut missed = 0;
        for _ in 0..5 {
            missed = world.ring("a").await;
        }
        let mut pad = other.pad(transport, "a", after(had, world.log.epoch())).await;
        let snapshot = pad.begin().await;
        assert_eq!((snapshot.position, snapshot.resumed), (had, true));
        assert_eq!(snapshot.store.unwrap().name, "Store a");
        assert!(snapshot.open_calls.is_empty() && snapshot.recent_calls.is_empty());
        pad.updates_to(missed).await;
        let live = world.ring("a").await;
        pad.updates_to(live).await;
    }
}

#[tokio::test]
async fn a_pad_that_returns_soon_needs_no_request_to_the_log() {
    let world = World::new().await;
    let replica = world.replica().await;
    // Another pad, so that the replica still holds the store.
    let mut stays = replica.pad(Transport::Grpc, "a", SubscribeRequest::default()).await;
    stays.begin().await;
    let last = world.ring("a").await;
    stays.updates_to(last).await;
    let asked = world.log.asked_by_pads();
    assert!(asked > 0, "the first one had to ask");
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", after(0, world.log.epoch())).await;
        assert!(pad.begin().await.resumed);
        pad.updates_to(last).await;
        assert_eq!(world.log.asked_by_pads(), asked);
    }
}

#[tokio::test]
async fn many_missed_events_are_read_in_pages() {
    let world = World::new().await;
    let replica = world.replica().await;
    for _ in 0..3_000 {
        world.log.ring("a");
    }
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", after(7, world.log.epoch())).await;
        assert!(pad.begin().await.resumed);
        let live = world.ring("a").await;
        pad.updates_to(live).await;
    }
}

#[tokio::test]
async fn a_pad_out_of_reach_gets_a_fresh_snapshot() {
    let world = World::new().await;
    let replica = world.replica().await;
    for _ in 0..10_002 {
        world.log.ring("a");
    }
    let epoch = world.log.epoch();
    let out_of_reach = [
        after(10_003, epoch),
        after(u64::MAX, epoch),
        after(1, epoch),
        after(10_002, uuid::Uuid::new_v4()),
        after(10_002, ""),
        after(10_002, "not a uuid"),
    ];
    for transport in TRANSPORTS {
        for request in &out_of_reach {
            let mut pad = replica.pad(transport, "a", request.clone()).await;
            let snapshot = pad.begin().await;
            assert_eq!((snapshot.position, snapshot.resumed), (10_002, false), "{request:?}");
            assert_eq!(snapshot.open_calls.len(), 100);
        }
        for near in [2, 10_002] {
            let mut pad = replica.pad(transport, "a", after(near, epoch)).await;
            assert!(pad.begin().await.resumed, "{near}");
            pad.updates_to(10_002).await;
        }
    }
}

#[tokio::test]
async fn a_replica_that_is_behind_the_pads_last_replica_still_resumes() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut here = replica.pad(Transport::Grpc, "a", SubscribeRequest::default()).await;
    here.begin().await;
    for transport in TRANSPORTS {
        // In the log, and sent to the pad by another replica, but not here yet.
        let late = [(); 2].map(|()| world.log.ring("a"));
        let had = late[1].position;
        let mut pad = replica.pad(transport, "a", after(had, world.log.epoch())).await;
        let snapshot = pad.begin().await;
        assert_eq!((snapshot.position, snapshot.resumed), (had, true));
        world.publish(&late).await;
        let live = world.ring("a").await;
        pad.updates_to(live).await;
        here.updates_to(live).await;
    }
}

#[tokio::test]
async fn an_answer_that_would_be_too_large_is_read_in_smaller_ones() {
    let world = World::new().await;
    let replica = world.replica().await;
    // Together more than an answer may have; this log does not count bytes.
    for _ in 0..200 {
        world.log.ring_with_memo("a", &"x".repeat(400_000));
    }
    let mut pad = replica.pad(Transport::Grpc, "a", after(0, world.log.epoch())).await;
    assert!(pad.begin().await.resumed);
    pad.updates_to(200).await;
}
