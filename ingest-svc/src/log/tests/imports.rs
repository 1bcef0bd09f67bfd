//! Parts of imports.

use std::sync::Arc;

use super::*;

const OTHER: &str = "+8250799999999";

fn import(entries: Vec<StoreEntry>, all: &[StoreEntry]) -> Import {
    let numbers = all.iter().flat_map(|entry| &entry.numbers);
    let assigned = numbers.map(|owned| owned.number().clone()).collect();
    Import { entries, moving: Moving::Allowed, assigned: Arc::new(assigned) }
}

async fn a_number_that_moves_within_an_import_always_has_a_store(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let gangnam = store("gangnam", OTHER, "+8225550001");
    let busan = store("busan", "+8250712345678", "+82515550001");
    let all = [gangnam.clone(), busan.clone()];
    let changed = opened.log.import_stores(import(vec![gangnam], &all)).await.unwrap();
    assert_eq!(changed, [Upserted::Stored(Change::Changed)]);
    // The part with its new owner is still to come.
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Accepted);
    let created = opened.log.import_stores(import(vec![busan], &all)).await.unwrap();
    assert_eq!(created, [Upserted::Stored(Change::Created)]);
    opened.status(ring("2", "20261123142530")).await;
    assert_eq!((opened.updates("gangnam").await.len(), opened.updates("busan").await.len()), (1, 1));
    opened.close().await;
}

async fn a_number_that_another_store_has_taken_fails_alone(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    let all = [store("busan", "+8250712345678", "+82515550001"), store("mapo", OTHER, "+8225550002")];
    let part = Import { moving: Moving::Refused, ..import(all.to_vec(), &all) };
    let [refused, stored] = opened.log.import_stores(part).await.unwrap().try_into().unwrap();
    assert!(matches!(refused, Upserted::Conflicts(conflicts) if conflicts[0].owner == "gangnam"));
    assert_eq!(stored, Upserted::Stored(Change::Created));
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Accepted);
    opened.close().await;
    // What is in memory is what is in the file.
    let opened = place.open().await;
    let taken = record(&[("seq", "2"), ("sdt", "20261123142530"), ("vn", "050799999999")]);
    assert_eq!(opened.status(taken).await, Status::Accepted);
    assert_eq!(opened.updates("mapo").await.len(), 1);
    opened.close().await;
}

async fn a_number_that_a_store_has_lost_belongs_to_no_store(backend: Backend) {
    let (place, mut opened) = with_store(backend).await;
    opened.log.upsert_store(store("gangnam", OTHER, "+8225550001"), Moving::Refused).await.unwrap();
    for _ in 0..2 {
        let seq = Uuid::new_v4().to_string();
        assert_eq!(opened.status(ring(&seq, "20261123142530")).await, Status::Unrouted);
        opened.close().await;
        opened = place.open().await;
    }
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert_eq!(opened.status(ring("3", "20261123142530")).await, Status::Accepted);
    opened.close().await;
}

on_each_backend! {
    a_number_that_moves_within_an_import_always_has_a_store,
    a_number_that_another_store_has_taken_fails_alone,
    a_number_that_a_store_has_lost_belongs_to_no_store,
}
