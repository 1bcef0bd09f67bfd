//! The log on a real file.

mod acts;
mod backup;
mod bounds;
mod cost;
mod damage;
mod deletion;
mod file;
mod imports;
mod retention;
mod seq;
mod wal;

use std::time::Duration;

use prometheus_client::registry::Registry;
use prost::Message;
use ringpad_proto::v1::{self, CallState, CallerKind, subscribe_response::Event as Sent};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::{
    cdr::{Fault, RawFields},
    source::Sources,
};

const TTL: Duration = Duration::from_secs(30);

/// A log in a directory of its own, with the store `gangnam` on 0507-1234-5678 and line 02-555-0001.
struct Opened {
    log: Log,
    fresh: mpsc::Receiver<Committed>,
    threads: LogThreads,
}

fn open_in(directory: &TempDir) -> Opened {
    let metrics = LogMetrics::new(&mut Registry::default());
    let opened = open(&directory.path().join("log.db"), TTL, metrics).unwrap();
    Opened { log: opened.log, fresh: opened.fresh, threads: opened.threads }
}

async fn with_store() -> (TempDir, Opened) {
    let directory = TempDir::new().unwrap();
    let opened = open_in(&directory);
    let upserted = opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert_eq!(upserted, Upserted::Stored(Change::Created));
    (directory, opened)
}

fn store(id: &str, virtual_number: &str, line: &str) -> StoreEntry {
    let owned =
        |kind, number: &str| OwnedNumber { kind, number: number.to_owned(), display: number.to_owned() };
    let numbers = vec![owned(NumberKind::VirtualNumber, virtual_number), owned(NumberKind::Line, line)];
    StoreEntry { id: id.to_owned(), name: "강남점".to_owned(), numbers }
}

fn gangnam() -> StoreEntry {
    store("gangnam", "+8250712345678", "+8225550001")
}

