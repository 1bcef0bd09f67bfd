//! Many stores in one call.

use ringpad_proto::v1::{
    ImportStoresRequest, ImportStoresResponse, ListStoresRequest, Store, StoreFault, store_fault::Reason,
};
use ringpad_tests::{
    cdr::{self, ring},
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::must,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

/// Stores of a long import, in many parts.
const MANY: usize = 20_000;

fn store(id: &str, virtual_numbers: &[&str], lines: &[&str]) -> Store {
    let owned = |numbers: &[&str]| numbers.iter().map(|number| (*number).to_owned()).collect();
    let name = format!("{id} 세차장");
    Store { id: id.to_owned(), name, virtual_numbers: owned(virtual_numbers), lines: owned(lines) }
}

fn many(stores: usize) -> Vec<Store> {
    let number = |index: usize| format!("0507-{:04}-{:04}", 7_000 + index / 10_000, index % 10_000);
    (0..stores).map(|index| store(&format!("many-{index}"), &[&number(index)], &[])).collect()
}

/// In messages with a few stores each, the flags in the first one.
fn messages(stores: Vec<Store>, first: ImportStoresRequest) -> Vec<ImportStoresRequest> {
    let mut messages: Vec<_> = stores
        .chunks(700)
        .map(|part| ImportStoresRequest { stores: part.to_vec(), ..ImportStoresRequest::default() })
        .collect();
    if let Some(message) = messages.first_mut() {
        (message.move_numbers, message.validate_only) = (first.move_numbers, first.validate_only);
    }
    messages
}

async fn import(
    system: &System,
    stores: Vec<Store>,
    flags: ImportStoresRequest,
) -> Result<ImportStoresResponse, tonic::Status> {
    let stream = tokio_stream::iter(messages(stores, flags));
    system.stores().await.import_stores(stream).await.map(tonic::Response::into_inner)
}

fn counts(answer: &ImportStoresResponse) -> [u32; 4] {
    [answer.created, answer.changed, answer.unchanged, answer.failed]
}

async fn listed(system: &System) -> Vec<Store> {
    let request = ListStoresRequest { page_size: 1_000, ..ListStoresRequest::default() };
    must("ListStores", system.stores().await.list_stores(request).await).into_inner().stores
}

#[tokio::test]
async fn all_kinds_of_faults_are_reported_at_once_unmasked_and_nothing_is_imported() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let owner = system.store("owner").await;
    let before = listed(&system).await;
    let owned = owner.virtual_number.replace('-', " ");
    let long = "가".repeat(101);
    let stores = vec![
        store("fine", &["0507-3333-0001"], &["02-555-3301"]),
        store("b@d", &["0507-3333-0002", "abc"], &["0507-3333-000x"]),
        store("twice", &["0507-3333-0003", "+82 507 3333 0001"], &["02 555 3301"]),
        store("fine", &["0507-3333-0004"], &[]),
        store("takes-owned", &[&owned], &[]),
        Store { name: String::new(), ..store("no-name", &["0507-3333-0005"], &[]) },
        Store { name: long.clone(), ..store("long-name", &["0507-3333-0003"], &[]) },
        store("", &[], &[]),
    ];
    for flags in [
        ImportStoresRequest { validate_only: true, ..ImportStoresRequest::default() },
        ImportStoresRequest::default(),
    ] {
        let answer = must("ImportStores", import(&system, stores.clone(), flags).await);
        assert_eq!(counts(&answer), [0, 0, 0, 7]);
        let shape = |fault: &StoreFault| (fault.entry, fault.field.clone(), fault.reason());
        let of = |entry, field: &str, reason| (entry, field.to_owned(), reason);
        assert_eq!(
            answer.faults.iter().map(shape).collect::<Vec<_>>(),
            [
                of(1, "id", Reason::Invalid),
                of(1, "virtual_numbers[1]", Reason::Invalid),
                of(1, "lines[0]", Reason::Invalid),
                of(2, "virtual_numbers[1]", Reason::Repeated),
                of(2, "lines[0]", Reason::Repeated),
                of(3, "id", Reason::Repeated),
                of(4, "virtual_numbers[0]", Reason::Owned),
                of(5, "name", Reason::Invalid),
                of(6, "name", Reason::Invalid),
                of(6, "virtual_numbers[0]", Reason::Repeated),
                of(7, "id", Reason::Invalid),
            ]
        );
        let [_, _, number, line, ..] = answer.faults.as_slice() else { panic!("{answer:?}") };
        assert!(number.description.contains("\"0507-3333-000x\"") && number.description.contains("digits"));
        assert!(line.description.contains("0507-3333-0001") && line.description.contains("\"fine\""));
        assert_eq!((line.other_entry, line.other_field.as_str()), (0, "virtual_numbers[0]"));
        let owned = &answer.faults[6].description;
        assert!(owned.contains(&owner.virtual_number) && owned.contains("\"owner\""), "{owned}");
        assert!(owned.contains("move_numbers"), "{owned}");
    }
    assert_eq!(listed(&system).await, before);
}

