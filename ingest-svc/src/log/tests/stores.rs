//! Stores and their numbers.

use super::*;

async fn positions_continue_after_a_restart_and_after_a_deletion(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    opened.status(ring("1", "20261123142530")).await;
    let epoch = opened.log.reader().epoch();
    assert!(opened.log.delete_store("gangnam".to_owned()).await.unwrap());
    assert!(!opened.log.delete_store("gangnam".to_owned()).await.unwrap());
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Unrouted);
    opened.close().await;

    let opened = place.open().await;
    assert_eq!(opened.log.reader().epoch(), epoch);
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    opened.status(ring("3", "20261123142530")).await;
    let reach = |after| Cursor { store_id: "gangnam".to_owned(), after };
    let missed = opened.log.reader().missed(vec![reach(0), reach(1)], 10, None).await.unwrap().stores;
    assert_eq!((missed[0].position, missed[0].events.len()), (Some(2), 0), "the former store's are gone");
    assert_eq!(missed[1].events[0].0, 2, "and its position goes on");
    opened.close().await;
}

async fn a_number_moves_to_another_store_only_if_the_request_allows_it(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let claimed = store("busan", "+8250712345678", "+82515550001");
    let refused = opened.log.upsert_store(claimed.clone(), Moving::Refused).await.unwrap();
    assert_eq!(refused, Upserted::Conflicts(vec![Conflict { index: 0, owner: "gangnam".to_owned() }]));
    let planned = async |moving| {
        opened.log.reader().plan_stores(vec![claimed.clone(), gangnam()], moving).await.unwrap()
    };
    assert_eq!(planned(Moving::Refused).await, [refused, Upserted::Stored(Change::Unchanged)]);
    let possible = [Change::Created, Change::Unchanged].map(Upserted::Stored);
    assert_eq!(planned(Moving::Allowed).await, possible);
    opened.status(ring("1", "20261123142530")).await;
    opened.log.upsert_store(claimed, Moving::Allowed).await.unwrap();
    opened.status(ring("2", "20261123142530")).await;
    assert_eq!((opened.updates("gangnam").await.len(), opened.updates("busan").await.len()), (1, 1));
    opened.close().await;
}

/// After every call that a test makes.
const AFTER: i64 = 4_000_000_000;

async fn positions_continue_when_a_store_is_deleted_and_made_again_many_times(backend: Backend) {
    let (place, mut opened) = with_store(backend).await;
    for round in 1..=5 {
        opened.status(ring(&round.to_string(), "20261123142530")).await;
        assert_eq!(opened.calls("gangnam").await[0].revision, round);
        assert!(opened.log.delete_store("gangnam".to_owned()).await.unwrap());
        if round % 2 == 0 {
            while opened.log.purge(AFTER).await.unwrap() {}
            opened.close().await;
            opened = place.open().await;
        }
        let made = opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
        assert_eq!(made, Upserted::Stored(Change::Recreated));
    }
    opened.close().await;
}

/// No store has such an id or number, and PostgreSQL has no such text.
async fn a_text_with_a_nul_is_unknown_and_no_failure(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let id = "gang\0nam";
    assert!(!opened.log.delete_store(id.to_owned()).await.unwrap());
    let reader = opened.log.reader();
    let query = CallQuery { store_id: id.to_owned(), ..any_call() };
    assert!(reader.calls(query).await.unwrap().is_none());
    let cursors = [id, "gangnam"].map(|id| Cursor { store_id: id.to_owned(), after: 0 });
    let missed = reader.missed(cursors.to_vec(), 10, None).await.unwrap().stores;
    assert_eq!((missed[0].position, missed[1].position), (None, Some(0)));
    for (after, found) in [("gang\0nam", 1), ("gangnam\0", 0), ("\0", 1)] {
        assert_eq!(reader.stores(after.to_owned(), 10).await.unwrap().len(), found, "{after:?}");
    }
    for number in [("vn", "abc\0"), ("ton", "\0abc")] {
        let called = record(&[("seq", number.0), ("sdt", "20261123142530"), number]);
        assert_eq!(opened.status(called).await, Status::Unrouted);
    }
    opened.close().await;
}

on_each_backend! {
    a_text_with_a_nul_is_unknown_and_no_failure,
    positions_continue_after_a_restart_and_after_a_deletion,
    a_number_moves_to_another_store_only_if_the_request_allows_it,
    positions_continue_when_a_store_is_deleted_and_made_again_many_times,
}
