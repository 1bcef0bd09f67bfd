//! A log that is moved to PostgreSQL: pads go on where they were, and whatever happens meanwhile, one ingest-svc has the log.

use std::{path::PathBuf, time::Duration};

use ringpad_tests::{
    guard::{Program, Running},
    pads::Pad,
    postgres::PostgresServer,
    rabbit::{RabbitNode, unique},
    services::{System, binary},
    token::Claims,
    wait::{SOON, must, until},
};
use rusqlite::Connection;

/// Calls in a log whose copy takes a while.
const CALLS: i64 = 20_000;

/// A command of `ringpad` that runs.
struct Command {
    running: Running,
    output: PathBuf,
}

impl Command {
    /// `ringpad log copy` of the log of `system`, with the database's URL in the environment.
    fn copy(system: &System, to: &str) -> Self {
        let from = sqlite_url(system);
        Self::start(system, &["log", "copy", "--from", &from], to)
    }

    fn start(system: &System, arguments: &[&str], database_url: &str) -> Self {
        let output = system.directory.path().join(format!("{}.log", unique("ringpad")));
        let mut program = Program::new(binary("ringpad"), &output).set("DATABASE_URL", database_url);
        program.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { running: program.spawn(), output }
    }

    /// Waits for its end; its exit code and output.
    async fn ended(mut self) -> (i32, String) {
        let code = self.running.exit(4 * SOON).await;
        let said = must("its output", std::fs::read_to_string(self.output));
        assert!(!said.contains("not-a-secret"), "the password is shown: {said}");
        (code, said)
    }
}

fn sqlite_url(system: &System) -> String {
    format!("sqlite://{}", system.directory.path().join("ringpad.db").display())
}

#[tokio::test]
async fn pads_resume_after_the_log_was_moved() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let token = Claims::new(&store.id, "counter").token();
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(system.ring(&store).await);
    }
    // Some stay connected all the time; the others come back.
    let (mut stay, mut leave) = (system.pads(&store.id).await, system.pads(&store.id).await);
    calls.push(system.ring(&store).await);
    for pad in stay.iter_mut().chain(&mut leave) {
        pad.until_position(4).await;
    }
    let server = PostgresServer::shared().await;
    let url = server.url(&server.create_database().await);

    let (code, said) = Command::copy(&system, &url).ended().await;
    assert!(code == 1 && said.contains("another ingest-svc has this file locked"), "{code}: {said}");
    system.ingest.stop().await;
    let left: Vec<_> = leave.iter().map(|pad| (pad.transport, pad.resumption(&token))).collect();
    let epoch = leave[0].snapshot.epoch.clone();
    drop(leave);
    let (code, said) = Command::copy(&system, &url).ended().await;
    assert_eq!(code, 0, "{said}");
    for part in ["1 stores, ", " 4 calls, 4 events, ", "; took ", "marked as moved"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = Command::copy(&system, &url).ended().await;
    assert!(code == 0 && said.contains("copied already to"), "{code}: {said}");
    let other = server.url(&server.create_database().await);
    let (code, said) = Command::copy(&system, &other).ended().await;
    assert!(code == 1 && said.contains("it was moved to"), "{code}: {said}");

    // Started by mistake, the old one would give out the same positions.
    system.ingest.spawn();
    assert_eq!(system.ingest.exit().await, 1);
    assert!(system.ingest.logged().contains("it was moved to the database"), "{}", system.ingest.logged());

    system.ingest.set("DATABASE_URL", &url);
    system.ingest.start().await;
    calls.push(system.ring(&store).await);
    for pad in &mut stay {
        pad.until_position(5).await;
        assert_eq!(pad.updates.len(), 2, "nothing came twice");
        assert!(calls.iter().all(|call| pad.calls.contains_key(call)));
    }
    for (transport, asked) in left {
        let mut pad = Pad::open(transport, system.push_at[0].pads, &asked).await;
        assert!(pad.snapshot.resumed && pad.snapshot.epoch == epoch, "{:?}", pad.snapshot);
        pad.until_position(5).await;
        let positions: Vec<_> = pad.updates.iter().map(|update| update.position).collect();
        assert_eq!(positions, [5], "{transport:?}");
    }
}

