//! What only several writers on one database can show, and what is PostgreSQL's alone.

mod commits;
mod interleaving;
mod migration;
mod pads;

use std::collections::{BTreeMap, BTreeSet};

use ringpad_tests::{
    postgres::PostgresServer,
    wait::{SOON, until},
};

use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use super::super::tests::*;
use super::super::*;
use crate::{
    call::{ActingPad, Action, ActionOutcome, ActionRequest, Ingested, Reservation, Status},
    store::Moving,
};

async fn place() -> Place {
    Place::new(Backend::Postgres).await
}

fn database(place: &Place) -> Database {
    let Place::Postgres(database) = place else { panic!("it is not PostgreSQL") };
    database.clone()
}

async fn execute(place: &Place, statement: &str) {
    let Database::Postgres(servers) = database(place) else { panic!("it is not PostgreSQL") };
    servers.connect().await.unwrap().client.batch_execute(statement).await.unwrap();
}

/// The rows that a statement returns, as text.
pub(in super::super) async fn select(servers: &Servers, statement: &str) -> Vec<Vec<Option<String>>> {
    let session = servers.connect().await.unwrap();
    let messages = session.client.simple_query(statement).await.unwrap();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    });
    rows.collect()
}

#[tokio::test]
async fn two_writers_give_one_call_to_each_seq_and_each_position_once() {
    const CALLS: usize = 60;
    const STORES: usize = 3;
    let place = place().await;
    let writers = [place.open().await, place.open().await];
    for number in 0..STORES {
        let entry = store(
            &format!("store-{number}"),
            &format!("+8250700000{number:03}"),
            &format!("+82255500{number:02}"),
        );
        writers[number % 2].log.upsert_store(entry, Moving::Refused).await.unwrap();
    }
    // Each record of each call at both of them at once, the calls of all stores mixed.
    let mut asked = tokio::task::JoinSet::new();
    for call in 0..CALLS {
        for (part, log) in [0, 1, 2].into_iter().zip(writers.iter().cycle()) {
            for log in [log.log.clone(), writers[part % 2].log.clone()] {
                let (seq, vn) = (format!("seq-{call}"), format!("050700000{:03}", call % STORES));
                let ended = format!("2026112314260{part}");
                let mut parameters = vec![
                    ("seq", seq.as_str()),
                    ("sdt", "20261123142530"),
                    ("fromn", "01012345678"),
                    ("vn", &vn),
                ];
                if part > 0 {
                    parameters.push(("edt", &ended));
                }
                let record = record(&parameters);
                asked.spawn(async move { (call, log.ingest(record).await.unwrap()) });
            }
        }
    }
    let mut calls: BTreeMap<usize, BTreeSet<Uuid>> = BTreeMap::new();
    let mut accepted = 0;
    while let Some(answered) = asked.join_next().await {
        let (call, ingested) = answered.unwrap();
        calls.entry(call).or_default().insert(ingested.call_id);
        accepted += usize::from(ingested.status == Status::Accepted);
    }
    assert!(calls.values().all(|ids| ids.len() == 1), "one call for each seq");
    assert_eq!(accepted, 3 * CALLS, "of two equal records one is a duplicate");
    for number in 0..STORES {
        let updates = writers[1].updates(&format!("store-{number}")).await;
        assert_eq!(updates.len(), 3 * CALLS / STORES, "positions without a gap, each once");
    }
    for writer in writers {
        writer.close().await;
    }
}

