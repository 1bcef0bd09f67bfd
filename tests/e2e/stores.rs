//! The directory of stores.

use ringpad_proto::v1::{Cdr, DeleteStoreRequest, ListStoresRequest, Store, UpsertStoreRequest};
use ringpad_tests::{
    cdr::{self, missed, ring},
    pads::{Pad, StreamEnd, Transport},
    rabbit::RabbitNode,
    services::{Shop, System},
    token::Claims,
    wait::{SOON, must, until},
};
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test]
async fn a_deleted_store_ends_its_pads_and_continues_its_positions_when_it_comes_back() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let (store, other) = (system.store("gangnam").await, system.store("suwon").await);
    let mut pads = system.pads(&store.id).await;
    let mut others_pad = system.pad(Transport::GrpcWeb, 0, &other.id).await;
    let mut provider = system.provider();
    for _ in 0..2 {
        provider.deliver(&store.ring()).await;
    }
    for pad in &mut pads {
        pad.until_position(2).await;
    }
    let mut stores = system.stores().await;
    must("DeleteStore", stores.delete_store(DeleteStoreRequest { store_id: store.id.clone() }).await);
    for pad in &mut pads {
        assert_eq!(pad.end().await, StreamEnd::NotFound, "{:?}", pad.transport);
    }
    for transport in Transport::ALL {
        let asked = system.subscription(&store.id);
        let end =
            Pad::try_open(transport, system.push_at[1].pads, &asked).await.expect_err("a deleted store");
        assert_eq!(end, StreamEnd::NotFound);
    }
    let taken = provider.deliver(&store.ring()).await;
    assert_eq!(taken.status, "unrouted");

    system.upsert(&store, &[&store.virtual_number]).await;
    let mut back = until("the store is there again", SOON, async || {
        Pad::try_open(Transport::GrpcWeb, system.push_at[0].pads, &system.subscription(&store.id)).await.ok()
    })
    .await;
    assert_eq!(back.snapshot.position, 2, "positions survive the store's deletion");
    provider.deliver(&store.ring()).await;
    back.until_position(3).await;
    provider.deliver(&other.ring()).await;
    others_pad.until_position(1).await;
}

#[tokio::test]
async fn a_renamed_stores_pads_continue_under_its_new_name() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let token = Claims::new(&store.id, "counter").token();
    let mut pads = system.pads(&store.id).await;
    let mut provider = system.provider();
    provider.deliver(&store.ring()).await;
    for pad in &mut pads {
        pad.until_position(1).await;
    }
    rename(&system, &store, "역삼 세차장").await;
    let (mut old, mut new) = (pads, Vec::new());
    for (index, pad) in old.iter_mut().enumerate() {
        pad.asked_to_reconnect().await;
        let replica = system.push_at[index / Transport::ALL.len()].pads;
        // The next stream is opened first.
        let next = Pad::open(pad.transport, replica, &pad.resumption(&token)).await;
        let called = next.snapshot.store.as_ref().map(|store| store.name.as_str());
        assert_eq!((next.snapshot.resumed, called), (true, Some("역삼 세차장")), "{:?}", pad.transport);
        provider.deliver(&store.ring()).await;
        new.push(next);
    }
    for pad in &mut old {
        assert_eq!(
            pad.end().await,
            StreamEnd::Unavailable,
            "{:?}: it did not leave by itself",
            pad.transport
        );
    }
    for service in &system.push {
        assert_eq!(service.readiness().await.map(|(status, _)| status), Some(200), "no replica drains");
    }
    let last = 1 + new.len() as u64 + 1;
    provider.deliver(&store.ring()).await;
    for pad in &mut new {
        pad.until_position(last).await;
        assert_eq!(pad.reconnect_after, None, "{:?}: asked again for the name it has", pad.transport);
    }
}

async fn rename(system: &System, store: &Shop, name: &str) {
    let store = Store {
        id: store.id.clone(),
        name: name.to_owned(),
        virtual_numbers: vec![store.virtual_number.clone()],
        lines: vec![store.line.clone()],
    };
    let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
    must("UpsertStore", system.stores().await.upsert_store(request).await);
}

#[tokio::test]
async fn a_number_moves_to_another_store_and_an_open_call_stays_where_it_rang() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let (old, new) = (system.store("gangnam").await, system.store("suwon").await);
    let (mut old_pads, mut new_pads) = (system.pads(&old.id).await, system.pads(&new.id).await);
    let mut provider = system.provider();
    let open = old.ring();
    let open_id = provider.deliver(&open).await.call_id;
    for pad in &mut old_pads {
        pad.until_position(1).await;
    }

    let numbers = vec![new.virtual_number.clone(), old.virtual_number.clone()];
    // The same name as before, since for a new one the pads would have to reconnect.
    let name = format!("{} 세차장", new.id);
    let store = Store { id: new.id.clone(), name, virtual_numbers: numbers, lines: vec![] };
    let request =
        UpsertStoreRequest { store: Some(store), move_numbers: true, ..UpsertStoreRequest::default() };
    must("UpsertStore", system.stores().await.upsert_store(request).await);

    let next = provider.deliver(&old.ring()).await;
    assert_eq!(next.status, "accepted");
    let ended = provider.deliver(&missed(&open)).await;
    assert_eq!((ended.call_id.as_str(), ended.status.as_str()), (open_id.as_str(), "accepted"));
    // For the old owner's pads the open call's end is the sentinel after a call that is no longer theirs.
    for pad in &mut old_pads {
        let update = pad.update().await;
        assert_eq!((update.position, update.call.map(|call| call.id)), (2, Some(open_id.clone())));
        assert!(pad.early.is_empty() && pad.calls.len() == 1, "{:?}", pad.transport);
    }
    let last = provider.deliver(&new.ring()).await;
    for pad in &mut new_pads {
        pad.until_position(2).await;
        assert_eq!(pad.shown(), [&*next.call_id, &*last.call_id], "{:?}", pad.transport);
        assert!(pad.early.is_empty());
    }
}