/// A record of the open source `bizcall`, received a second after its `sdt` unless that lies in the past.
fn record(parameters: &[(&str, &str)]) -> Record {
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

fn ring(seq: &str, sdt: &str) -> Record {
    record(&[("seq", seq), ("sdt", sdt), ("fromn", "01012345678"), ("vn", "050712345678"), ("memo", "세차")])
}

fn end(seq: &str, sdt: &str, more: &[(&str, &str)]) -> Record {
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

impl Opened {
    async fn status(&self, record: Record) -> Status {
        self.log.ingest(record).await.unwrap().status
    }

    /// Everything that pads of the store were sent.
    async fn updates(&self, store: &str) -> Vec<v1::Update> {
        let cursor = Cursor { store_id: store.to_owned(), after: 0 };
        let missed = self.log.reader().missed(vec![cursor], 1_000, None).await.unwrap().stores.remove(0);
        let updates: Vec<_> = missed.events.iter().map(|(_, bytes)| update(bytes)).collect();
        assert_eq!(missed.position, Some(updates.len() as u64));
        let positions: Vec<_> = updates.iter().map(|update| update.position).collect();
        assert_eq!(positions, (1..=updates.len() as u64).collect::<Vec<_>>());
        updates
    }

    async fn calls(&self, store: &str) -> Vec<v1::Call> {
        self.found(CallQuery { store_id: store.to_owned(), ..any_call() }).await
    }

    /// Calls of `gangnam`.
    async fn calls_ending_in(&self, digits: &str) -> Vec<v1::Call> {
        self.found(CallQuery { caller_suffix: digits.to_owned(), ..any_call() }).await
    }

    async fn found(&self, query: CallQuery) -> Vec<v1::Call> {
        let page = self.log.reader().calls(query).await.unwrap().unwrap();
        page.calls.iter().map(|call| v1::Call::decode(call.as_slice()).unwrap()).collect()
    }

    fn close(self) {
        drop(self.log);
        self.threads.join();
    }
}

/// The newest calls of `gangnam`.
fn any_call() -> CallQuery {
    CallQuery {
        store_id: "gangnam".to_owned(),
        limit: 100,
        after: None,
        states: vec![],
        since: None,
        until: None,
        caller_suffix: String::new(),
        purpose: Purpose::Search,
    }
}

fn update(bytes: &[u8]) -> v1::Update {
    match v1::SubscribeResponse::decode(bytes).unwrap().event {
        Some(Sent::Update(update)) => update,
        other => panic!("no update: {other:?}"),
    }
}

#[tokio::test]
async fn a_ring_and_its_end_are_one_call_in_two_events() {
    let (_directory, opened) = with_store().await;
    assert_eq!(opened.status(ring("7", "20261123142530")).await, Status::Accepted);
    assert_eq!(
        opened.status(end("7", "20261123142530", &[("swidt", "20261123142540")])).await,
        Status::Accepted
    );

    let [first, second] = opened.updates("gangnam").await.try_into().unwrap();
    let (ringing, completed) = (first.call.unwrap(), second.call.unwrap());
    assert_eq!((ringing.state(), completed.state()), (CallState::Ringing, CallState::Completed));
    assert_eq!((ringing.revision, completed.revision), (1, 2));
    assert_eq!(ringing.id, completed.id);
    assert_eq!(completed.memo, "세차", "the final record leaves it out");
    assert_eq!(completed.caller.as_ref().unwrap().display, "010-1234-5678");
    assert_eq!(completed.virtual_number, "0507-1234-5678");
    let received = ringing.started_at.unwrap().seconds + 1;
    assert_eq!(first.pop_until.unwrap().seconds, received + 30);
    assert_eq!(second.pop_until, None, "a call that is over does not pop");
    // For pads that come later, in snapshots.
    assert_eq!((ringing.pop_until, completed.pop_until), (first.pop_until, None));
    assert_eq!(opened.calls("gangnam").await, [completed]);
    opened.close();
}

#[tokio::test]
async fn an_end_before_its_ring_stays_the_end() {
    let (_directory, opened) = with_store().await;
    opened.status(end("7", "20261123142530", &[])).await;
    assert_eq!(opened.status(ring("7", "20261123142530")).await, Status::Accepted);
    let [_, late] = opened.updates("gangnam").await.try_into().unwrap();
    assert_eq!(late.pop_until, None);
    let call = late.call.unwrap();
    assert_eq!((call.state(), call.memo.as_str()), (CallState::Missed, "세차"));
    opened.close();
}

#[tokio::test]
async fn an_equal_record_is_a_duplicate_and_another_one_a_correction() {
    let (_directory, opened) = with_store().await;
    let first = opened.log.ingest(ring("7", "20261123142530")).await.unwrap();
    let spelled_otherwise = record(&[
        ("seq", "7"),
        ("sdt", "20261123142530"),
        ("fromn", "+82 10-1234-5678"),
        ("vn", "0507-1234-5678"),
        ("memo", "세차"),
    ]);
    let again = opened.log.ingest(spelled_otherwise).await.unwrap();
    assert_eq!(again, Ingested { call_id: first.call_id, status: Status::Duplicate });
    let corrected =
        record(&[("seq", "7"), ("sdt", "20261123142531"), ("vn", "05071234567 8"), ("memo", "왁스")]);
    assert_eq!(opened.status(corrected).await, Status::Accepted);
    let [_, second] = opened.updates("gangnam").await.try_into().unwrap();
    let call = second.call.unwrap();
    assert_eq!(call.memo, "왁스");
    assert_eq!(call.caller.unwrap().display, "010-1234-5678", "it was left out, not withheld");
    opened.close();
}

#[tokio::test]
async fn a_call_that_nobody_owns_is_kept_and_routed_at_its_next_record() {
    let (_directory, opened) = with_store().await;
    let unknown = [("seq", "9"), ("sdt", "20261123142530"), ("fromn", "01012345678"), ("vn", "050799999999")];
    let first = opened.log.ingest(record(&unknown)).await.unwrap();
    assert_eq!(first.status, Status::Unrouted);
    let entry = store("busan", "+8250799999999", "+82515550001");
    opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
    let unknown =
        [("seq", "9"), ("sdt", "20261123142530"), ("edt", "20261123142600"), ("vn", "050799999999")];
    let second = opened.log.ingest(record(&unknown)).await.unwrap();
    assert_eq!(second, Ingested { call_id: first.call_id, status: Status::Accepted });
    assert_eq!(opened.updates("busan").await.len(), 1);
    assert!(opened.updates("gangnam").await.is_empty());
    opened.close();
}

#[tokio::test]
async fn the_line_finds_the_store_only_if_the_virtual_number_does_not() {
    let (_directory, opened) = with_store().await;
    let entry = store("busan", "+8250799999999", "+82515550001");
    opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
    let to = |seq, vn, ton| record(&[("seq", seq), ("sdt", "20261123142530"), ("vn", vn), ("ton", ton)]);
    opened.status(to("1", "05071234 5678", "0515550001")).await;
    opened.status(to("2", "", "0515550001")).await;
    opened.status(to("3", "05070000000", "0515550001")).await;
    assert_eq!(opened.updates("gangnam").await.len(), 1);
    assert_eq!(opened.updates("busan").await.len(), 2);
    opened.close();
}

#[tokio::test]
async fn a_withheld_caller_has_no_history_and_a_known_one_has() {
    let (_directory, opened) = with_store().await;
    opened.status(ring("1", "20261122100000")).await;
    opened.status(end("1", "20261122100000", &[])).await;
    opened.status(ring("2", "20261123100000")).await;
    opened
        .status(record(&[
            ("seq", "3"),
            ("sdt", "20261123110000"),
            ("fromn", "anonymous"),
            ("vn", "05071234 5678"),
        ]))
        .await;
    let calls: Vec<_> =
        opened.updates("gangnam").await.into_iter().map(|update| update.call.unwrap()).collect();
    let earlier: Vec<_> = calls.iter().map(|call| call.history.as_ref().unwrap().calls).collect();
    assert_eq!(earlier, [0, 0, 1, 0]);
    let last = calls[2].history.as_ref().unwrap().last_call_at.as_ref().unwrap();
    assert_eq!(Some(last), calls[0].started_at.as_ref());
    let caller = calls[3].caller.as_ref().unwrap();
    assert_eq!((caller.kind(), caller.display.as_str()), (CallerKind::Withheld, "발신번호 표시제한"));
    opened.close();
}

#[tokio::test]
async fn a_ring_pops_only_if_it_began_within_two_minutes_of_our_clock() {
    let (_directory, opened) = with_store().await;
    let rows = [(120, true), (121, false), (-120, true), (-121, false), (-86_400, false), (86_400, false)];
    for (index, (age, pops)) in rows.into_iter().enumerate() {
        let mut ring = ring(&index.to_string(), "20261123142530");
        ring.received_at = ring.cdr.sdt() + jiff::SignedDuration::from_secs(age);
        opened.status(ring).await;
        let update = opened.updates("gangnam").await.pop().unwrap();
        assert_eq!(update.pop_until.is_some(), pops, "{age} s old");
        assert_eq!(update.call.unwrap().pop_until.is_some(), pops, "{age} s old, for pads that come later");
    }
    opened.close();
}

#[tokio::test]
async fn a_caller_that_the_final_record_gives_otherwise_is_known_by_that_number() {
    let (_directory, opened) = with_store().await;
    let from = |caller: &str, edt: &str| {
        record(&[
            ("seq", "1"),
            ("sdt", "20261123142530"),
            ("fromn", caller),
            ("vn", "050712345678"),
            ("edt", edt),
        ])
    };
    opened.status(from("01033334444", "")).await;
    opened.status(from("01055556666", "20261123142630")).await;
    assert_eq!(
        (opened.calls_ending_in("4444").await.len(), opened.calls_ending_in("6666").await.len()),
        (0, 1)
    );
    opened.close();
}

#[tokio::test]
async fn positions_go_on_after_a_restart_and_after_a_deletion() {
    let (directory, opened) = with_store().await;
    opened.status(ring("1", "20261123142530")).await;
    let epoch = opened.log.reader().epoch();
    assert!(opened.log.delete_store("gangnam".to_owned()).await.unwrap());
    assert!(!opened.log.delete_store("gangnam".to_owned()).await.unwrap());
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Unrouted);
    opened.close();

    let opened = open_in(&directory);
    assert_eq!(opened.log.reader().epoch(), epoch);
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    opened.status(ring("3", "20261123142530")).await;
    let reach = |after| Cursor { store_id: "gangnam".to_owned(), after };
    let missed = opened.log.reader().missed(vec![reach(0), reach(1)], 10, None).await.unwrap().stores;
    assert_eq!((missed[0].position, missed[0].events.len()), (Some(2), 0), "the former store's are gone");
    assert_eq!(missed[1].events[0].0, 2, "and its position goes on");
    opened.close();
}

#[tokio::test]
async fn a_number_changes_hands_only_when_told_so() {
    let (_directory, opened) = with_store().await;
    let claimed = store("busan", "+8250712345678", "+82515550001");
    let refused = opened.log.upsert_store(claimed.clone(), Moving::Refused).await.unwrap();
    assert_eq!(refused, Upserted::Conflicts(vec![Conflict { index: 0, owner: "gangnam".to_owned() }]));
    let planned = async |moving| {
        opened.log.reader().plan_stores(vec![claimed.clone(), gangnam()], moving).await.unwrap()
    };
    assert_eq!(planned(Moving::Refused).await, [refused, Upserted::Stored(Change::Unchanged)]);
    let possible = [Change::Created, Change::Unchanged].map(Upserted::Stored);
    assert_eq!(planned(Moving::Allowed).await, possible);
    opened.status(ring("1", "20261123142530")).await;
    opened.log.upsert_store(claimed, Moving::Allowed).await.unwrap();
    opened.status(ring("2", "20261123142530")).await;
    assert_eq!((opened.updates("gangnam").await.len(), opened.updates("busan").await.len()), (1, 1));
    opened.close();
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

    let fine = record(&[("seq", "2"), ("sdt", "20261123142530"), ("vn", "050799999999")]);
    let (faulty, fine) =
        tokio::join!(opened.log.ingest(ring("1", "20261123142530")), opened.log.ingest(fine));
    assert!(matches!(faulty, Err(LogError::Unavailable(_))));
    assert_eq!(fine.unwrap().status, Status::Accepted);
    let committed = opened.fresh.recv().await.unwrap();
    assert_eq!((committed.events.len(), committed.events[0].store_id.as_str()), (1, "busan"));
    intruder.execute("DELETE FROM events WHERE key = 900", []).unwrap();
    assert_eq!(
        opened.status(ring("1", "20261123142530")).await,
        Status::Accepted,
        "nothing of it was left behind"
    );
    opened.close();
}

#[tokio::test]
async fn a_second_writer_is_refused() {
    let (directory, opened) = with_store().await;
    let metrics = LogMetrics::new(&mut Registry::default());
    assert!(matches!(open(&directory.path().join("log.db"), TTL, metrics), Err(OpenError::Held)));
    opened.close();
}

#[tokio::test]
async fn the_quarantine_keeps_the_newest() {
    let directory = TempDir::new().unwrap();
    let opened = open_in(&directory);
    let request = |number: u64| Quarantined {
        source: "bizcall".into(),
        received_at: jiff::Timestamp::now(),
        request: RawRequest {
            query: format!("seq={number}"),
            body: RawBody::Form("a=b".into()),
            charset: Some(encoding_rs::SHIFT_JIS),
        },
        faults: vec![Fault { field: "sdt".to_owned(), message: "is missing".to_owned() }],
    };
    let all = (1..=QUARANTINE + 3).map(|number| opened.log.quarantine(request(number)));
    futures_util::future::try_join_all(all).await.unwrap();
    let reader = opened.log.reader();
    let oldest = reader.oldest_quarantined(0, 1).await.unwrap();
    assert_eq!(oldest[0].0, 4, "three too many");
    let expected = RawRequest { query: "seq=4".to_owned(), ..request(0).request };
    assert!(oldest[0].1.request == expected);
    opened.log.release(vec![4, 5, 4711]).await.unwrap();
    assert_eq!(reader.oldest_quarantined(0, 1).await.unwrap()[0].0, 6);
    let newest = reader.newest_quarantined(QUARANTINE + 3, 2).await.unwrap();
    let ids: Vec<_> = newest.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [QUARANTINE + 2, QUARANTINE + 1]);
    opened.close();
}