#[tokio::test]
async fn one_claim_of_two_writers_wins() {
    let place = place().await;
    let writers = [place.open().await, place.open().await];
    writers[0].log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    for call in 0..20_u32 {
        let id = writers[0].log.ingest(ring(&call.to_string(), "20261123142530")).await.unwrap().call_id;
        let claim = |pad: usize| ActionRequest {
            store_id: "gangnam".to_owned(),
            call_id: id,
            pad: ActingPad { id: format!("pad-{pad}"), name: String::new() },
            action: Action::Claim,
            request_id: Uuid::new_v4(),
            received_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let (first, second) = tokio::join!(writers[0].log.act(claim(0)), writers[1].log.act(claim(1)));
        let outcomes = [first.unwrap(), second.unwrap()];
        let done = outcomes.iter().filter(|outcome| matches!(outcome, ActionOutcome::Done(_))).count();
        assert_eq!(done, 1, "{outcomes:?}");
    }
    for writer in writers {
        writer.close().await;
    }
}

#[tokio::test]
async fn what_another_writer_has_left_is_hinted_once_its_lease_is_over() {
    let place = place().await;
    let (dead, alive) = (place.open().await, place.open().await);
    dead.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    dead.log.ingest(ring("1", "20261123142530")).await.unwrap();
    alive.log.probe().await.unwrap();
    assert!(alive.outbox.take_changed().is_empty(), "its lease is not over");
    execute(&place, "UPDATE owners SET lease = '-infinity' WHERE newest > 0").await;
    until("a hint", SOON, async || {
        alive.log.probe().await.unwrap();
        alive.outbox.take_changed().contains("gangnam").then_some(())
    })
    .await;
    // It was only slow: it goes on under another name, and nothing is lost or written twice.
    assert_eq!(dead.status(ring("2", "20261123142530")).await, Status::Accepted);
    assert_eq!(dead.outbox.newest(), 2);
    assert_eq!(alive.updates("gangnam").await.len(), 2);
    dead.close().await;
    alive.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_in_words() {
    let place = place().await;
    place.open().await.close().await;
    execute(&place, "UPDATE ringpad_log SET version = 99").await;
    let opened = try_open(&database(&place)).await;
    let error = ringpad_runtime::ErrorChain(&opened.err().unwrap()).to_string();
    assert!(error.contains("99") && error.contains("Use a newer ingest-svc"), "{error}");
}

#[tokio::test]
async fn several_that_start_at_once_make_the_tables_once() {
    let place = place().await;
    let opened = tokio::join!(place.open(), place.open(), place.open());
    let epochs = [&opened.0, &opened.1, &opened.2].map(|opened| opened.log.reader().epoch());
    assert!(epochs[0] == epochs[1] && epochs[1] == epochs[2]);
    for opened in [opened.0, opened.1, opened.2] {
        opened.close().await;
    }
}

#[tokio::test]
async fn a_weaker_synchronous_commit_of_the_role_is_not_used() {
    let place = place().await;
    place.open().await.close().await;
    let Database::Postgres(servers) = database(&place) else { panic!("it is not PostgreSQL") };
    for (weaker, used) in
        [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")]
    {
        let session = servers.connect().await.unwrap();
        session.client.batch_execute(&format!("SET synchronous_commit = {weaker}")).await.unwrap();
        session.client.batch_execute(super::locks::BEGIN).await.unwrap();
        let shown = session.client.query_one("SHOW synchronous_commit", &[]).await.unwrap();
        assert_eq!(shown.get::<_, &str>(0), used);
    }
}

#[tokio::test]
async fn a_writer_connects_again_and_recognises_what_was_committed() {
    let mut server = PostgresServer::start().await;
    let place = Place::Postgres(server.url(&server.create_database().await).parse().unwrap());
    let opened = place.open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Accepted);
    server.kill().await;
    assert!(opened.log.ingest(ring("2", "20261123142530")).await.is_err());
    server.resume().await;
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
    assert_eq!(opened.updates("gangnam").await.len(), 2);
    opened.close().await;
}

/// The plans of a batch are kept, and may have been made while the tables were empty.
#[tokio::test]
async fn a_batch_that_is_planned_for_empty_tables_reads_no_whole_table() {
    let place = place().await;
    place.open().await.close().await;
    let Database::Postgres(servers) = database(&place) else { panic!("it is not PostgreSQL") };
    let session = servers.connect().await.unwrap();
    let client = &session.client;
    let batch = "
        BEGIN;
        SELECT batch_begin(gen_random_uuid(), 0, '{1}');
        SELECT batch_calls('{a}', '{1}', '{0}', ARRAY[gen_random_uuid()], 8), batch_numbers('{1}', '{1}');
        SELECT batch_stores('{1}'), batch_callers('{1}', '{1}');
        SELECT batch_update_calls('{1}', '{0}', '{1}', '{1}', '{1}', '{a}', '{a}', '{a}');
        SELECT batch_publish(gen_random_uuid(), 0, 0, now(), 0, '{1}', '{1}', '{}', '{}', '{}')";
    client.batch_execute(batch).await.unwrap();
    let read = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE idx_scan > 0 ORDER BY relname";
    let read = client.query(read, &[]).await.unwrap();
    let whole: Vec<(String, i64)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = ["callers", "calls", "numbers", "owners", "stores"].map(|table| (table.to_owned(), 0));
    assert_eq!(whole, expected, "each by an index, and how often as a whole");
}
