//! A replica that leaves.

use ringpad_proto::v1::{SubscribeRequest, subscribe_response::Event};

use crate::{harness::*, pads::*};

#[tokio::test]
async fn pads_are_asked_to_reconnect_and_then_their_streams_end() {
    let world = World::new().await;
    let replica = world.replica_with(&["--drain-window=4s"]).await;
    let mut pads = Vec::new();
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", session(&format!("{transport:?}"))).await;
        pad.begin().await;
        pads.push(pad);
    }
    replica.shutdown.cancel();
    wait_for("the drain", async || http_get(replica.pads, "/readyz").await.0 == 503).await;
    let (_, _, why) = http_get(replica.pads, "/readyz").await;
    assert!(why.contains("draining"), "{why}");
    for transport in TRANSPORTS {
        // Refused in a way that makes a load balancer try the next replica.
        let mut refused = replica.pad(transport, "a", SubscribeRequest::default()).await;
        assert_eq!(refused.end().await, StreamEnd::Http(503));
    }
    // Until they end, the streams continue.
    let rung = world.ring("a").await;
    for (pad, transport) in pads.iter_mut().zip(TRANSPORTS) {
        let (mut asked, mut last) = (0, 0);
        let ended = loop {
            match pad.next().await {
                Ok(Event::Heartbeat(_)) => {}
                Ok(Event::Update(update)) => last = update.position,
                Ok(Event::Reconnect(reconnect)) => {
                    assert!(reconnect.after.unwrap().seconds < 1);
                    asked += 1;
                }
                Ok(other) => panic!("not while leaving: {other:?}"),
                Err(ended) => break ended,
            }
        };
        assert_eq!((asked, last, ended), (1, rung, StreamEnd::of_drain(transport)));
    }
    replica.end().await.unwrap();
}

#[tokio::test]
async fn pads_that_move_to_another_replica_miss_nothing() {
    let world = World::new().await;
    let [leaves, stays] = [world.replica().await, world.replica().await];
    for transport in TRANSPORTS {
        let mut pad = leaves.pad(transport, "a", session("tab")).await;
        pad.begin().await;
        let position = world.ring("a").await;
        pad.updates_to(position).await;
        let mut moved = stays.pad(transport, "a", after(position, world.log.epoch())).await;
        assert!(moved.begin().await.resumed);
        drop(pad);
        let position = world.ring("a").await;
        moved.updates_to(position).await;
    }
    leaves.end().await.unwrap();
    stays.end().await.unwrap();
}

#[tokio::test]
async fn pads_that_read_nothing_do_not_keep_a_replica_from_leaving() {
    let world = World::new().await;
    world.replica().await.end().await.unwrap();
    let replica = world.replica().await;
    let mut dead = Vec::new();
    for transport in TRANSPORTS {
        // Never read from.
        dead.push(replica.pad(transport, "a", SubscribeRequest::default()).await);
    }
    // One that has not sent its first message.
    let silent = TestPad::on_websocket(replica.pads, None).await;
    replica.end().await.unwrap();
    drop((dead, silent));
}

#[tokio::test]
async fn a_replica_with_one_source_is_ready() {
    let world = World::new().await;
    world.cut_log();
    let replica = world.replica().await;
    assert_eq!(http_get(replica.admin, "/readyz").await.0, 200);
    replica.end().await.unwrap();
}
