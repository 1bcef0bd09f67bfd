//! A store that gets another name while its pads are connected.

use ringpad_bus::Event as BusEvent;
use ringpad_proto::v1::{Reconnect, SubscribeRequest, subscribe_response::Event};

use crate::{harness::*, pads::*};

/// The event that ingest-svc publishes after `UpsertStore`.
async fn hint(world: &World, store: &str) {
    let epoch = world.log.epoch();
    let bytes = bytes::Bytes::new();
    world.publish(&[BusEvent { store_id: store.to_owned(), epoch, position: 0, bytes, receipt: None }]).await;
}

/// The next `reconnect`; only heartbeats may come before it.
async fn asked_to_reconnect(pad: &mut TestPad) -> Reconnect {
    loop {
        match pad.next().await {
            Ok(Event::Reconnect(reconnect)) => return reconnect,
            Ok(Event::Heartbeat(_)) => {}
            other => panic!("a reconnect was expected, not {other:?}"),
        }
    }
}

fn resumption(world: &World, position: u64, tab: &str) -> SubscribeRequest {
    SubscribeRequest { session: tab.to_owned(), ..after(position, world.log.epoch()) }
}

#[tokio::test]
async fn pads_get_a_new_name_on_their_next_stream_and_miss_nothing() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut old = Vec::new();
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", session(&format!("{transport:?}"))).await;
        assert_eq!(pad.begin().await.store.unwrap().name, "Store a");
        old.push(pad);
    }
    let position = world.ring("a").await;
    for pad in &mut old {
        pad.updates_to(position).await;
    }
    world.log.rename("a", "The corner");
    hint(&world, "a").await;
    let mut new = Vec::new();
    for (pad, transport) in old.iter_mut().zip(TRANSPORTS) {
        assert!(asked_to_reconnect(pad).await.after.is_some());
        let request = resumption(&world, position, &format!("{transport:?}"));
        let mut next = replica.pad(transport, "a", request).await;
        let snapshot = next.begin().await;
        assert_eq!((snapshot.resumed, snapshot.store.unwrap().name.as_str()), (true, "The corner"));
        assert_eq!(pad.end().await, StreamEnd::Replaced, "its successor is here");
        new.push(next);
    }
    let position = world.ring("a").await;
    for pad in &mut new {
        // This fails if a second reconnect comes before the update.
        pad.updates_to(position).await;
    }
}

#[tokio::test]
async fn the_stream_of_a_pad_that_does_not_reconnect_for_the_new_name_is_ended() {
    let world = World::new().await;
    let replica = world.replica().await;
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", session("tab")).await;
        let position = pad.begin().await.position;
        world.log.rename("a", &format!("{transport:?}"));
        hint(&world, "a").await;
        asked_to_reconnect(&mut pad).await;
        // The stream continues until then.
        let rung = world.ring("a").await;
        assert_eq!(rung, position + 1);
        pad.updates_to(rung).await;
        assert_eq!(pad.end().await, StreamEnd::Unavailable);
        assert_eq!(http_get(replica.pads, "/readyz").await.0, 200);
    }
}

#[tokio::test]
async fn a_new_name_is_found_without_a_hint() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pad = replica.pad(Transport::Grpc, "a", session("tab")).await;
    pad.begin().await;
    world.log.rename("a", "The corner");
    // Any comparison with the log finds it.
    world.new_publisher().await;
    world.publish(&[]).await;
    asked_to_reconnect(&mut pad).await;
}