/// Adds calls to the log's file.
fn fill(system: &System) {
    let file = must("the log", Connection::open(system.directory.path().join("ringpad.db")));
    let statement = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {CALLS})
         INSERT INTO calls (id, source, seq, sdt, store, caller, state, facts, call, fingerprints)
           SELECT randomblob(16), source, seq || '-' || n, sdt, store, caller, state, facts, call, fingerprints
           FROM calls, number"
    );
    must("more calls", file.execute_batch(&statement));
}

#[tokio::test]
async fn a_copy_that_was_killed_is_completed_by_the_same_command() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    system.ring(&store).await;
    system.ingest.stop().await;
    fill(&system);
    let server = PostgresServer::shared().await;
    let database = server.create_database().await;
    let (url, admin) = (server.url(&database), server.connect(&database).await);
    let version = async || {
        let exists =
            must("a table", admin.query_one("SELECT to_regclass('ringpad_log') IS NOT NULL", &[]).await);
        if !exists.get::<_, bool>(0) {
            return None;
        }
        Some(must("the log", admin.query_one("SELECT version FROM ringpad_log", &[]).await).get::<_, i32>(0))
    };
    for _ in 0..6 {
        let mut copy = Command::copy(&system, &url);
        until("a copy is begun", SOON, async || version().await).await;
        // At any point of it.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..300))).await;
        copy.running.kill().await;
    }
    if version().await < Some(0) {
        system.ingest.set("DATABASE_URL", &url);
        system.ingest.spawn();
        assert_eq!(system.ingest.exit().await, 1);
        assert!(system.ingest.logged().contains("ringpad log copy"), "{}", system.ingest.logged());
    }
    let (code, said) = Command::copy(&system, &url).ended().await;
    assert_eq!(code, 0, "{said}");
    let calls =
        must("the calls", admin.query_one("SELECT count(*), count(DISTINCT id) FROM calls", &[]).await);
    assert_eq!((calls.get::<_, i64>(0), calls.get::<_, i64>(1)), (CALLS + 1, CALLS + 1));
    system.ingest.set("DATABASE_URL", &url);
    system.ingest.start().await;
    system.ring(&store).await;
    let position = "SELECT position FROM stores";
    assert_eq!(must("the store", admin.query_one(position, &[]).await).get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_log_in_use_is_no_target_and_a_faulty_command_line_shows_no_password() {
    let server = PostgresServer::shared().await;
    let url = server.url(&server.create_database().await);
    let mut system = System::start(&RabbitNode::shared().await.url(), 0).await;
    system.ingest.stop().await;
    let from = sqlite_url(&system);
    system.ingest.set("DATABASE_URL", &url);
    system.ingest.start().await;
    let (code, said) = Command::copy(&system, &url).ended().await;
    assert!(code == 1 && said.contains("an empty database is needed"), "{code}: {said}");
    assert!(said.contains("an ingest-svc uses it"), "{said}");

    let faulty = format!("{url}?nonsense=1");
    for (arguments, environment) in [
        (&["--from", &from, "--to", &faulty][..], &url),
        (&["--from", &url, "--to", &url], &url),
        (&["--from", &from, "--to", &from], &url),
        (&["--from", &from, &url], &url),
        (&["--from", &from], &faulty),
        (&["--from", &from], &from),
        (&[], &url),
    ] {
        let arguments = [&["log", "copy"], arguments].concat();
        let (code, said) = Command::start(&system, &arguments, environment).ended().await;
        assert_eq!((code, said.lines().count()), (2, 1), "{arguments:?}: {said}");
    }
}
