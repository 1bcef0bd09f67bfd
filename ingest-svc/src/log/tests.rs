//! The suite of the log, run on each of its backends: what a test says here is true of every database. What is true of one
//! alone is tested next to it.

mod actions;
pub(super) mod answers;
pub(super) mod batches;
mod customers;
mod imports;
mod pads;
mod quarantine;
mod records;
mod reservations;
mod seq;
mod stores;

use std::{path::Path, time::Duration};

use prometheus_client::registry::Registry;
use prost::Message;
use ringpad_proto::v1::{self, CallState, CallerKind, subscribe_response::Event as Sent};
use ringpad_tests::postgres::PostgresServer;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    call::{ActingPad, Action, Reservation, SearchWords, Status},
    cdr::{Fault, RawFields},
    phone::PhoneNumber,
    request::{RawBody, RawRequest},
    source::Sources,
    store::{Change, Conflict, NumberKind, OwnedNumber},
};

pub(super) const TTL: Duration = Duration::from_secs(30);

/// A database that the suite runs on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// Runs each of these tests on every backend.
macro_rules! on_each_backend {
    ($($test:ident),* $(,)?) => {
        on_backend!(sqlite, Backend::Sqlite, $($test),*);
        on_backend!(postgres, Backend::Postgres, $($test),*);
    };
}

macro_rules! on_backend {
    ($name:ident, $backend:expr, $($test:ident),*) => {
        mod $name {
            use super::Backend;

            $(#[tokio::test]
            async fn $test() {
                super::$test($backend).await;
            })*
        }
    };
}

use {on_backend, on_each_backend};

#[test]
fn only_its_own_folder_uses_a_database_crate() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut directories, mut files) = (vec![source.clone()], 0);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (database, client) in [("sqlite", "rusqlite"), ("postgres", "tokio_postgres")] {
                let module = source.join("log").join(database);
                let is_its_own = path.starts_with(&module) || path == module.with_extension("rs");
                // This test names them.
                let is_used = text.contains(client) && path != source.join("log/tests.rs");
                assert!(!is_used || is_its_own, "{} uses {client}", path.display());
            }
            files += 1;
        }
    }
    assert!(files > 50, "{files} files were looked at");
}

/// Opens a log as the service does.
pub(crate) async fn try_open(database: &Database) -> Result<OpenLog, OpenError> {
    let (capacity, mut registry) = (LogCapacity::default(), Registry::default());
    open(database, TTL, &capacity, &mut registry, CancellationToken::new()).await
}