#[tokio::test]
async fn stores_are_made_changed_and_listed() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut stores = system.stores().await;
    let (first, second) = (system.store("gangnam").await, system.store("suwon").await);
    assert!(!system.upsert(&first, &[&first.virtual_number]).await.created);
    let listed = must("ListStores", stores.list_stores(ListStoresRequest::default()).await).into_inner();
    assert_eq!(listed.stores.iter().map(|store| store.id.as_str()).collect::<Vec<_>>(), ["gangnam", "suwon"]);
    assert_eq!(listed.stores[0].virtual_numbers.join(","), first.virtual_number);
    assert_eq!(listed.stores[0].lines.join(","), first.line);
    let page = ListStoresRequest { page_size: 1, ..ListStoresRequest::default() };
    let page = must("ListStores", stores.list_stores(page).await).into_inner();
    assert_eq!(page.stores.len(), 1);
    let rest = ListStoresRequest { page_size: 1, page_token: page.next_page_token };
    let rest = must("ListStores", stores.list_stores(rest).await).into_inner();
    assert_eq!((rest.stores[0].id.as_str(), rest.next_page_token.as_str()), ("suwon", ""));

    // A number has one owner, unless it is moved.
    let numbers = vec![second.virtual_number.clone(), first.virtual_number.replace('-', "")];
    let store =
        Store { id: second.id.clone(), name: "수원".to_owned(), virtual_numbers: numbers, lines: vec![] };
    let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
    let status = stores.upsert_store(request.clone()).await.expect_err("another store's number");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.get_details_bad_request().is_some_and(|details| details.field_violations.len() == 1));
    let tried = UpsertStoreRequest { move_numbers: true, validate_only: true, ..request.clone() };
    must("UpsertStore", stores.upsert_store(tried).await);
    let listed = must("ListStores", stores.list_stores(ListStoresRequest::default()).await).into_inner();
    assert_eq!(listed.stores[0].virtual_numbers.len(), 1, "validate_only changes nothing");
    let moved = UpsertStoreRequest { move_numbers: true, ..request };
    let moved = must("UpsertStore", stores.upsert_store(moved).await).into_inner();
    assert_eq!(moved.store.map(|store| store.virtual_numbers.len()), Some(2));
    let listed = must("ListStores", stores.list_stores(ListStoresRequest::default()).await).into_inner();
    assert!(listed.stores[0].virtual_numbers.is_empty());
    assert_eq!(listed.stores[1].name, "수원");
}

#[tokio::test]
async fn all_faults_of_a_store_are_reported_at_once() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut stores = system.stores().await;
    let store = Store {
        id: "강남".to_owned(),
        name: String::new(),
        virtual_numbers: vec!["no number".to_owned()],
        lines: vec![],
    };
    let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
    let status = stores.upsert_store(request).await.expect_err("a faulty store");
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().expect("google.rpc.BadRequest");
    assert_eq!(details.field_violations.len(), 3, "{details:?}");
    let nowhere = DeleteStoreRequest { store_id: "nowhere".to_owned() };
    assert_eq!(stores.delete_store(nowhere).await.expect_err("no such store").code(), Code::NotFound);
}

#[tokio::test]
async fn a_line_with_an_extension_is_that_line_and_an_unclear_one_is_ignored() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let line = cdr::line();
    let upsert = async |lines: Vec<String>| {
        let store = Store {
            id: "with-extensions".to_owned(),
            name: "내선 세차장".to_owned(),
            virtual_numbers: vec![],
            lines,
        };
        let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
        system.stores().await.upsert_store(request).await
    };
    let unclear = vec![format!("{line}-101"), format!("{line}~3"), format!("{line}, 02-555-0112")];
    let refused = upsert(unclear).await.expect_err("none of them is one number");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields =
        refused.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    let fields: Vec<_> = fields.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["store.lines[0]", "store.lines[1]", "store.lines[2]"]);

    let stored = must("UpsertStore", upsert(vec![format!("{line}(101)"), format!("{line} ext. 102")]).await);
    assert_eq!(stored.into_inner().store.map(|store| store.lines), Some(vec![line.clone()]));
    let mut pad = system.pad(Transport::Grpc, 0, "with-extensions").await;
    let caller = cdr::caller();
    let to_the_line =
        Cdr { ton: line, vn: String::new(), fromn: format!("{caller} (7)"), ..ring("", &caller) };
    system.secrets.note_number(&caller);
    assert_eq!(system.provider().deliver(&to_the_line).await.status, "accepted");
    let shown = pad.update().await.call.and_then(|call| call.caller).expect("a caller");
    assert_eq!(shown.display, format!("{caller} (7)"));
    assert_eq!(shown.number, format!("+82{}", caller[1..].replace('-', "")));
}
