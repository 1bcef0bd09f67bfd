//! More text than a message may have: every client connects with the default limits of its library.

use std::future::ready;

use futures_util::{StreamExt, stream};
use ringpad_proto::v1::{
    Cdr, IngestCallRequest, ListCallEventsRequest, ListCallsRequest, Snapshot, StoreCursor,
};
use ringpad_tests::{
    pads::Transport,
    rabbit::NO_BROKER,
    services::{Shop, System},
    wait::must,
};

/// Most gRPC libraries, also those of the clients here, take so much as a message.
const MESSAGE: usize = 4 * 1024 * 1024;
/// Bytes of a memo that pads get; the rest is only in the log.
const SHOWN: usize = 2_048;
/// With [`SHOWN`] a quarter more than [`MESSAGE`] in all.
const RECORDS: usize = 2_560;
/// Of them, those with a memo as long as a request may have.
const LONGEST: usize = 100;
/// Records that are sent before the pads have read them: a replica keeps 4 MiB of a store's events, 10 KiB for each of
/// these, and ends the stream of a pad that is further behind.
const AHEAD: usize = 256;

fn record(store: &Shop, memo: usize) -> Cdr {
    Cdr { memo: "세".repeat(memo / 3), ..store.ring() }
}

#[tokio::test]
async fn a_backlog_of_long_memos_reaches_pads_and_internal_clients_that_take_the_default_limit() {
    // Pads get everything from the log.
    let system = System::start(NO_BROKER, 1).await;
    let store = system.store("gangnam").await;
    let mut early = Vec::new();
    for transport in Transport::ALL {
        early.push(system.pad(transport, 0, &store.id).await);
    }
    let mut client = system.calls().await;
    for first in (0..RECORDS).step_by(AHEAD) {
        let records = first..RECORDS.min(first + AHEAD);
        let sent = stream::iter(records.clone()).map(|number| {
            let cdr = record(&store, if number < LONGEST { 60_000 } else { 2_400 });
            system.secrets.note(&cdr);
            let request = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(cdr) };
            let mut client = client.clone();
            async move { must("IngestCall", client.ingest_call(request).await) }
        });
        sent.buffer_unordered(16).for_each(|_| ready(())).await;
        for pad in &mut early {
            pad.until_position(records.end as u64).await;
        }
    }
    // A pad that connects now gets the newest ones in its first message.
    for transport in Transport::ALL {
        let pad = system.pad(transport, 0, &store.id).await;
        let Snapshot { open_calls, position, .. } = &pad.snapshot;
        assert_eq!((*position, open_calls.len()), (RECORDS as u64, 100), "{transport:?}");
        assert!(open_calls.iter().all(|call| call.memo.len() <= SHOWN && call.memo.ends_with("세…")));
    }
    let request =
        ListCallsRequest { store_id: store.id.clone(), page_size: 500, ..ListCallsRequest::default() };
    let page = must("ListCalls", client.list_calls(request).await).into_inner();
    assert!(!page.calls.is_empty());
    let (mut after_position, mut bytes) = (0, 0);
    while after_position < RECORDS as u64 {
        let cursor = StoreCursor { store_id: store.id.clone(), after_position };
        let request = ListCallEventsRequest { stores: vec![cursor], limit: 10_000, ..Default::default() };
        let missed = must("ListCallEvents", client.list_call_events(request).await).into_inner();
        let events = &missed.stores[0].events;
        bytes += events.iter().map(|event| event.subscribe_response.len()).sum::<usize>();
        after_position = events.last().expect("an answer has an event").position;
    }
    assert!(bytes > MESSAGE, "{bytes} bytes would fit into one message");
}
