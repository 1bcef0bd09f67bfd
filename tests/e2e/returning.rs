//! A pad that reconnects to any replica gets exactly what it missed.

use ringpad_proto::v1::{CallState, ListCallEventsRequest, ListCallsRequest, StoreCursor};
use ringpad_tests::{
    cdr::{self, missed, ring},
    pads::{Pad, Transport},
    rabbit::RabbitNode,
    services::System,
    token::Claims,
    wait::{SOON, must, until},
};
use uuid::Uuid;

#[tokio::test]
async fn a_pad_that_returns_to_the_other_replica_gets_exactly_what_it_missed() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let token = Claims::new(&store.id, "counter").token();
    for _ in 0..3 {
        provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    }
    for transport in Transport::ALL {
        let mut pad = system.pad(transport, 0, &store.id).await;
        let began = pad.snapshot.position;
        provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
        pad.until_position(began + 1).await;
        let asked = pad.resumption(&token);
        drop(pad);

        let mut missed = Vec::new();
        for _ in 0..4 {
            missed.push(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
        }
        let mut back = Pad::open(transport, system.push_at[1].pads, &asked).await;
        assert!(back.snapshot.resumed, "{transport:?}");
        assert_eq!(back.snapshot.position, began + 1);
        assert!(back.snapshot.open_calls.is_empty() && back.snapshot.recent_calls.is_empty());
        missed.push(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
        back.until_position(began + 6).await;
        let got: Vec<_> =
            back.updates.iter().filter_map(|update| update.call.clone()).map(|call| call.id).collect();
        assert_eq!(got, missed, "{transport:?}");
    }
}

#[tokio::test]
async fn a_pad_without_a_position_of_this_log_gets_a_fresh_snapshot() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let open = ring(&store.virtual_number, &cdr::caller());
    let over = ring(&store.virtual_number, &cdr::caller());
    let open_id = provider.deliver(&open).await.call_id;
    let over_id = provider.deliver(&missed(&over)).await.call_id;
    let token = Claims::new(&store.id, "counter").token();
    let epoch = system.pad(Transport::Grpc, 0, &store.id).await.snapshot.epoch.clone();
    assert!(Uuid::parse_str(&epoch).is_ok(), "an epoch is a UUID: {epoch}");

    let elsewhere = Uuid::new_v4().to_string();
    for (position, of) in [(1, elsewhere.as_str()), (1_000, epoch.as_str()), (1, "")] {
        for (transport, replica) in [(Transport::Grpc, 0), (Transport::GrpcWeb, 1), (Transport::WebSocket, 1)]
        {
            let asked = system.subscription(&store.id).after(position, of);
            let mut pad = Pad::open(transport, system.push_at[replica].pads, &asked).await;
            let snapshot = pad.snapshot.clone();
            assert_eq!((snapshot.resumed, snapshot.epoch.as_str()), (false, epoch.as_str()), "{transport:?}");
            let ids = |calls: &[ringpad_proto::v1::Call]| {
                calls.iter().map(|call| call.id.clone()).collect::<Vec<_>>()
            };
            assert!(ids(&snapshot.open_calls).contains(&open_id), "{transport:?}");
            assert!(ids(&snapshot.recent_calls).contains(&over_id), "{transport:?}");
            assert!(snapshot.recent_calls.iter().all(|call| call.state() == CallState::Missed));
            provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
            pad.until_position(snapshot.position + 1).await;
        }
    }

    // 0 is a position: everything is repeated, nothing is in the snapshot.
    let asked = ringpad_tests::pads::Subscription::new(&token).after(0, &epoch);
    let mut pad = Pad::open(Transport::WebSocket, system.push_at[0].pads, &asked).await;
    assert!(pad.snapshot.resumed && pad.calls.is_empty());
    pad.until_position(11).await;
}

#[tokio::test]
async fn a_pad_that_was_away_for_longer_than_the_retention_gets_a_fresh_snapshot() {
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &[("RETENTION", "2s")]).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let epoch = system.pad(Transport::Grpc, 0, &store.id).await.snapshot.epoch.clone();
    for _ in 0..3 {
        provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    }
    let mut log = system.calls().await;
    until("all calls and their events are deleted", SOON, async || {
        let stores = vec![StoreCursor { store_id: store.id.clone(), after_position: 0 }];
        let request = ListCallEventsRequest { stores, ..ListCallEventsRequest::default() };
        let answer = must("ListCallEvents", log.list_call_events(request).await).into_inner();
        assert_eq!((answer.epoch.as_str(), answer.stores[0].position), (epoch.as_str(), 3), "they survive");
        let request = ListCallsRequest { store_id: store.id.clone(), ..ListCallsRequest::default() };
        let calls = must("ListCalls", log.list_calls(request).await).into_inner().calls;
        (answer.stores[0].events.is_empty() && calls.is_empty()).then_some(())
    })
    .await;
    for transport in Transport::ALL {
        // The last event was purged too: nothing is missing after it, but before it.
        for (after, resumed) in [(0, false), (2, false), (3, true)] {
            let asked = system.subscription(&store.id).after(after, &epoch);
            let pad = Pad::open(transport, system.push_at[0].pads, &asked).await;
            let snapshot = (pad.snapshot.resumed, pad.snapshot.position, pad.calls.len());
            assert_eq!(snapshot, (resumed, 3, 0), "{transport:?} after {after}");
        }
    }
    let mut pad = system.pad(Transport::WebSocket, 0, &store.id).await;
    provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position(4).await;
}