#[tokio::test]
async fn a_source_that_fills_the_quarantine_pushes_out_its_own() {
    let directory = TempDir::new().unwrap();
    let opened = open_in(&directory);
    let request = |source: &str, length: usize| Quarantined {
        source: source.into(),
        received_at: jiff::Timestamp::now(),
        request: RawRequest { query: "x".repeat(length), body: RawBody::None, charset: None },
        faults: vec![],
    };
    opened.log.quarantine(request("quiet", 1_000_000)).await.unwrap();
    // In large ones, and in many.
    for (length, count, left) in [(1_000_000, 300, 35), (10, QUARANTINE, 303)] {
        let all = (0..count).map(|_| opened.log.quarantine(request("loud", length)));
        futures_util::future::try_join_all(all).await.unwrap();
        let reader = opened.log.reader();
        let oldest = reader.oldest_quarantined(0, 10).await.unwrap();
        assert_eq!((&*oldest[0].1.source, oldest[1].0), ("quiet", left));
    }
    opened.close();
}

/// A file of version 7, made by turning version 8's changes back. It has a caller that is missing among the callers.
const TO_VERSION_7: &str = "
    DROP INDEX quarantine_of_source;
    ALTER TABLE calls ADD COLUMN reversed TEXT GENERATED ALWAYS AS (substr(caller, -1, 1) || substr(caller, -2, 1)) VIRTUAL;
    CREATE INDEX calls_by_ending ON calls (store, reversed, sdt);
    DROP TABLE callers;
    CREATE TABLE callers (
        store INTEGER NOT NULL REFERENCES stores, number TEXT NOT NULL, calls INTEGER NOT NULL, last_call INTEGER NOT NULL,
        last_note TEXT NOT NULL DEFAULT '', last_reservation BLOB, PRIMARY KEY (store, number)) WITHOUT ROWID;
    INSERT INTO callers SELECT key, '+821099990000', 3, 0, 'white', NULL FROM stores;
    PRAGMA user_version = 7;
