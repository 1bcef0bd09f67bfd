//! What is older than the retention is deleted: in small steps, to the last, and without harm to what is kept.

use super::*;
use crate::log::job::{Job, Probe, Work};

/// Rows of each table that a step may delete.
const STEP: u64 = 200;
/// Expired calls in the log when the tests begin, each with one event.
const BACKLOG: u64 = 20_000;
/// Before any call that a test makes itself.
const BEFORE: i64 = 1_000_000_000;

/// Calls of a minute in 1970 and their events, written past the writer.
const EXPIRED: &str = "
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
    INSERT INTO calls (id, source, seq, sdt, store, state, facts, call, fingerprints)
        SELECT randomblob(16), 'bizcall', 'old' || n, n % 60, stores.key, 1, '{}', x'', x'' FROM number, stores;
    INSERT INTO events SELECT key, store, key, key, x'' FROM calls;
    UPDATE stores SET position = 20000;
    UPDATE meta SET relayed = 20000;
";

async fn with_a_backlog() -> (TempDir, OpenLog) {
    let (directory, opened) = with_store().await;
    opened.close().await;
    rusqlite::Connection::open(directory.path().join("log.db")).unwrap().execute_batch(EXPIRED).unwrap();
    let opened = open_in(&directory).await;
    (directory, opened)
}

/// How many calls and events there are.
fn rows(directory: &TempDir) -> (u64, u64) {
    let connection = rusqlite::Connection::open(directory.path().join("log.db")).unwrap();
    let count = |table| connection.query_one(table, [], |row| row.get(0)).unwrap();
    (count("SELECT count(*) FROM calls"), count("SELECT count(*) FROM events"))
}

#[tokio::test]
async fn a_backlog_is_deleted_in_small_steps_with_accepts_between_them() {
    let (directory, opened) = with_a_backlog().await;
    let epoch = opened.log.reader().epoch();
    let (mut calls, mut events) = rows(&directory);
    assert_eq!((calls, events), (BACKLOG, BACKLOG));
    let mut rung = 0;
    while opened.log.purge(BEFORE).await.unwrap() {
        let (calls_left, events_left) = rows(&directory);
        assert!(calls - calls_left <= STEP && events - events_left <= STEP, "a step is a small one");
        assert!(calls_left < calls || events_left < events, "and gets on");
        rung += 1;
        assert_eq!(opened.status(ring(&rung.to_string(), "20261123142530")).await, Status::Accepted);
        (calls, events) = (calls_left + 1, events_left + 1);
        assert!(rung <= 2 * BACKLOG / STEP, "it comes to an end");
    }
    assert!(rung >= BACKLOG / STEP);
    assert_eq!(rows(&directory), (rung, rung), "what is not expired is all there");
    opened.close().await;

    // Neither position nor epoch went with the calls.
    let opened = open_in(&directory).await;
    assert_eq!(opened.log.reader().epoch(), epoch);
    assert_eq!(opened.status(ring("after", "20261123142530")).await, Status::Accepted);
    let reach = |after| Cursor { store_id: "gangnam".to_owned(), after };
    let missed =
        opened.log.reader().missed(vec![reach(5), reach(BACKLOG)], 10_000, None).await.unwrap().stores;
    let position = Some(BACKLOG + rung + 1);
    assert_eq!((missed[0].position, missed[0].events.len()), (position, 0), "out of reach");
    assert_eq!((missed[1].position, missed[1].events.len() as u64), (position, rung + 1));
    opened.close().await;
}

#[tokio::test]
async fn positions_and_keys_continue_when_every_event_is_deleted() {
    let (directory, opened) = with_a_backlog().await;
    while opened.log.purge(BEFORE).await.unwrap() {}
    assert_eq!(rows(&directory), (0, 0));
    opened.close().await;
    let mut opened = open_in(&directory).await;
    opened.status(ring("1", "20261123142530")).await;
    let committed = opened.fresh.recv().await.unwrap();
    assert_eq!((committed.first_key, committed.events[0].position), (BACKLOG + 1, BACKLOG + 1));
    opened.close().await;
}

#[tokio::test]
async fn a_call_that_is_not_expired_does_not_delay_other_ones() {
    let (directory, opened) = with_store().await;
    // It came first, and more of its like than a step looks at.
    for seq in 0..=STEP {
        opened.status(ring(&format!("new{seq}"), "20261123142530")).await;
    }
    let unrouted = [("seq", "1"), ("sdt", "20010101000000"), ("vn", "05079999999")];
    opened.status(record(&unrouted)).await;
    for seq in 0..=STEP {
        opened.status(ring(&format!("old{seq}"), "20010101000000")).await;
    }
    while opened.log.purge(BEFORE).await.unwrap() {}
    assert_eq!(rows(&directory).0, STEP + 1);
    opened.close().await;
}

