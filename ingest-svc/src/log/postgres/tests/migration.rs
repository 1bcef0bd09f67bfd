//! Logs of older versions.

use ringpad_tests::wait::{SOON, until};

use super::{super::locks::DIRECTORY, *};

/// A log of version 1, made by turning version 2's changes back.
const TO_VERSION_1: &str = "
    DROP FUNCTION batch_customers, batch_reserve, batch_name_customers;
    DROP TABLE customers, pads, reservations;
    UPDATE ringpad_log SET version = 1;
";

#[tokio::test]
async fn a_log_of_version_1_is_migrated_and_an_ingest_svc_of_version_1_can_go_on_with_it() {
    let place = place().await;
    let opened = place.open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    let mut calls = Vec::new();
    for (number, seq) in (1..).zip(["1", "2", "3"]) {
        let call = opened.log.ingest(ring(seq, "20261123142530")).await.unwrap().call_id;
        let service = r#"손 "세차", \ {"at":7}"#.to_owned();
        let reservation = Reservation { service, at: Some(1_800_000_000 + number), ..Reservation::default() };
        let action = Action::Note("흰색 \0".to_owned(), Some(reservation));
        opened.log.act(act(call, action, number.unsigned_abs().into())).await.unwrap();
        calls.push(call);
    }
    opened.close().await;
    execute(&place, TO_VERSION_1).await;
    execute(&place, "UPDATE calls SET facts = '\\x00' WHERE seq = '2'").await;

    let epoch = opened_epoch(&place).await;
    assert_eq!(opened_epoch(&place).await, epoch, "it is migrated once");
    let Database::Postgres(servers) = database(&place) else { panic!("it is not PostgreSQL") };
    let reserved = async || {
        let found = select(
            &servers,
            "SELECT seq, at FROM reservations JOIN calls ON key = reservations.call ORDER BY 1",
        )
        .await;
        found
            .into_iter()
            .map(|row| row.into_iter().map(Option::unwrap).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(reserved().await, [["1", "1800000001"], ["3", "1800000003"]]);
    // As an ingest-svc of version 1 writes a call: the first one's reservation is taken back.
    execute(
        &place,
        "SELECT batch_update_calls(ARRAY[key], ARRAY[sdt], ARRAY[store], ARRAY[caller], ARRAY[state],
           ARRAY[convert_to(replace(convert_from(facts, 'UTF8'), '1800000001', 'null'), 'UTF8')], ARRAY[fingerprints], ARRAY[call])
         FROM calls WHERE seq = '1'",
    )
    .await;
    assert_eq!(reserved().await, [["3", "1800000003"]]);
}

#[tokio::test]
async fn a_reservation_that_an_older_ingest_svc_writes_during_the_migration_is_kept() {
    let place = place().await;
    let opened = place.open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    let call = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    let reservation = Reservation { at: Some(1_800_000_001), ..Reservation::default() };
    opened.log.act(act(call, Action::Note(String::new(), Some(reservation)), 1)).await.unwrap();
    opened.close().await;
    execute(&place, TO_VERSION_1).await;

    // A batch of version 1, between what it reads and what it writes.
    let Database::Postgres(servers) = database(&place) else { panic!("it is not PostgreSQL") };
    let older = servers.connect().await.unwrap();
    let begin = format!("BEGIN; SELECT pg_advisory_xact_lock_shared({DIRECTORY})");
    older.client.batch_execute(&begin).await.unwrap();
    let migrates = async {
        let waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (
            SELECT oid FROM pg_database WHERE datname = current_database())";
        until("the migration waits", SOON, async || {
            (!older.client.query(waits, &[]).await.unwrap().is_empty()).then_some(())
        })
        .await;
        let write = "SELECT batch_update_calls(ARRAY[key], ARRAY[sdt], ARRAY[store], ARRAY[caller], ARRAY[state],
            ARRAY[convert_to(replace(convert_from(facts, 'UTF8'), '1800000001', '1800000009'), 'UTF8')], ARRAY[fingerprints],
            ARRAY[call]) FROM calls; COMMIT";
        older.client.batch_execute(write).await.unwrap();
    };
    let (opened, ()) = tokio::join!(place.open(), migrates);
    opened.close().await;
    let reserved = select(&servers, "SELECT at FROM reservations").await;
    assert_eq!(reserved, [[Some("1800000009".to_owned())]]);
}

async fn opened_epoch(place: &Place) -> Uuid {
    let opened = place.open().await;
    let epoch = opened.log.reader().epoch();
    opened.close().await;
    epoch
}
