//! The relay with a log in a real file and the in-process bus.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Registry;
use ringpad_bus::{Bus, ReceivedMessage, Subscription};
use ringpad_runtime::backoff::RetrySettings;
use ringpad_tests::postgres::PostgresServer;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::{
    capacity::{LogCapacity, RelayCapacity},
    cdr::{RawFields, Record},
    log::{Database, Log, LogTasks, OpenLog, open},
    phone::PhoneNumber,
    source::Sources,
    store::{Moving, NumberKind, OwnedNumber, StoreEntry},
};

const TTL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    log: Log,
    tasks: LogTasks,
    relay: JoinHandle<Result<(), Failure>>,
    cut: CancellationToken,
}

async fn start(directory: &TempDir, bus: &Bus) -> Running {
    let database = Database::Sqlite(directory.path().join("log.db"));
    start_with(&database, bus, &LogCapacity::default(), RelayCapacity::default()).await
}

async fn start_with(database: &Database, bus: &Bus, log: &LogCapacity, relay: RelayCapacity) -> Running {
    let opened = open(database, TTL, log, &mut Registry::default(), CancellationToken::new()).await;
    let OpenLog { log, outbox, fresh, tasks } = opened.unwrap();
    let millis = Duration::from_millis;
    let relay = Relay {
        bus: bus.clone(),
        traces: <_>::default(),
        retry: RetrySettings { retry_initial_interval: millis(10), retry_max_interval: millis(50) },
        popup_ttl: TTL,
        capacity: relay,
        log: log.reader().clone(),
        outbox,
        fresh,
        metrics: RelayMetrics::new(&mut Registry::default()),
    };
    let cut = CancellationToken::new();
    Running { log, tasks, relay: tokio::spawn(relay.run(cut.clone())), cut }
}

impl Running {
    async fn add_store(&self, id: &str, number: &str) {
        let number = PhoneNumber::parse(&format!("0{number}")).unwrap();
        let owned = OwnedNumber::new(NumberKind::VirtualNumber, &number);
        let entry = StoreEntry { id: id.to_owned(), name: id.to_owned(), numbers: vec![owned] };
        self.log.upsert_store(entry, Moving::Refused).await.unwrap();
    }

    async fn ring(&self, seq: usize, number: &str) {
        let mut fields = RawFields::new();
        fields.insert("seq", seq.to_string());
        fields.insert("sdt", "20261123142530".to_owned());
        fields.insert("vn", format!("0{number}"));
        let sources = Sources::read(None).unwrap();
        let record = Record::parse(fields, sources.get("bizcall").unwrap(), jiff::Timestamp::now()).unwrap();
        self.log.ingest(record).await.unwrap();
    }

    /// Ends as the service does: first the writer, then the relay, which publishes the rest.
    async fn leave(self) {
        drop(self.log);
        timeout(PATIENCE, self.relay).await.unwrap().unwrap().unwrap();
        self.tasks.join().await;
    }

    /// Ends before everything is published.
    async fn cut(self) {
        self.cut.cancel();
        self.relay.await.unwrap().unwrap();
        drop(self.log);
        self.tasks.join().await;
    }
}

/// Waits for the newest position of each store, and returns all positions in the order of their arrival.
async fn positions(subscription: &mut Subscription, wanted: &[(&str, u64)]) -> BTreeMap<String, Vec<u64>> {
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let all = async {
        while !wanted
            .iter()
            .all(|(store, position)| seen.get(*store).is_some_and(|seen| seen.contains(position)))
        {
            receive(subscription, &mut seen).await;
        }
    };
    timeout(PATIENCE, all).await.unwrap();
    seen
}

/// Waits for the next message, and adds its positions.
async fn receive(subscription: &mut Subscription, seen: &mut BTreeMap<String, Vec<u64>>) {
    match subscription.next().await.unwrap() {
        ReceivedMessage::Batch(batch) => {
            for event in batch.events.into_iter().filter(|event| event.position > 0) {
                seen.entry(event.store_id).or_default().push(event.position);
            }
        }
        other => panic!("not a batch: {other:?}"),
    }
}

#[tokio::test]
async fn events_arrive_in_order_within_their_store() {
    let (directory, bus) = (TempDir::new().unwrap(), Bus::in_process());
    let mut subscription = bus.subscribe().await.unwrap();
    let running = start(&directory, &bus).await;
    running.add_store("a", "50711111111").await;
    running.add_store("b", "50722222222").await;
    for seq in 0..50 {
        running.ring(2 * seq, "50711111111").await;
        running.ring(2 * seq + 1, "50722222222").await;
    }
    let seen = positions(&mut subscription, &[("a", 50), ("b", 50)]).await;
    assert!(seen.values().all(|positions| positions.iter().copied().eq(1..=50)), "{seen:?}");
    running.leave().await;
}