#[tokio::test]
async fn old_calls_and_events_are_deleted_and_the_position_stays() {
    let (directory, opened) = with_store().await;
    opened.status(ring("1", "20260101100000")).await;
    opened.status(ring("2", "20261123142530")).await;
    // An event's age counts from its commit.
    let intruder = rusqlite::Connection::open(directory.path().join("log.db")).unwrap();
    intruder.execute("UPDATE events SET created = 0 WHERE position = 1", []).unwrap();
    let before = ring("2", "20261123142530").cdr.sdt().as_second() - 60;
    assert!(opened.log.purge(before).await.unwrap());
    assert!(!opened.log.purge(before).await.unwrap(), "and no more");
    assert_eq!(opened.calls("gangnam").await.len(), 1);
    let reach = |after| Cursor { store_id: "gangnam".to_owned(), after };
    let missed =
        opened.log.reader().missed(vec![reach(0), reach(1), reach(2)], 100, None).await.unwrap().stores;
    let events: Vec<_> = missed.iter().map(|missed| (missed.position, missed.events.len())).collect();
    assert_eq!(events, [(Some(2), 0), (Some(2), 1), (Some(2), 0)]);
    opened.close().await;
}

#[tokio::test]
async fn expired_rows_are_found_after_rows_that_were_written_with_a_clock_ahead() {
    let (directory, opened) = with_a_backlog().await;
    let request = || Quarantined {
        source: "bizcall".into(),
        received_at: jiff::Timestamp::now(),
        request: RawRequest { query: "seq=1".to_owned(), body: RawBody::None, charset: None },
        faults: vec![],
    };
    let all = (0..2 * STEP).map(|_| opened.log.quarantine(request()));
    futures_util::future::try_join_all(all).await.unwrap();
    // The first ones twenty days ahead; and here and there one that is young.
    let intruder = rusqlite::Connection::open(directory.path().join("log.db")).unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let ahead = [now + 20 * 86_400_000];
    intruder.execute("UPDATE quarantine SET received = 0", []).unwrap();
    let sets = [
        "UPDATE events SET created = ?1 WHERE position <= 1000 OR position % 7 = 0",
        "UPDATE quarantine SET received = ?1 WHERE key <= 200 OR key % 7 = 0",
    ];
    let [kept, set_aside] = sets.map(|set| intruder.execute(set, ahead).unwrap() as u64);
    while opened.log.purge(BEFORE).await.unwrap() {}
    assert_eq!(rows(&directory), (0, kept));
    let left: u64 = intruder.query_one("SELECT count(*) FROM quarantine", [], |row| row.get(0)).unwrap();
    assert_eq!(left, set_aside);
    opened.close().await;
}

#[tokio::test]
async fn a_batch_that_is_done_again_deletes_the_callers_again() {
    let (directory, opened) = with_store().await;
    opened.status(ring("old", "20010101000000")).await;
    assert!(opened.log.purge(BEFORE).await.unwrap(), "the call; the callers come in the next step");
    opened.close().await;
    let file = directory.path().join("log.db");
    let intruder = rusqlite::Connection::open(&file).unwrap();
    let taken = "INSERT INTO events SELECT 900, key, position + 1, 99999999999999, x'' FROM stores";
    intruder.execute(taken, []).unwrap();

    let (capacity, mut registry) = (LogCapacity::default(), Registry::default());
    let metrics = LogMetrics::new(&mut registry);
    let (mut writer, _, checkpoints) =
        super::super::open(&file, SignedDuration::MAX, &capacity, &metrics, &mut registry).unwrap();
    let (purge, _purged) = Work::new(BEFORE);
    let (faulty, refused) = Work::new(ring("new", "20261123142530"));
    let mut jobs = [Job::Purge(purge), Job::Ingest(faulty)];
    assert!(writer.commit(&mut jobs, Probe::Nothing).is_ok());
    jobs.into_iter().for_each(|job| job.answer(Ok(())));
    assert!(refused.await.unwrap().is_err(), "the event's position is taken");
    let callers = intruder.query_one("SELECT count(*) FROM callers", [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(callers, 0);
    writer.close();
    checkpoints.await.unwrap();
}