pub(super) fn act(call_id: Uuid, action: Action, request: u128) -> ActionRequest {
    ActionRequest {
        store_id: "gangnam".to_owned(),
        call_id,
        pad: ActingPad { id: "counter".to_owned(), name: "카운터".to_owned() },
        action,
        request_id: Uuid::from_u128(request),
        received_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// Where a log is kept that can be opened again.
pub(super) enum Place {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Place {
    pub(super) async fn new(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::Sqlite(TempDir::new().unwrap()),
            Backend::Postgres => {
                let server = PostgresServer::shared().await;
                Self::Postgres(server.url(&server.create_database().await).parse().unwrap())
            }
        }
    }

    pub(super) async fn open(&self) -> OpenLog {
        self.open_with(&LogCapacity::default(), &mut Registry::default()).await
    }

    pub(super) async fn open_with(&self, capacity: &LogCapacity, registry: &mut Registry) -> OpenLog {
        open(&self.database(), TTL, capacity, registry, CancellationToken::new()).await.unwrap()
    }

    pub(super) fn database(&self) -> Database {
        match self {
            Self::Sqlite(directory) => Database::Sqlite(directory.path().join("log.db")),
            Self::Postgres(database) => database.clone(),
        }
    }
}

/// A log with the store `gangnam` on 0507-1234-5678 and line 02-555-0001.
pub(super) async fn with_store(backend: Backend) -> (Place, OpenLog) {
    let place = Place::new(backend).await;
    let opened = place.open().await;
    let upserted = opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert_eq!(upserted, Upserted::Stored(Change::Created));
    (place, opened)
}

pub(super) fn store(id: &str, virtual_number: &str, line: &str) -> StoreEntry {
    let owned = |kind, number: &str| OwnedNumber::new(kind, &PhoneNumber::parse(number).unwrap());
    let numbers = vec![owned(NumberKind::VirtualNumber, virtual_number), owned(NumberKind::Line, line)];
    StoreEntry { id: id.to_owned(), name: "강남점".to_owned(), numbers }
}

pub(super) fn gangnam() -> StoreEntry {
    store("gangnam", "+8250712345678", "+8225550001")
}

/// A record of the open source `bizcall`, received a second after its `sdt` unless that lies in the past.
pub(super) fn record(parameters: &[(&str, &str)]) -> Record {
    let sources = Sources::read(None).unwrap();
    let mut fields = RawFields::new();
    for (name, value) in parameters {
        fields.insert(name, (*value).to_owned());
    }
    let after_all_of_them = "2026-12-01T00:00:00Z".parse().unwrap();
    let mut record = Record::parse(fields, sources.get("bizcall").unwrap(), after_all_of_them).unwrap();
    record.received_at = record.cdr.sdt() + jiff::SignedDuration::from_secs(1);
    record
}

pub(super) fn ring(seq: &str, sdt: &str) -> Record {
    record(&[("seq", seq), ("sdt", sdt), ("fromn", "01012345678"), ("vn", "050712345678"), ("memo", "세차")])
}

pub(super) fn end(seq: &str, sdt: &str, more: &[(&str, &str)]) -> Record {
    let mut parameters = vec![
        ("seq", seq),
        ("sdt", sdt),
        ("edt", "20261123143000"),
        ("fromn", "01012345678"),
        ("vn", "050712345678"),
    ];
    parameters.extend(more);
    record(&parameters)
}

impl OpenLog {
    pub(super) async fn status(&self, record: Record) -> Status {
        self.log.ingest(record).await.unwrap().status
    }

    /// Everything that pads of the store were sent.
    pub(super) async fn updates(&self, store: &str) -> Vec<v1::Update> {
        updates(self.log.reader(), store).await
    }

    pub(super) async fn calls(&self, store: &str) -> Vec<v1::Call> {
        self.found(CallQuery { store_id: store.to_owned(), ..any_call() }).await
    }

    /// Calls of `gangnam`.
    pub(super) async fn calls_ending_in(&self, digits: &str) -> Vec<v1::Call> {
        self.found(CallQuery { caller_suffix: digits.to_owned(), ..any_call() }).await
    }

    pub(super) async fn found(&self, query: CallQuery) -> Vec<v1::Call> {
        let page = self.log.reader().calls(query).await.unwrap().unwrap();
        page.calls.iter().map(|call| v1::Call::decode(call.as_slice()).unwrap()).collect()
    }

    pub(super) async fn close(self) {
        drop(self.log);
        self.tasks.join().await;
    }
}

/// Everything that pads of the store were sent.
pub(super) async fn updates(reader: &LogReader, store: &str) -> Vec<v1::Update> {
    let cursor = Cursor { store_id: store.to_owned(), after: 0 };
    let missed = reader.missed(vec![cursor], 1_000, None).await.unwrap().stores.remove(0);
    let updates: Vec<_> = missed.events.iter().map(|(_, bytes)| update(bytes)).collect();
    assert_eq!(missed.position, Some(updates.len() as u64));
    let positions: Vec<_> = updates.iter().map(|update| update.position).collect();
    assert_eq!(positions, (1..=updates.len() as u64).collect::<Vec<_>>());
    updates
}

/// The newest calls of `gangnam`.
pub(super) fn any_call() -> CallQuery {
    CallQuery {
        store_id: "gangnam".to_owned(),
        limit: 100,
        after: None,
        states: vec![],
        since: None,
        until: None,
        caller_suffix: String::new(),
        words: SearchWords::default(),
        purpose: Purpose::Search,
    }
}

pub(super) fn update(bytes: &[u8]) -> v1::Update {
    match v1::SubscribeResponse::decode(bytes).unwrap().event {
        Some(Sent::Update(update)) => update,
        other => panic!("no update: {other:?}"),
    }
}