#[tokio::test]
async fn events_without_a_replica_are_sent_again_until_one_connects() {
    let (directory, bus) = (TempDir::new().unwrap(), Bus::in_process());
    let running = start(&directory, &bus).await;
    running.add_store("a", "50711111111").await;
    for seq in 0..3 {
        running.ring(seq, "50711111111").await;
    }
    let mut subscription = bus.subscribe().await.unwrap();
    let seen = positions(&mut subscription, &[("a", 3)]).await;
    assert_eq!(seen["a"], [1, 2, 3]);
    running.leave().await;
}

#[tokio::test]
async fn unconfirmed_events_are_sent_again_after_a_restart() {
    let (directory, bus) = (TempDir::new().unwrap(), Bus::in_process());
    let running = start(&directory, &bus).await;
    running.add_store("a", "50711111111").await;
    running.ring(1, "50711111111").await;
    running.ring(2, "50711111111").await;
    running.cut().await;

    let mut subscription = bus.subscribe().await.unwrap();
    let running = start(&directory, &bus).await;
    running.ring(3, "50711111111").await;
    let seen = positions(&mut subscription, &[("a", 3)]).await;
    assert_eq!(seen["a"], [1, 2, 3]);
    running.leave().await;

    // All of them are handled now: after the next start only new events are sent.
    let mut subscription = bus.subscribe().await.unwrap();
    let running = start(&directory, &bus).await;
    running.ring(4, "50711111111").await;
    let seen = positions(&mut subscription, &[("a", 4)]).await;
    assert_eq!(seen["a"], [4]);
    running.leave().await;
}

#[tokio::test]
async fn a_changed_store_is_published_as_a_hint() {
    let (directory, bus) = (TempDir::new().unwrap(), Bus::in_process());
    let mut subscription = bus.subscribe().await.unwrap();
    let running = start(&directory, &bus).await;
    running.add_store("a", "50711111111").await;
    let hint = async {
        loop {
            if let ReceivedMessage::Batch(batch) = subscription.next().await.unwrap()
                && let Some(event) = batch.events.first()
            {
                return event.clone();
            }
        }
    };
    let hint = timeout(PATIENCE, hint).await.unwrap();
    assert_eq!((hint.store_id.as_str(), hint.position, hint.bytes.len()), ("a", 0, 0));
    running.leave().await;
}

#[tokio::test]
async fn fresh_rings_go_on_while_the_log_cannot_be_read() {
    const RINGS: usize = 100;
    let server = PostgresServer::shared().await;
    let name = server.create_database().await;
    let admin = server.connect("postgres").await;
    let allow_connections = async |allowed: &str| {
        let statement = format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS {allowed}");
        admin.batch_execute(&statement).await.unwrap();
    };
    let (database, bus) = (server.url(&name).parse().unwrap(), Bus::in_process());
    let log = LogCapacity { outbox_commits: 1, ..LogCapacity::default() };
    let relay = RelayCapacity { events: 1, ..RelayCapacity::default() };
    let running = start_with(&database, &bus, &log, relay).await;
    running.add_store("a", "50711111111").await;
    running.add_store("b", "50722222222").await;
    // The connection that writes is there. One that reads is made when it is needed.
    allow_connections("false").await;
    // Without a replica they wait, and the relay has room for the first ones alone.
    for seq in 0..RINGS {
        running.ring(seq, "50711111111").await;
    }
    let mut subscription = bus.subscribe().await.unwrap();
    let mut before = BTreeMap::new();
    let a_fresh_ring_comes = async {
        for seq in RINGS.. {
            // The queue to the relay may still be full, and this one is read from the log, too.
            running.ring(seq, "50722222222").await;
            receive(&mut subscription, &mut before).await;
            if before.contains_key("b") {
                break;
            }
        }
    };
    timeout(PATIENCE, a_fresh_ring_comes).await.unwrap();
    let mut of_a = BTreeSet::from_iter(before.get("a").into_iter().flatten().copied());
    assert!(of_a.len() < RINGS, "all of them were in memory");
    allow_connections("true").await;
    let after = positions(&mut subscription, &[("a", RINGS as u64)]).await;
    of_a.extend(&after["a"]);
    assert!(of_a.into_iter().eq(1..=RINGS as u64), "{before:?} {after:?}");
    running.leave().await;
}