#[tokio::test]
async fn an_import_counts_created_changed_and_unchanged_stores() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let owner = system.store("owner").await;
    let stores = vec![
        store("a", &["0507-4444-0001"], &["02-555-4401"]),
        store("b", &["0507-4444-0002", &owner.virtual_number], &[]),
    ];
    let flags = ImportStoresRequest { move_numbers: true, ..ImportStoresRequest::default() };
    let tried = ImportStoresRequest { validate_only: true, ..flags.clone() };
    let tried = must("ImportStores", import(&system, stores.clone(), tried).await);
    assert_eq!((counts(&tried), listed(&system).await.len()), ([2, 0, 0, 0], 1));
    let first = must("ImportStores", import(&system, stores.clone(), flags.clone()).await);
    assert_eq!(counts(&first), [2, 0, 0, 0]);
    let again = must("ImportStores", import(&system, stores.clone(), ImportStoresRequest::default()).await);
    assert_eq!(counts(&again), [0, 0, 2, 0]);

    // Two numbers are exchanged, one is left out, one store is new.
    let changed = vec![
        Store { name: "새 이름".to_owned(), ..store("a", &["0507-4444-0002"], &["02-555-4401"]) },
        store("b", &["0507-4444-0001"], &[]),
        store("c", &["0507-4444-0003"], &[]),
        store("owner", &[], &[&owner.line]),
    ];
    let refused =
        must("ImportStores", import(&system, changed.clone(), ImportStoresRequest::default()).await);
    assert_eq!(counts(&refused), [0, 0, 0, 2], "{refused:?}");
    let answer = must("ImportStores", import(&system, changed.clone(), flags).await);
    assert_eq!(counts(&answer), [1, 2, 1, 0], "{answer:?}");
    assert_eq!(listed(&system).await, changed);
    assert_eq!(
        counts(&must("nothing", import(&system, vec![], ImportStoresRequest::default()).await)),
        [0; 4]
    );
}

#[tokio::test]
async fn records_are_accepted_while_stores_are_imported() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let called = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &called.id).await;
    let mut provider = system.provider();
    let importing = import(&system, many(MANY), ImportStoresRequest::default());
    tokio::pin!(importing);
    let mut rings = 0;
    let answer = loop {
        let record = called.ring();
        tokio::select! {
            biased;
            taken = provider.deliver(&record) => {
                assert_eq!(taken.status, "accepted");
                rings += 1;
            }
            answer = &mut importing => break must("ImportStores", answer),
        }
    };
    assert_eq!(counts(&answer), [20_000, 0, 0, 0]);
    assert!(rings > 20, "only {rings} records were accepted meanwhile");
    pad.until_position(rings).await;
    // Calls reach the new stores.
    let new = provider.deliver(&ring("0507-7001-9999", &cdr::caller())).await;
    assert_eq!(new.status, "accepted");
}

#[tokio::test]
async fn an_import_without_end_is_refused_and_the_next_one_follows() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    // More stores than the limit are refused immediately, although the client would send more.
    let (send, messages) = mpsc::channel(1);
    let sending = tokio::spawn(async move {
        let stores: Vec<_> = (0..10_000).map(|index| store(&format!("s{index}"), &[], &[])).collect();
        while send
            .send(ImportStoresRequest { stores: stores.clone(), ..ImportStoresRequest::default() })
            .await
            .is_ok()
        {}
    });
    let refused = system.stores().await.import_stores(ReceiverStream::new(messages)).await;
    assert_eq!(refused.expect_err("too many").code(), Code::ResourceExhausted);
    must("the sender", sending.await);
    assert_eq!(
        counts(&must("the next", import(&system, many(3), ImportStoresRequest::default()).await)),
        [3, 0, 0, 0]
    );
}
