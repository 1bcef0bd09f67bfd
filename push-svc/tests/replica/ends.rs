//! Why streams end, or are refused.

use std::time::{Duration, SystemTime};

use ringpad_proto::v1::SubscribeRequest;

use crate::{harness::*, pads::*};

async fn end_of(
    replica: &Replica,
    transport: Transport,
    token: &str,
    request: SubscribeRequest,
) -> StreamEnd {
    TestPad::connect(transport, replica.pads, token, request, None).await.end().await
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_refused() {
    let world = World::new().await;
    let replica = world.replica().await;
    let expired = token_until("p", "a", SystemTime::now());
    let mut forged = token("p", "a");
    forged.truncate(forged.len() - 4);
    let long_id = token(&"x".repeat(257), "a");
    for transport in TRANSPORTS {
        TestPad::connect(
            transport,
            replica.pads,
            &token(&"x".repeat(256), "a"),
            SubscribeRequest::default(),
            None,
        )
        .await
        .begin()
        .await;
        for bad in ["", "no-jwt", &expired, &forged, &long_id] {
            let ended = end_of(&replica, transport, bad, SubscribeRequest::default()).await;
            assert_eq!(ended, StreamEnd::Unauthenticated, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_expires_ends_the_stream() {
    let world = World::new().await;
    let replica = world.replica().await;
    for transport in TRANSPORTS {
        let token = token_until("p", "a", SystemTime::now() + Duration::from_secs(3));
        let mut pad =
            TestPad::connect(transport, replica.pads, &token, SubscribeRequest::default(), None).await;
        pad.begin().await;
        assert_eq!(pad.end().await, StreamEnd::Unauthenticated);
    }
}

#[tokio::test]
async fn a_stream_ends_at_the_fraction_of_a_second_of_its_token() {
    let world = World::new().await;
    let replica = world.replica().await;
    for transport in TRANSPORTS {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let claims = serde_json::json!({"sub": "p", "store": "a", "name": "Counter", "aud": "ringpad",
            "exp": now + 1.5, "nbf": now - 0.25, "iat": now - 0.125});
        let token = signed(&claims);
        let mut pad =
            TestPad::connect(transport, replica.pads, &token, SubscribeRequest::default(), None).await;
        pad.begin().await;
        assert_eq!(pad.end().await, StreamEnd::Unauthenticated);
        let ended = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(ended >= now + 1.5, "{transport:?}: it ended {} s early", now + 1.5 - ended);
    }
}

#[tokio::test]
async fn a_stream_of_an_unknown_store_is_refused() {
    let world = World::new().await;
    let replica = world.replica().await;
    for transport in TRANSPORTS {
        for request in [SubscribeRequest::default(), after(3, world.log.epoch())] {
            let ended = end_of(&replica, transport, &token("p", "nowhere"), request).await;
            assert_eq!(ended, StreamEnd::NotFound);
        }
    }
}

#[tokio::test]
async fn a_newer_stream_of_the_session_replaces_the_older() {
    let world = World::new().await;
    let replica = world.replica().await;
    for older in TRANSPORTS {
        for newer in TRANSPORTS {
            let mut first = replica.pad(older, "a", session("tab")).await;
            first.begin().await;
            let mut other_tab = replica.pad(older, "a", session("other")).await;
            other_tab.begin().await;
            // The same session name of another pad is another session.
            let mut other_pad =
                TestPad::connect(newer, replica.pads, &token("q", "a"), session("tab"), None).await;
            other_pad.begin().await;
            let mut second = replica.pad(newer, "a", session("tab")).await;
            second.begin().await;
            assert_eq!(first.end().await, StreamEnd::Replaced);
            let position = world.ring("a").await;
            for pad in [&mut other_tab, &mut other_pad, &mut second] {
                pad.updates_to(position).await;
            }
        }
    }
}

#[tokio::test]
async fn a_pad_has_eight_streams_at_most() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut open = Vec::new();
    for tab in 0..8 {
        let mut pad = replica.pad(TRANSPORTS[tab % 3], "a", session(&tab.to_string())).await;
        pad.begin().await;
        open.push(pad);
    }
    for transport in TRANSPORTS {
        let mut ninth = replica.pad(transport, "a", session("ninth")).await;
        assert_eq!(ninth.end().await, StreamEnd::Exhausted);
        // A newer stream of a session replaces one of the eight, and another pad has eight of its own.
        let mut newer = replica.pad(transport, "a", session("0")).await;
        newer.begin().await;
        open.push(newer);
        let mut other = TestPad::connect(transport, replica.pads, &token("q", "a"), session("x"), None).await;
        other.begin().await;
    }
    drop(open);
    wait_for("room", async || {
        let mut pad = replica.pad(Transport::Grpc, "a", session("later")).await;
        pad.next().await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let world = World::new().await;
    let replica = world.replica_with(&["--pad-allowed-origins=https://shop.example"]).await;
    let token = token("p", "a");
    for transport in TRANSPORTS {
        let connect = async |origin: &'static str| {
            TestPad::connect(transport, replica.pads, &token, SubscribeRequest::default(), Some(origin)).await
        };
        assert_eq!(connect("https://evil.example").await.end().await, StreamEnd::PermissionDenied);
        connect("https://shop.example").await.begin().await;
        connect("https://127.0.0.1").await.begin().await;
    }
}

#[tokio::test]
async fn a_websocket_without_a_first_message_is_closed() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut silent = TestPad::on_websocket(replica.pads, None).await;
    assert_eq!(silent.end().await, StreamEnd::NoFirstMessage);
}

#[tokio::test]
async fn a_websocket_with_a_wrong_first_message_is_closed() {
    let world = World::new().await;
    let replica = world.replica().await;
    let firsts = [
        ("hello", StreamEnd::Malformed),
        (r#"{"token":7}"#, StreamEnd::Malformed),
        ("{}", StreamEnd::Unauthenticated),
    ];
    for (first, end) in firsts {
        let mut pad = TestPad::on_websocket(replica.pads, Some(first)).await;
        assert_eq!(pad.end().await, end, "{first}");
    }
}

#[tokio::test]
async fn a_session_that_is_too_long_is_refused() {
    let world = World::new().await;
    let replica = world.replica().await;
    for transport in TRANSPORTS {
        let mut pad = replica.pad(transport, "a", session(&"x".repeat(65))).await;
        assert_eq!(pad.end().await, StreamEnd::Malformed);
    }
}
