//! Admission: tokens, origins, deadlines, sessions.

use ringpad_tests::{
    cdr::{self, ring},
    pads::{Pad, StreamEnd, Subscription, Transport},
    rabbit::RabbitNode,
    services::System,
    token::{Claims, in_seconds},
};
use serde_json::json;

#[tokio::test]
async fn a_bad_or_expired_token_is_refused() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let claims = Claims::new(&store.id, "counter");
    let tokens = [
        None,
        Some("no-token".to_owned()),
        Some(claims.signed_with("another-secret-of-at-least-32-bytes!")),
        Some(Claims { exp: in_seconds(-1), ..claims.clone() }.token()),
        Some(Claims { aud: "another-service".to_owned(), ..claims.clone() }.token()),
    ];
    for token in tokens {
        for transport in Transport::ALL {
            let asked = Subscription { token: token.clone(), ..Subscription::new("") };
            let end = Pad::try_open(transport, system.push_at[0].pads, &asked).await.expect_err("no stream");
            assert_eq!(end, StreamEnd::Unauthenticated, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn the_reason_for_a_refused_token_is_logged_with_its_pad_and_without_its_content() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let tokens = [
        (
            Claims { exp: in_seconds(-1), ..Claims::new("gangnam", "expired-pad") },
            "the token has expired (exp)",
        ),
        (
            Claims {
                aud: "elsewhere".to_owned(),
                name: "김민수".to_owned(),
                ..Claims::new("", "faulty-pad")
            },
            "the token is faulty: store is not a store's id, aud is not \"ringpad\"",
        ),
    ];
    for (claims, said) in tokens {
        for transport in Transport::ALL {
            let asked = Subscription::new(&claims.token());
            let end = Pad::try_open(transport, system.push_at[0].pads, &asked).await.expect_err("no stream");
            assert_eq!(end, StreamEnd::Unauthenticated, "{transport:?}");
        }
        let log = system.push[0].logged();
        let lines = log.lines().filter(|line| line.contains(said));
        let of_the_pad = lines.filter(|line| line.contains("DEBUG") && line.contains(&claims.sub));
        assert_eq!(of_the_pad.count(), Transport::ALL.len(), "{log}");
        assert!(!log.contains("elsewhere") && !log.contains("김민수"), "{log}");
    }
}

#[tokio::test]
async fn an_expiring_token_ends_its_stream() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pads = Vec::new();
    for transport in Transport::ALL {
        let claims = Claims { exp: in_seconds(4), ..Claims::new(&store.id, "counter") };
        let asked = Subscription::new(&claims.token());
        pads.push(Pad::open(transport, system.push_at[0].pads, &asked).await);
    }
    for pad in &mut pads {
        assert_eq!(pad.end().await, StreamEnd::Unauthenticated, "{:?}", pad.transport);
    }
}

#[tokio::test]
async fn a_token_is_for_its_own_store_and_that_must_exist() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    system.store("gangnam").await;
    for transport in Transport::ALL {
        let asked = system.subscription("nowhere");
        let end = Pad::try_open(transport, system.push_at[0].pads, &asked).await.expect_err("no such store");
        assert_eq!(end, StreamEnd::NotFound, "{transport:?}");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_and_our_own_is_accepted() {
    let settings = [("PAD_ALLOWED_ORIGINS", "https://shop.example")];
    let url = RabbitNode::shared().await.url();
    let (same_host, listed) = (System::start(&url, 1).await, System::start_with(&url, 1, &settings).await);
    for system in [&same_host, &listed] {
        let store = system.store("gangnam").await;
        let replica = system.push_at[0].pads;
        for transport in [Transport::GrpcWeb, Transport::WebSocket] {
            let from = |origin: &str| Subscription {
                origin: Some(origin.to_owned()),
                ..system.subscription(&store.id)
            };
            let end =
                Pad::try_open(transport, replica, &from("https://evil.example")).await.expect_err("foreign");
            assert_eq!(end, StreamEnd::PermissionDenied, "{transport:?}");
        }
    }
    for transport in [Transport::GrpcWeb, Transport::WebSocket] {
        // Behind TLS that ends at the load balancer only the host is the same.
        let replica = same_host.push_at[0].pads;
        for scheme in ["http", "https"] {
            let origin = Some(format!("{scheme}://{replica}"));
            Pad::open(transport, replica, &Subscription { origin, ..same_host.subscription("gangnam") })
                .await;
        }
        let origin = Some("https://shop.example".to_owned());
        Pad::open(
            transport,
            listed.push_at[0].pads,
            &Subscription { origin, ..listed.subscription("gangnam") },
        )
        .await;
    }
}

#[tokio::test]
async fn a_websocket_sends_its_first_message_in_time() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let replica = system.push_at[0].pads;
    assert_eq!(Pad::end_of_websocket(replica, None).await, StreamEnd::NoFirstMessage);
    assert_eq!(Pad::end_of_websocket(replica, Some("{}")).await, StreamEnd::Unauthenticated);
    // A number where proto3 JSON would have a string is read too, and then the token is checked.
    let first = json!({"token": "no-token", "afterPosition": 7, "epoch": "", "session": store.id});
    assert_eq!(Pad::end_of_websocket(replica, Some(&first.to_string())).await, StreamEnd::Unauthenticated);
}

#[tokio::test]
async fn a_newer_stream_of_a_session_replaces_the_older_one_and_other_tabs_stay_open() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let replica = system.push_at[0].pads;
    let token = Claims::new(&store.id, "counter").token();
    for transport in Transport::ALL {
        let tab = Subscription::new(&token);
        let mut other_tab = Pad::open(transport, replica, &Subscription::new(&token)).await;
        let mut older = Pad::open(transport, replica, &tab).await;
        let mut newer = Pad::open(transport, replica, &tab).await;
        assert_eq!(older.end().await, StreamEnd::Replaced, "{transport:?}");
        system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
        newer.update().await;
        other_tab.update().await;
    }
}

#[tokio::test]
async fn a_pad_has_at_most_eight_streams_on_a_replica() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let replica = system.push_at[0].pads;
    let token = Claims::new(&store.id, "counter").token();
    let mut tabs = Vec::new();
    for tab in 0..8 {
        tabs.push(Pad::open(Transport::ALL[tab % 3], replica, &Subscription::new(&token)).await);
    }
    for transport in Transport::ALL {
        let end =
            Pad::try_open(transport, replica, &Subscription::new(&token)).await.expect_err("a ninth stream");
        assert_eq!(end, StreamEnd::Exhausted, "{transport:?}");
    }
    // Another pad of the same store is not the ninth of this one.
    let mut other = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    other.update().await;
    for pad in &mut tabs {
        pad.update().await;
    }
}
