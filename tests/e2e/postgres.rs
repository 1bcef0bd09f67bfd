//! The log in PostgreSQL: what was acknowledged survives both the service and the server, and reaches the pads.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use ringpad_proto::v1::{ClaimCallRequest, pad_service_client::PadServiceClient};
use ringpad_tests::{
    cdr::{self, ring},
    http::{Client, channel},
    pads::{Pad, Subscription, Transport},
    postgres::{PostgresServer, Replication},
    provider::{Provider, cdr_answer},
    rabbit::{NO_BROKER, RabbitNode, unique},
    services::{IngestAddresses, Service, Shop, System, binary},
    token::{Claims, with_token},
    wait::{SOON, must, until, within},
};
use tokio::process::Command;
use uuid::Uuid;

/// Within how long after a promotion each pad has a fresh snapshot.
const FRESH: Duration = Duration::from_secs(10);

/// A system whose log is the database of that URL.
pub(crate) async fn system(database_url: &str) -> System {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    system.ingest.set("DATABASE_URL", database_url);
    start([&mut system.ingest].into_iter().chain(&mut system.push)).await;
    system
}

/// The same with a second ingest-svc; push-svc knows both.
async fn two_ingest_svc(database_url: &str) -> (System, Service, IngestAddresses) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    system.ingest.set("DATABASE_URL", database_url);
    let (mut second, at) = system.second_ingest();
    start([&mut system.ingest, &mut second].into_iter().chain(&mut system.push)).await;
    (system, second, at)
}

async fn start(services: impl Iterator<Item = &mut Service>) {
    for service in services {
        service.start().await;
    }
}