";
/// The same for version 6, from version 7.
const TO_VERSION_6: &str = "
    DROP INDEX events_by_age;
    DROP INDEX quarantine_by_age;
    PRAGMA user_version = 6;
";
/// The same for version 5, from version 6.
const TO_VERSION_5: &str = "
    DROP INDEX calls_by_id;
    DROP INDEX stores_deleted;
    DROP INDEX calls_by_ending;
    ALTER TABLE calls DROP COLUMN reversed;
    PRAGMA user_version = 5;
";
/// The same for version 4, from version 5.
const TO_VERSION_4: &str = "
    ALTER TABLE quarantine DROP COLUMN charset;
    PRAGMA user_version = 4;
";
/// The same for version 3, from version 4.
const TO_VERSION_3: &str = "
    DROP TABLE file;
    DROP TABLE probe;
    PRAGMA user_version = 3;
";
/// The same for version 2, from version 3.
const TO_VERSION_2: &str = "
    ALTER TABLE callers DROP COLUMN last_reservation;
    PRAGMA user_version = 2;
";
/// The same for version 1, from version 2.
const TO_VERSION_1: &str = "
    CREATE TABLE records (
        call INTEGER NOT NULL, fingerprint BLOB NOT NULL, PRIMARY KEY (call, fingerprint)) WITHOUT ROWID;
    INSERT INTO records SELECT key, fingerprints FROM calls;
    ALTER TABLE calls DROP COLUMN fingerprints;
    CREATE INDEX calls_by_age ON calls (sdt);
    DROP TABLE quarantine;
    PRAGMA user_version = 1;
