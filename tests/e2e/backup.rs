//! A backup also ends if the log is very busy, and has everything that was accepted before it; a restored log is a new history.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ringpad_proto::v1::{Cdr, ListCallsRequest};
use ringpad_tests::{
    cdr::{self, ring},
    guard::{Program, Running},
    pads::{Pad, Transport},
    postgres::PostgresServer,
    rabbit::RabbitNode,
    services::{System, binary},
    token::Claims,
    wait::{SOON, must, until},
};
use tokio::task::JoinSet;

use crate::{deployment::blocks, postgres};

/// Connections of the provider; each sends the next record when the last one is accepted.
const CONNECTIONS: usize = 4;
/// Records before the backup begins: enough that it takes a while.
const BEFORE: usize = 1_500;
/// Records a second, at least, while it is made.
const RATE: f64 = 100.0;

/// Runs a command of `ringpad` on the log of `system`; returns its exit code and output.
async fn ringpad(system: &System, log: &Path, arguments: &[&str]) -> (i32, String) {
    let output =
        system.directory.path().join(format!("ringpad-{}.log", ringpad_tests::rabbit::unique("cli")));
    let mut program =
        Program::new(binary("ringpad"), &output).set("DATABASE_URL", format!("sqlite://{}", log.display()));
    program.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let mut running: Running = program.spawn();
    let code = running.exit(2 * SOON).await;
    (code, must("its output", std::fs::read_to_string(output)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_traffic_ends_and_has_every_record_that_was_accepted_before_it() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let accepted: Arc<Mutex<Vec<Cdr>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut provider, number) = (system.provider(), store.virtual_number.clone());
        let (accepted, done) = (Arc::clone(&accepted), Arc::clone(&done));
        senders.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let record = Cdr { memo: "세차 ".repeat(100), ..ring(&number, &cdr::caller()) };
                // Fails if it is refused.
                provider.deliver(&record).await;
                must("the list", accepted.lock()).push(record);
            }
        });
    }
    let count = || must("the list", accepted.lock()).len();
    until("enough records", Duration::from_secs(120), async || (count() >= BEFORE).then_some(())).await;

    let log = system.directory.path().join("ringpad.db");
    let file = system.directory.path().join("backup.db");
    let target = file.display().to_string();
    let before: Vec<Cdr> = must("the list", accepted.lock()).clone();
    let began = Instant::now();
    let (code, said) = ringpad(&system, &log, &["backup", &target]).await;
    let (during, took) = (count() - before.len(), began.elapsed());
    done.store(true, Ordering::Relaxed);
    senders.join_all().await;
    assert_eq!(code, 0, "{said}");
    assert!(
        during as f64 >= RATE * took.as_secs_f64(),
        "{during} records in {took:?} are too little traffic"
    );
    for words in [" calls, 1 stores, newest event ", " bytes, "] {
        assert!(said.contains(words), "{said}");
    }
    let (code, said) = ringpad(&system, &log, &["backup", &target]).await;
    assert!(code == 1 && said.contains("there is such a file already"), "{code}: {said}");

    // A log that is restored elsewhere has each of them.
    let restored = system.directory.path().join("restored.db");
    let (code, said) = ringpad(&system, &restored, &["restore", &target]).await;
    assert_eq!(code, 0, "{said}");
    system.ingest.stop().await;
    system.ingest.set("DATABASE_URL", &format!("sqlite://{}", restored.display()));
    system.ingest.start().await;
    let mut provider = system.provider();
    for record in &before {
        assert_eq!(provider.deliver(record).await.status, "duplicate");
    }
}