/// The URL of a database with both hosts.
fn either_host(primary: &PostgresServer, standby: &PostgresServer, database: &str) -> String {
    let hosts = format!("{},{}", primary.address(), standby.address());
    format!("postgres://postgres:not-a-secret@{hosts}/{database}?target_session_attrs=read-write")
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
    let system = system(&either_host(&primary, &standby, &database)).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let mut calls = BTreeSet::new();
    for _ in 0..20 {
        calls.insert(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
    }
    // Its answer shows that a commit waits for the standby: without one it would be 200.
    standby.freeze();
    let record = ring(&store.virtual_number, &cdr::caller());
    let unanswered = must("an answer while the standby is frozen", provider.post(&record).await);
    assert_eq!(unanswered.status, 503, "{}", unanswered.text());
    standby.thaw();
    calls.insert(provider.deliver_with_retries(&record).await.call_id);

    let mut before = system.pad(Transport::Grpc, 0, &store.id).await;
    primary.kill().await;
    standby.promote().await;
    let resumed = before.reach(22, SOON).await;
    assert!(resumed.is_err(), "its epoch is over: {resumed:?}");
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    assert_eq!(pad.calls.len(), calls.len());
    assert!(pad.calls.keys().eq(&calls));
    let after = system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position_within(22, SOON).await;
    assert!(pad.calls.contains_key(&after.call_id));
}

/// A pad that opens its next stream when one ends.
struct Returning {
    at: SocketAddr,
    token: String,
    pad: Pad,
}

impl Returning {
    async fn open(system: &System, transport: Transport, store: &Shop) -> Self {
        let (at, token) = (system.push_at[0].pads, Claims::new(&store.id, &unique("pad")).token());
        let pad = Pad::open(transport, at, &Subscription::new(&token)).await;
        Self { at, token, pad }
    }

    /// Comes back until its snapshot is of another epoch. Meanwhile it is shown nothing.
    async fn until_another_epoch(&mut self) {
        let epoch = self.pad.snapshot.epoch.clone();
        while self.pad.snapshot.epoch == epoch {
            let shown = self.pad.updates.len();
            self.pad.end().await;
            assert_eq!(self.pad.updates.len(), shown, "{:?}", self.pad.transport);
            let next = self.pad.resumption(&self.token);
            self.pad = until("the pad's next stream", FRESH, async || {
                Pad::try_open(self.pad.transport, self.at, &next).await.ok()
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pads_forget_commits_that_a_failover_has_lost_and_are_shown_nothing_twice() {
    let mut primary = PostgresServer::start().await;
    let database = primary.create_database().await;
    let standby = primary.standby(Replication::Asynchronous).await;
    let (system, _second, second_at) = two_ingest_svc(&either_host(&primary, &standby, &database)).await;
    let store = system.store("gangnam").await;
    let mut pads = Vec::new();
    for transport in Transport::ALL {
        pads.push(Returning::open(&system, transport, &store).await);
    }
    let mut providers = [system.provider(), Provider::new(second_at.http, system.secrets.clone())];
    let mut ring_at_both = async |rings: usize| {
        let mut calls = Vec::new();
        for index in 0..rings {
            calls.push(providers[index % 2].deliver_with_retries(&store.ring()).await.call_id);
        }
        calls
    };
    let kept = ring_at_both(4).await;
    let (of_primary, of_standby) = (primary.connect(&database).await, standby.connect("postgres").await);
    let written = "SELECT pg_current_wal_lsn()::text";
    let written: String = must(written, of_primary.query_one(written, &[]).await).get(0);
    until("the standby has the first calls", SOON, async || {
        let replayed =
            "SELECT 1 FROM pg_last_wal_replay_lsn() AS replayed WHERE replayed >= $1::text::pg_lsn";
        must(replayed, of_standby.query_opt(replayed, &[&written]).await)
    })
    .await;
    // From now on it gets nothing.
    for statement in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
        must(statement, of_standby.batch_execute(statement).await);
    }
    until("the standby has ended its connection", SOON, async || {
        let connections = "SELECT 1 FROM pg_stat_replication";
        must(connections, of_primary.query_opt(connections, &[]).await).is_none().then_some(())
    })
    .await;
    let lost = ring_at_both(4).await;
    for Returning { pad, .. } in &mut pads {
        pad.until_position_within(8, SOON).await;
        assert!(pad.shown().iter().eq(kept.iter().chain(&lost)), "{:?}", pad.transport);
    }

    primary.kill().await;
    standby.promote().await;
    let promoted = Instant::now();
    within(
        "a fresh snapshot for each pad",
        FRESH,
        join_all(pads.iter_mut().map(Returning::until_another_epoch)),
    )
    .await;
    eprintln!("each pad had a fresh snapshot {:.1} s after the promotion", promoted.elapsed().as_secs_f64());
    for Returning { pad, .. } in &pads {
        assert!(!pad.snapshot.resumed, "{:?}", pad.transport);
        assert_eq!(pad.position(), 4, "{:?}", pad.transport);
        assert!(pad.calls.keys().eq(&BTreeSet::from_iter(kept.clone())), "{:?}", pad.transport);
    }
    // What came twice would be before these.
    let after = ring_at_both(4).await;
    for Returning { pad, .. } in &mut pads {
        pad.until_position_within(8, SOON).await;
        assert_eq!(pad.shown(), after, "{:?}", pad.transport);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ingest_svc_take_the_records_of_one_store_and_one_is_killed() {
    const CALLS: usize = 60;
    let server = PostgresServer::shared().await;
    let url = server.url(&server.create_database().await);
    let (mut system, _second, at) = two_ingest_svc(&url).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut first = system.provider();
    let mut second = Provider::new(at.http, system.secrets.clone());
    let mut calls = BTreeSet::new();
    for call in 0..CALLS {
        if call == CALLS / 2 {
            system.ingest.kill().await;
        }
        let record = ring(&store.virtual_number, &cdr::caller());
        // A provider whose request was not answered sends it again, to the other one.
        let answer = if call % 2 == 0 { first.post(&record).await.ok() } else { None };
        let accepted = match answer {
            Some(answer) => cdr_answer(&answer),
            None => second.deliver(&record).await,
        };
        calls.insert(accepted.call_id);
    }
    assert_eq!(calls.len(), CALLS);
    for pad in &mut pads {
        pad.until_position_within(CALLS as u64, Duration::from_secs(60)).await;
        assert!(pad.calls.keys().eq(&calls), "{:?}", pad.transport);
    }

    // The one that is gone is the first that push-svc and `ringpad` know.
    let mut tablet = PadServiceClient::new(channel(system.push_at[0].pads).await);
    let token = Claims::new(&store.id, &unique("pad")).token();
    for call in calls.iter().take(4) {
        let request = ClaimCallRequest { call_id: call.clone(), request_id: Uuid::new_v4().to_string() };
        must("a claim", tablet.claim_call(with_token(&token, request)).await);
    }
    for pad in &mut pads {
        pad.until_position_within(CALLS as u64 + 4, SOON).await;
    }
    let urls = format!("http://{},http://{}", system.ingest_at.grpc, at.grpc);
    let mut ringpad = Command::new(binary("ringpad"));
    let list = ringpad.args(["stores", "list", "--ingest-url", &urls]).kill_on_drop(true).output();
    let listed = must("ringpad", within("ringpad", SOON, list).await);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("gangnam"), "{listed:?}");
}

#[tokio::test]
async fn the_last_event_of_a_killed_ingest_svc_reaches_the_pads() {
    let server = PostgresServer::shared().await;
    let system = system(&server.url(&server.create_database().await)).await;
    let (mut other, at) = system.another_ingest();
    // It accepts records, and cannot publish them.
    other.set("AMQP_URL", NO_BROKER);
    other.start().await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    let mut provider = Provider::new(at.http, system.secrets.clone());
    let accepted = provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    other.kill().await;
    pad.until_position_within(1, SOON).await;
    assert!(pad.calls.contains_key(&accepted.call_id));
}