";
/// Version 1 as it was for a while between two releases.
const TO_LATE_VERSION_1: &str = "DROP TABLE quarantine; PRAGMA user_version = 1;";

#[tokio::test]
async fn an_older_file_is_brought_up() {
    let ways: [&[&str]; 8] = [
        &[],
        &[TO_VERSION_6],
        &[TO_VERSION_6, TO_VERSION_5],
        &[TO_VERSION_6, TO_VERSION_5, TO_VERSION_4],
        &[TO_VERSION_6, TO_VERSION_5, TO_VERSION_4, TO_VERSION_3],
        &[TO_VERSION_6, TO_VERSION_5, TO_VERSION_4, TO_VERSION_3, TO_VERSION_2],
        &[TO_VERSION_6, TO_VERSION_5, TO_VERSION_4, TO_VERSION_3, TO_VERSION_2, TO_VERSION_1],
        &[TO_VERSION_6, TO_VERSION_5, TO_VERSION_4, TO_VERSION_3, TO_VERSION_2, TO_LATE_VERSION_1],
    ];
    for way in ways {
        let (directory, opened) = with_store().await;
        opened.status(ring("1", "20261123142530")).await;
        let epoch = opened.log.reader().epoch();
        opened.close();
        let path = directory.path().join("log.db");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(&[&[TO_VERSION_7], way].concat().concat())
            .unwrap();
        let opened = open_in(&directory);
        assert_eq!(opened.log.reader().epoch(), epoch);
        assert_eq!(opened.calls_ending_in("5678").await.len(), 1, "{way:?}");
        assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
        let of_before =
            [("seq", "9"), ("sdt", "20261123142530"), ("fromn", "01099990000"), ("vn", "050712345678")];
        opened.status(record(&of_before)).await;
        let history = opened.calls_ending_in("0000").await.remove(0).history.unwrap();
        assert_eq!((history.calls, history.last_note.as_str()), (3, "white"));
        assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
        assert_eq!(opened.calls_ending_in("5678").await.len(), 2, "the first one too is found");
        opened.close();
    }
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
    opened.close();
}
