//! What pads get after the log has deleted old calls.

use ringpad_proto::v1::{ListCallEventsRequest, ListCallsRequest, StoreCursor};
use ringpad_tests::{
    pads::{Pad, Transport},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};

#[tokio::test]
async fn a_pad_that_was_away_for_longer_than_the_retention_gets_a_fresh_snapshot() {
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &[("RETENTION", "2s")]).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let epoch = system.pad(Transport::Grpc, 0, &store.id).await.snapshot.epoch.clone();
    for _ in 0..3 {
        provider.deliver(&store.ring()).await;
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
    provider.deliver(&store.ring()).await;
    pad.until_position(4).await;
}
