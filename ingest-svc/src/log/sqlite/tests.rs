//! What only SQLite has: its file, its write-ahead log, its steps, and what is written past the writer.

mod backup;
mod bounds;
mod cost;
mod damage;
mod deletion;
mod file;
mod migration;
mod retention;
mod wal;

use std::{path::PathBuf, time::Duration};

use prometheus_client::registry::Registry;
use prost::Message;
use ringpad_proto::v1::{self, CallState, subscribe_response::Event as Sent};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::{super::tests as suite, *};
use crate::{
    call::{ActingPad, Action, ActionOutcome, ActionRequest, Ingested, Reservation, Status},
    log::{
        CallQuery, Cursor, Database, LogError, OpenError, OpenLog, PageSize,
        tests::{Backend, Place, act, any_call, end, gangnam, record, ring, store, update},
    },
    request::{Quarantined, RawBody, RawRequest},
    store::Moving,
};
pub(crate) use migration::{TO_VERSION_7, TO_VERSION_8};

/// Another program that has the log's file open.
pub(crate) struct OtherProgram(Connection);

impl OtherProgram {
    pub(crate) fn open(file: &Path) -> Self {
        Self(Connection::open(file).unwrap())
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }

    /// The rows that a statement returns; each column is a text or NULL.
    pub(crate) fn select(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut select = self.0.prepare(sql).unwrap();
        let columns = select.column_count();
        let rows = select.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

async fn open_in(directory: &TempDir) -> OpenLog {
    open_at(&directory.path().join("log.db")).await
}

async fn open_at(name: &Path) -> OpenLog {
    try_open(name).await.unwrap()
}

async fn try_open(name: &Path) -> Result<OpenLog, FileError> {
    let opened = suite::try_open(&Database::Sqlite(name.to_owned())).await;
    opened.map_err(|error| match error {
        OpenError::Sqlite { source, .. } => source,
        OpenError::Postgres { .. } => panic!("{error}"),
    })
}

/// A log with the store `gangnam`, in the file `log.db` of a directory of its own.
async fn with_store() -> (TempDir, OpenLog) {
    let (Place::Sqlite(directory), opened) = suite::with_store(Backend::Sqlite).await else {
        panic!("it is not SQLite")
    };
    (directory, opened)
}

#[tokio::test]
async fn one_record_fails_alone() {
    let (directory, mut opened) = with_store().await;
    let entry = store("busan", "+8250799999999", "+82515550001");
    opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
    // Somebody has taken gangnam's first position behind the writer's back.
    let intruder = Connection::open(directory.path().join("log.db")).unwrap();
    intruder
        .execute("INSERT INTO events SELECT 900, key, 1, 0, x'' FROM stores WHERE id = 'gangnam'", [])
        .unwrap();

    // The second time while each job has a savepoint from the beginning.
    for (seq, position) in [("2", 1), ("3", 2)] {
        let fine = record(&[("seq", seq), ("sdt", "20261123142530"), ("vn", "050799999999")]);
        let (faulty, fine) =
            tokio::join!(opened.log.ingest(ring("1", "20261123142530")), opened.log.ingest(fine));
        assert!(matches!(faulty, Err(LogError::Unavailable(_))));
        assert_eq!(fine.unwrap().status, Status::Accepted);
        let committed = opened.fresh.recv().await.unwrap();
        let [event] = committed.events.as_slice() else { panic!("{committed:?}") };
        assert_eq!((event.store_id.as_str(), event.position), ("busan", position));
    }
    intruder.execute("DELETE FROM events WHERE key = 900", []).unwrap();
    assert_eq!(
        opened.status(ring("1", "20261123142530")).await,
        Status::Accepted,
        "nothing of it was left behind"
    );
    opened.close().await;
}

#[tokio::test]
async fn a_second_writer_is_refused() {
    let (directory, opened) = with_store().await;
    assert!(matches!(try_open(&directory.path().join("log.db")).await, Err(FileError::Held)));
    opened.close().await;
}

#[tokio::test]
async fn how_far_the_relay_has_come_is_noted_now_and_then_and_at_the_end() {
    let (directory, opened) = with_store().await;
    let noted = || {
        let reader = Connection::open(directory.path().join("log.db")).unwrap();
        reader.query_one("SELECT relayed FROM meta", [], |row| row.get::<_, u64>(0)).unwrap()
    };
    opened.status(ring("0", "20261123142530")).await;
    opened.outbox.handled(1);
    let commits = async {
        for seq in 1.. {
            if noted() == 1 {
                return;
            }
            opened.status(ring(&seq.to_string(), "20261123142530")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), commits).await.unwrap();
    opened.outbox.handled(2);
    opened.close().await;
    assert_eq!(noted(), 2);
}

#[tokio::test]
async fn only_what_is_written_counts_as_a_write() {
    let (directory, opened) = with_store().await;
    let wal = || std::fs::read(directory.path().join("log.db-wal")).unwrap();
    let probed = async || {
        opened.log.probe().await.unwrap();
        opened.log.written_at()
    };
    let at_first = probed().await;
    assert!(at_first.is_some(), "it has written something to find out");
    opened.status(ring("1", "20261123142530")).await;
    let accepted = opened.log.written_at();
    assert!(accepted > at_first);
    opened.status(ring("1", "20261123142530")).await;
    assert_eq!(opened.log.written_at(), accepted, "a repeat writes nothing");
    assert_eq!(probed().await, accepted, "it was just now that something was written");
    let before = wal();
    let later = async {
        while probed().await == accepted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), later).await.unwrap();
    assert!(wal() != before, "something that SQLite did not leave out");
    opened.close().await;
}