#[tokio::test]
async fn pads_get_a_fresh_snapshot_after_a_restore() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let token = Claims::new(&store.id, "counter").token();
    let mut provider = system.provider();
    let mut before = Vec::new();
    for _ in 0..3 {
        before.push(provider.deliver(&store.ring()).await.call_id);
    }
    let log = system.directory.path().join("ringpad.db");
    let target = system.directory.path().join("backup.db").display().to_string();
    let (code, said) = ringpad(&system, &log, &["backup", &target]).await;
    assert_eq!(code, 0, "{said}");
    let mut pads = system.pads(&store.id).await;
    for _ in 0..2 {
        provider.deliver(&store.ring()).await;
    }
    for pad in &mut pads {
        pad.until_position(5).await;
    }
    let old = pads[0].snapshot.epoch.clone();

    let (code, said) = ringpad(&system, &log, &["restore", "--replace", &target]).await;
    assert!(code == 1 && said.contains("another ingest-svc has this file locked"), "{code}: {said}");
    system.ingest.stop().await;
    let (code, said) = ringpad(&system, &log, &["restore", &target]).await;
    assert!(code == 1 && said.contains("--replace"), "{code}: {said}");
    let (code, said) = ringpad(&system, &log, &["restore", "--replace", &target]).await;
    assert!(code == 0 && said.contains("is kept: "), "{code}: {said}");
    system.ingest.start().await;
    // The replicas ran all the time. From a ring they learn that the positions have changed, and they end the streams.
    let fourth = system.ring(&store).await;
    for pad in &mut pads {
        pad.end().await;
        assert!(pad.updates.iter().all(|update| update.position != 4 || !pad.calls.contains_key(&fourth)));
        // As a pad that reconnects: with its position.
        let asked = pad.resumption(&token);
        let replica = system.push_at[0].pads;
        let back = Pad::open(pad.transport, replica, &asked).await;
        assert!(!back.snapshot.resumed && back.snapshot.epoch != old, "{:?}", back.snapshot);
        let known: Vec<_> =
            before.iter().chain([&fourth]).filter(|id| back.calls.contains_key(*id)).collect();
        assert_eq!((known.len(), back.calls.len(), back.snapshot.position), (4, 4, 4));
        assert!(back.updates.is_empty(), "no old call comes as a new one");
    }
    // The old log is complete, under its new name.
    let kept = must("its directory", std::fs::read_dir(system.directory.path()))
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.display().to_string().contains("ringpad.db.replaced-"));
    let kept = kept.expect("the old log is kept");
    system.ingest.stop().await;
    system.ingest.set("DATABASE_URL", &format!("sqlite://{}", kept.display()));
    system.ingest.start().await;
    let request = ListCallsRequest { store_id: store.id.clone(), ..ListCallsRequest::default() };
    let calls = must("ListCalls", system.calls().await.list_calls(request).await).into_inner().calls;
    assert_eq!(calls.len(), 5);
}

#[tokio::test]
async fn a_restored_dump_of_a_log_in_postgresql_is_a_new_history_with_the_documented_statement() {
    let server = PostgresServer::shared().await;
    let database = server.create_database().await;
    let mut system = postgres::system(&server.url(&database)).await;
    let store = system.store("gangnam").await;
    let first = system.ring(&store).await;
    let file = system.directory.path().join("log.dump").display().to_string();
    server.client("pg_dump", &["--format=custom", "--file", &file, &database]).await;
    let lost = system.ring(&store).await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    pad.until_position(2).await;
    let old = pad.snapshot.epoch.clone();

    system.ingest.stop().await;
    let restored = server.create_database().await;
    server.client("pg_restore", &["--dbname", &restored, &file]).await;
    let statement = blocks("Back up and restore the log", "sql");
    must(&statement, server.connect(&restored).await.batch_execute(&statement).await);
    system.ingest.set("DATABASE_URL", &server.url(&restored));
    system.ingest.start().await;
    // The replica ran all the time, and has a position 2 of the old log.
    let second = system.ring(&store).await;
    pad.end().await;
    let asked = pad.resumption(&Claims::new(&store.id, "counter").token());
    let back = Pad::open(Transport::Grpc, system.push_at[0].pads, &asked).await;
    assert!(!back.snapshot.resumed && back.snapshot.epoch != old, "{:?}", back.snapshot);
    assert!(back.calls.contains_key(&first) && back.calls.contains_key(&second));
    assert!(!back.calls.contains_key(&lost) && back.updates.is_empty());
}
