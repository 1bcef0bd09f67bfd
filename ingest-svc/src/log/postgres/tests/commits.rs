//! What becomes of a commit or a lock when the connection, the standby or another process fails.

use std::time::Duration;

use ringpad_tests::postgres::Replication;
use tokio_postgres::Client;

use super::{
    super::{
        locks::{DIRECTORY, MIGRATION},
        schema,
    },
    *,
};

/// Does something to the session of this database that waits, as soon as one does.
async fn to_waiting(client: &Client, action: &str, condition: &str) {
    let select = format!(
        "SELECT {action}(pid) FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
    );
    until(&format!("a session with {condition}"), SOON, async || {
        (!client.query(&select, &[]).await.unwrap().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_no_longer_waits_for_the_standby_is_not_answered_as_done() {
    let server = PostgresServer::start().await;
    let standby = server.standby(Replication::Synchronous).await;
    let name = server.create_database().await;
    let opened = Place::Postgres(server.url(&name).parse().unwrap()).open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    // Its first batch enters it among the owners, in a commit of its own.
    opened.log.probe().await.unwrap();
    opened.outbox.take_changed();
    let client = server.connect(&name).await;

    standby.freeze();
    let log = opened.log.clone();
    let ingest = tokio::spawn(async move { log.ingest(ring("1", "20261123142530")).await });
    to_waiting(&client, "pg_cancel_backend", "wait_event = 'SyncRep'").await;
    let error = ringpad_runtime::ErrorChain(&ingest.await.unwrap().unwrap_err()).to_string();
    assert!(error.contains("may be lost"), "{error}");
    let (log, renamed) = (opened.log.clone(), StoreEntry { name: "새 이름".to_owned(), ..gangnam() });
    let upsert = tokio::spawn(async move { log.upsert_store(renamed, Moving::Refused).await });
    to_waiting(&client, "pg_cancel_backend", "wait_event = 'SyncRep'").await;
    assert!(upsert.await.unwrap().is_err());

    standby.thaw();
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
    // It was done, so pads are told.
    assert!(opened.outbox.take_changed().contains("gangnam"));
    assert_eq!(opened.outbox.newest(), 1);
    opened.close().await;
}

#[tokio::test]
async fn a_change_whose_connection_is_lost_before_its_commit_is_tried_again() {
    let server = PostgresServer::shared().await;
    let name = server.create_database().await;
    let opened = Place::Postgres(server.url(&name).parse().unwrap()).open().await;
    let client = server.connect(&name).await;
    client.query("SELECT pg_advisory_lock($1)", &[&DIRECTORY]).await.unwrap();
    let log = opened.log.clone();
    let upsert = tokio::spawn(async move { log.upsert_store(gangnam(), Moving::Refused).await });
    to_waiting(&client, "pg_terminate_backend", "wait_event_type = 'Lock'").await;
    client.query("SELECT pg_advisory_unlock($1)", &[&DIRECTORY]).await.unwrap();
    upsert.await.unwrap().unwrap();
    assert!(opened.outbox.take_changed().contains("gangnam"));
    opened.close().await;
}

/// The database has a function of the server's name, which says what the server would say after its promotion.
#[tokio::test]
async fn a_query_on_a_promoted_server_has_no_answer() {
    let server = PostgresServer::shared().await;
    let name = server.create_database().await;
    let client = server.connect(&name).await;
    let promotable = "
        CREATE SCHEMA moved;
        CREATE TABLE moved.file (name TEXT);
        INSERT INTO moved.file VALUES ('000000010000000000000001');
        CREATE FUNCTION moved.pg_walfile_name(pg_lsn) RETURNS TEXT LANGUAGE sql AS 'SELECT name FROM moved.file';";
    client.batch_execute(promotable).await.unwrap();
    let url = format!("{}?options=-csearch_path%3Dmoved%2Cpg_catalog", server.url(&name));
    let opened = Place::Postgres(url.parse().unwrap()).open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert!(opened.updates("gangnam").await.is_empty());
    client.batch_execute("UPDATE moved.file SET name = '000000020000000000000001'").await.unwrap();
    let answer = opened.log.reader().stores(String::new(), 10).await;
    let error = ringpad_runtime::ErrorChain(&answer.unwrap_err()).to_string();
    assert!(error.contains("promoted"), "{error}");
    opened.close().await;
}

#[tokio::test]
async fn a_start_does_not_wait_for_ever_for_another_one() {
    let server = PostgresServer::shared().await;
    let name = server.create_database().await;
    let client = server.connect(&name).await;
    client.query("SELECT pg_advisory_lock($1)", &[&MIGRATION]).await.unwrap();
    let servers: Servers = server.url(&name).parse().unwrap();
    let session = servers.connect().await.unwrap();
    let error = schema::migrate(&session, Duration::from_millis(100)).await.unwrap_err();
    assert!(error.to_string().contains("pg_locks"), "{error}");
    drop(session);
    // Its turn comes.
    let place = Place::Postgres(Database::Postgres(servers));
    let (opened, ()) = tokio::join!(place.open(), async {
        to_waiting(&client, "abs", "wait_event_type = 'Lock'").await;
        client.query("SELECT pg_advisory_unlock($1)", &[&MIGRATION]).await.unwrap();
    });
    opened.close().await;
}

/// A batch has locked a call of a former store.
#[tokio::test]
async fn what_a_former_store_has_left_is_deleted_however_long_it_was_locked() {
    let server = PostgresServer::shared().await;
    let name = server.create_database().await;
    let opened = Place::Postgres(server.url(&name).parse().unwrap()).open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    opened.status(ring("1", "20261123142530")).await;
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    let client = server.connect(&name).await;
    client.batch_execute("BEGIN; SELECT FROM calls FOR UPDATE").await.unwrap();
    while opened.log.purge(0).await.unwrap() {}
    client.batch_execute("ROLLBACK").await.unwrap();
    while opened.log.purge(0).await.unwrap() {}
    let left = "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM stores WHERE deleted)";
    let row = client.query_one(left, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (0, 0));
    opened.close().await;
}
