//! The log in PostgreSQL: what was acknowledged survives both the service and the server, and reaches the pads.

use std::{collections::BTreeSet, time::Duration};

use ringpad_tests::{
    cdr::{self, ring},
    http::Client,
    pads::Transport,
    port::free_address,
    postgres::{PostgresServer, Replication},
    provider::{CdrAnswer, Provider},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};

/// A system whose log is the database of that URL.
async fn system(database_url: &str) -> System {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    system.ingest.set("DATABASE_URL", database_url);
    system.ingest.start().await;
    for push in &mut system.push {
        push.start().await;
    }
    system
}

#[tokio::test]
async fn a_call_reaches_the_pads_and_survives_kills_of_the_service_and_of_the_server() {
    let mut server = PostgresServer::start().await;
    let url = server.url(&server.create_database().await);
    let mut system = system(&url).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut calls = BTreeSet::new();
    let mut provider = system.provider();
    calls.insert(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
    for pad in &mut pads {
        pad.until_position_within(1, SOON).await;
    }

    system.ingest.kill().await;
    system.ingest.start().await;
    let mut provider = system.provider();
    calls.insert(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);

    server.kill().await;
    let unanswered = ring(&store.virtual_number, &cdr::caller());
    let refused = must("an answer without a database", provider.post(&unanswered).await);
    assert_eq!(refused.status, 503, "{}", refused.text());
    until("/readyz says why", SOON, async || {
        let (status, text) = system.ingest.readiness().await?;
        (status == 503 && text.contains("log")).then_some(())
    })
    .await;
    server.resume().await;
    calls.insert(provider.deliver_with_retries(&unanswered).await.call_id);
    system.ingest.ready().await;

    for pad in &mut pads {
        pad.until_position_within(3, Duration::from_secs(60)).await;
        assert!(pad.calls.keys().eq(&calls), "{:?}", pad.transport);
    }
    assert!(!system.ingest.logged().contains("not-a-secret"), "the password is in the log");
}

#[tokio::test]
async fn a_server_that_is_frozen_delays_no_request_beyond_its_bound() {
    let server = PostgresServer::start().await;
    let url = server.url(&server.create_database().await);
    let system = system(&url).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    let mut provider = system.provider();
    server.freeze();
    let record = ring(&store.virtual_number, &cdr::caller());
    let refused = must("an answer while the server is frozen", provider.post(&record).await);
    assert_eq!(refused.status, 503, "{}", refused.text());
    let mut admin = Client::new(system.ingest_at.admin);
    assert!(must("/metrics", admin.get("/metrics").await).status.is_success());
    server.thaw();
    let accepted = provider.deliver_with_retries(&record).await;
    pad.until_position_within(1, SOON).await;
    assert!(pad.calls.contains_key(&accepted.call_id));
}

#[tokio::test]
async fn a_store_that_another_program_locks_is_refused_alone() {
    let server = PostgresServer::shared().await;
    let database = server.create_database().await;
    let system = system(&server.url(&database)).await;
    let (locked, other) = (system.store("gangnam").await, system.store("mapo").await);
    let admin = server.connect(&database).await;
    let lock = admin.batch_execute("BEGIN; SELECT FROM stores WHERE id = 'gangnam' FOR UPDATE");
    must("a lock on the store", lock.await);
    let (mut first, mut second) = (system.provider(), system.provider());
    let records = [&locked, &other].map(|store| ring(&store.virtual_number, &cdr::caller()));
    let (refused, accepted) = tokio::join!(first.post(&records[0]), second.post(&records[1]));
    assert_eq!(must("an answer", refused).status, 503);
    assert_eq!(must("an answer", accepted).status, 200);
    must("the end of the lock", admin.batch_execute("ROLLBACK").await);
    first.deliver_with_retries(&records[0]).await;
}

#[tokio::test]
async fn a_commit_that_is_answered_is_on_the_synchronous_standby() {
    let mut primary = PostgresServer::start().await;
    let database = primary.create_database().await;
    let standby = primary.standby(Replication::Synchronous).await;
    let hosts = format!("{},{}", primary.address(), standby.address());
    let url = format!("postgres://postgres:not-a-secret@{hosts}/{database}?target_session_attrs=read-write");
    let system = system(&url).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let mut calls = BTreeSet::new();
    for _ in 0..20 {
        calls.insert(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
    }
    let mut before = system.pad(Transport::Grpc, 0, &store.id).await;
    primary.kill().await;
    standby.promote().await;
    let resumed = before.reach(21, SOON).await;
    assert!(resumed.is_err(), "its epoch is over: {resumed:?}");
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    assert_eq!(pad.calls.len(), calls.len());
    assert!(pad.calls.keys().eq(&calls));
    let after = system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position_within(21, SOON).await;
    assert!(pad.calls.contains_key(&after.call_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ingest_svc_take_the_records_of_one_store_and_one_is_killed() {
    const CALLS: usize = 60;
    let server = PostgresServer::shared().await;
    let system = system(&server.url(&server.create_database().await)).await;
    let (mut other, at) = system.another_ingest();
    other.start().await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let (mut first, mut second) = (system.provider(), Provider::new(at.http, system.secrets.clone()));
    let mut calls = BTreeSet::new();
    for call in 0..CALLS {
        let record = ring(&store.virtual_number, &cdr::caller());
        // A provider whose request was not answered sends it again, to another one.
        let answer = if call % 2 == 0 { None } else { second.post(&record).await.ok() };
        let accepted = match answer.filter(|answer| answer.status.is_success()) {
            Some(answer) => must("an answer", serde_json::from_slice::<CdrAnswer>(&answer.body)),
            None => first.deliver(&record).await,
        };
        calls.insert(accepted.call_id);
        if call == CALLS / 2 {
            other.kill().await;
        }
    }
    assert_eq!(calls.len(), CALLS);
    for pad in &mut pads {
        pad.until_position_within(CALLS as u64, Duration::from_secs(60)).await;
        assert!(pad.calls.keys().eq(&calls), "{:?}", pad.transport);
    }
}

#[tokio::test]
async fn the_last_event_of_a_killed_ingest_svc_reaches_the_pads() {
    let server = PostgresServer::shared().await;
    let system = system(&server.url(&server.create_database().await)).await;
    let (mut other, at) = system.another_ingest();
    // It accepts records, and cannot publish them.
    other.set("AMQP_URL", &format!("amqp://guest:guest@{}/%2f", free_address()));
    other.start().await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    let mut provider = Provider::new(at.http, system.secrets.clone());
    let accepted = provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    other.kill().await;
    pad.until_position_within(1, SOON).await;
    assert!(pad.calls.contains_key(&accepted.call_id));
}
