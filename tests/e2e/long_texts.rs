//! Records with texts as long as a request may be: every client connects with the default limits of its library.

use ringpad_proto::v1::{
    Cdr, IngestCallRequest, ListCallEventsRequest, ListCallsRequest, Snapshot, StoreCursor,
};
use ringpad_tests::{
    pads::Transport,
    services::{Shop, System},
    wait::must,
};

/// No broker is needed: pads get everything from the log.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:9/%2f";
/// With [`MEMO`] 30 MB in all; most gRPC libraries, also those of the clients here, accept 4 MiB a message.
const RECORDS: usize = 500;
/// Bytes of a memo.
const MEMO: usize = 60_000;

fn long(store: &Shop) -> Cdr {
    Cdr { memo: "세".repeat(MEMO / 3), ..store.ring() }
}

#[tokio::test]
async fn a_backlog_of_long_memos_reaches_pads_and_internal_clients_that_take_the_default_limit() {
    let system = System::start(NO_BROKER, 1).await;
    let store = system.store("gangnam").await;
    let mut early = Vec::new();
    for transport in Transport::ALL {
        early.push(system.pad(transport, 0, &store.id).await);
    }
    let mut client = system.calls().await;
    for _ in 0..RECORDS {
        let cdr = long(&store);
        system.secrets.note(&cdr);
        let request = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(cdr) };
        must("IngestCall", client.ingest_call(request).await);
    }
    for pad in &mut early {
        pad.until_position(RECORDS as u64).await;
    }
    // A pad that connects now gets the newest ones in its first message.
    for transport in Transport::ALL {
        let pad = system.pad(transport, 0, &store.id).await;
        let Snapshot { open_calls, position, .. } = &pad.snapshot;
        assert_eq!((*position, open_calls.len()), (RECORDS as u64, 100), "{transport:?}");
        assert!(open_calls.iter().all(|call| call.memo.len() <= 2_048 && call.memo.ends_with("세…")));
    }
    let request =
        ListCallsRequest { store_id: store.id.clone(), page_size: 500, ..ListCallsRequest::default() };
    let page = must("ListCalls", client.list_calls(request).await).into_inner();
    assert!(!page.calls.is_empty());
    let cursor = StoreCursor { store_id: store.id.clone(), after_position: 0 };
    let request = ListCallEventsRequest { stores: vec![cursor], limit: 10_000, ..Default::default() };
    let missed = must("ListCallEvents", client.list_call_events(request).await).into_inner();
    assert!(!missed.stores[0].events.is_empty());
}
