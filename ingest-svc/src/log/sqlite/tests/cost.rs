//! What a pad may ask for as often as it likes costs as much in a store with very many calls as in one with few: counted in
//! steps of SQLite's virtual machine, which are the same on every machine.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use proptest::prelude::*;
use rusqlite::params;

use super::{record::Savepoint, *};
use crate::{
    customer::{Customer, CustomerEntry, CustomerNumber, Earlier},
    log::CustomerImport,
    store::Directory,
};

/// Calls of one number in 1970, written past the writer: as many as a busy store has in half a year.
const MANY: &str = "
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 45000)
    INSERT INTO calls (id, source, seq, sdt, store, caller, state, facts, call, fingerprints)
        SELECT randomblob(16), 'bizcall', 'old' || n, n % 60, stores.key, '+821012345678', 1, '{}', x'0a0161', x''
        FROM number, stores;
";

/// The beginning of 2026, in Unix seconds.
const IN_2026: i64 = 1_767_225_600;

/// Steps that `work` takes on a connection of its own.
fn steps<T>(directory: &TempDir, work: impl FnOnce(&mut Connection) -> T) -> (u64, T) {
    let mut connection = connection::connect(&directory.path().join("log.db")).unwrap();
    counted(&mut connection, work)
}

/// Steps that `work` takes on this connection.
fn counted<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> T) -> (u64, T) {
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        false
    };
    connection.progress_handler(1, Some(count)).unwrap();
    let outcome = work(connection);
    (taken.load(Ordering::Relaxed), outcome)
}

const POPUP_TTL: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// What a job with the event key `event_key` works with.
fn savepoint<'a>(
    connection: &'a Connection,
    directory: &'a mut Directory,
    event_key: u64,
    unreadable: &'a UnreadableRows,
) -> Savepoint<'a> {
    let now = jiff::Timestamp::now();
    Savepoint { connection, directory, unreadable, epoch: Uuid::nil(), event_key, now }
}

fn unknown_call() -> ActionRequest {
    ActionRequest {
        store_id: "gangnam".to_owned(),
        call_id: Uuid::now_v7(),
        pad: ActingPad { id: "counter".to_owned(), name: "카운터".to_owned() },
        action: Action::Claim,
        request_id: Uuid::now_v7(),
        received_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_request_without_a_match_costs_a_look_up_and_no_scan() {
    let (directory, opened) = with_store().await;
    opened.status(ring("1", "20261123142530")).await;
    opened.close().await;
    let asked = || {
        let claim = steps(&directory, |connection| {
            let mut stores = stores::load(connection).unwrap();
            savepoint(connection, &mut stores, 1, &UnreadableRows::default()).act(&unknown_call()).unwrap().0
        });
        assert_eq!(claim.1, ActionOutcome::NoSuchCall);
        let searches = ["4", "90123", "1082101234567"].map(|digits| {
            let query = CallQuery { caller_suffix: digits.to_owned(), ..any_call() };
            steps(&directory, |connection| {
                read::calls(connection, &query, &LogCapacity::default(), &UnreadableRows::default())
                    .unwrap()
                    .unwrap()
            })
        });
        assert!(searches.iter().all(|(_, page)| page.calls.is_empty() && page.next.is_none()));
        [claim.0].into_iter().chain(searches.map(|(steps, _)| steps)).collect::<Vec<_>>()
    };
    let with_one_call = asked();
    Connection::open(directory.path().join("log.db")).unwrap().execute_batch(MANY).unwrap();
    assert_eq!(asked(), with_one_call);
    assert!(with_one_call.iter().all(|steps| *steps < 500), "{with_one_call:?}");
}

/// Customers with two numbers each, written past the writer.
const MANY_CUSTOMERS: &str = "
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 40000)
    INSERT INTO customers SELECT 'n' || n, stores.key, 'c' || n / 2, '', '김', '', '', 0, NULL, '' FROM number, stores;
";

#[tokio::test]
async fn a_customer_and_its_ring_cost_as_much_in_a_store_with_many() {
    let (directory, opened) = with_store().await;
    opened.close().await;
    let entry = |name: &str| CustomerEntry {
        customer: Customer { id: "7".to_owned(), name: name.to_owned(), ..Customer::default() },
        numbers: [CustomerNumber::from_log("+821012345678", "010-1234-5678")].into(),
        earlier: Earlier::default(),
    };
    let costs = || {
        let import = |name| CustomerImport {
            store_id: "gangnam".to_owned(),
            entries: vec![entry(name), entry("김")],
        };
        let (written, _) =
            steps(&directory, |connection| customers::upsert(connection, &import("이")).unwrap());
        let (planned, _) =
            steps(&directory, |connection| customers::plan(connection, &import("박")).unwrap());
        let (read, known) = steps(&directory, |connection| {
            let store = connection.query_row("SELECT key FROM stores", [], |row| row.get(0)).unwrap();
            customers::of_caller(connection, store, &rows::reversed("+821012345678")).unwrap()
        });
        assert_eq!(known.len(), 1);
        let (deleted, _) =
            steps(&directory, |connection| customers::delete(connection, "gangnam", "7").unwrap());
        [written, planned, read, deleted]
    };
    let alone = costs();
    Connection::open(directory.path().join("log.db")).unwrap().execute_batch(MANY_CUSTOMERS).unwrap();
    let among_many = costs();
    // A step or two for each level of a tree.
    let dearer = alone.iter().zip(among_many).map(|(alone, among_many)| among_many.saturating_sub(*alone));
    assert!(dearer.max().unwrap() < 10, "{alone:?} {among_many:?}");
}

#[tokio::test]
async fn the_calls_of_one_number_are_found_in_pages_newest_first() {
    let (directory, opened) = with_store().await;
    opened.close().await;
    let path = directory.path().join("log.db");
    Connection::open(path).unwrap().execute_batch(MANY).unwrap();
    let opened = open_in(&directory).await;
    opened.status(ring("1", "20261123142530")).await;
    let mut query = CallQuery { caller_suffix: "5678".to_owned(), limit: 500, until: Some(59), ..any_call() };
    let mut marks = Vec::new();
    loop {
        let page = opened.log.reader().calls(query.clone()).await.unwrap().unwrap();
        assert_eq!(page.calls.len(), if page.next.is_some() { 500 } else { 44_250 % 500 });
        let Some(next) = page.next else { break };
        assert!(query.after.is_none_or(|before| (next.at, next.key) < (before.at, before.key)));
        query.after = Some(next);
        marks.push(next.at);
    }
    assert_eq!((marks.len(), marks[0]), (44_250 / 500, 58), "all but those of the last second");
    opened.close().await;
}

#[tokio::test]
async fn a_state_that_few_calls_have_is_searched_in_pages() {
    let (directory, opened) = with_store().await;
    opened.close().await;
    Connection::open(directory.path().join("log.db")).unwrap().execute_batch(MANY).unwrap();
    let mut query = CallQuery { states: vec![CallState::Missed.into()], ..any_call() };
    let mut pages = 0;
    loop {
        let (steps, page) = steps(&directory, |connection| {
            read::calls(connection, &query, &LogCapacity::default(), &UnreadableRows::default())
                .unwrap()
                .unwrap()
        });
        assert!(page.calls.is_empty() && steps < 500_000, "{steps} steps");
        pages += 1;
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(pages, 3, "a page looks at 20,000 calls");
}

#[tokio::test]
async fn an_old_caller_is_found_without_reading_all_later_calls() {
    let (directory, opened) = with_store().await;
    let other =
        record(&[("seq", "1"), ("sdt", "20250101120000"), ("fromn", "01033334444"), ("vn", "050712345678")]);
    opened.status(other).await;
    opened.close().await;
    let connection = Connection::open(directory.path().join("log.db")).unwrap();
    connection.execute_batch(MANY).unwrap();
    connection.execute("UPDATE calls SET sdt = sdt + ?1 WHERE seq <> '1'", [IN_2026]).unwrap();
    let query = CallQuery { caller_suffix: "4444".to_owned(), ..any_call() };
    let (steps, page) = steps(&directory, |connection| {
        read::calls(connection, &query, &LogCapacity::default(), &UnreadableRows::default()).unwrap().unwrap()
    });
    assert!(page.calls.len() == 1 && page.next.is_none() && steps < 2_000, "{steps} steps");
}

#[tokio::test]
async fn a_record_costs_the_same_however_many_calls_have_had_its_seq() {
    let (directory, opened) = with_store().await;
    opened.close().await;
    let connection = Connection::open(directory.path().join("log.db")).unwrap();
    connection.execute_batch(MANY).unwrap();
    connection.execute("UPDATE calls SET seq = '1', sdt = ?1 + key * 60", [IN_2026]).unwrap();
    let (steps, (outcome, _)) = steps(&directory, |connection| {
        let mut stores = stores::load(connection).unwrap();
        let ring = ring("1", "20260115120000");
        savepoint(connection, &mut stores, 1, &UnreadableRows::default()).log(&ring, POPUP_TTL).unwrap()
    });
    assert_eq!(outcome.ingested.status, Status::Accepted);
    assert!(steps < 3_000, "{steps} steps");
}

#[tokio::test]
async fn a_record_costs_the_same_with_any_number_of_stores() {
    let (directory, opened) = with_store().await;
    opened.status(ring("1", "20261123142530")).await;
    opened.close().await;
    let accept = |seq: &str| {
        steps(&directory, |connection| {
            // Read before the steps are compared: in a running writer it is in memory.
            let mut stores = stores::load(connection).unwrap();
            let read =
                connection.query_one("SELECT count(*) FROM stores", [], |row| row.get::<_, u64>(0)).unwrap();
            let ring = ring(seq, "20261123142530");
            let key = seq.parse().unwrap();
            let (work, _) = counted(connection, |connection| {
                savepoint(connection, &mut stores, key, &UnreadableRows::default())
                    .log(&ring, POPUP_TTL)
                    .unwrap();
                stores::write_positions(connection, &mut stores).unwrap();
            });
            (read, work)
        })
        .1
    };
    let (_, beside_none) = accept("2");
    let connection = Connection::open(directory.path().join("log.db")).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
             INSERT INTO stores (id, name) SELECT 'store-' || n, 'store' FROM number;
             INSERT INTO numbers (kind, number, display, store)
                 SELECT 1, '+8250' || (20000000 + key), '0', key FROM stores WHERE id LIKE 'store-%';",
        )
        .unwrap();
    assert_eq!(accept("3"), (20_001, beside_none));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Numbers of all countries, and of none.
    #[test]
    fn a_number_is_found_by_its_last_digits_and_by_no_others(
        numbers in proptest::collection::vec("\\+[1-9][0-9]{2,14}", 1..12),
        other in "[0-9]{1,15}",
        whose in 0_usize..12,
        length in 1_usize..=15,
    ) {
        let directory = TempDir::new().unwrap();
        drop(open::open_writer(&LogFile::hold(&directory.path().join("log.db")).unwrap()).unwrap());
        let connection = Connection::open(directory.path().join("log.db")).unwrap();
        connection.execute_batch("INSERT INTO stores (id, name) VALUES ('gangnam', '강남점')").unwrap();
        for number in &numbers {
            connection
                .execute(
                    "INSERT OR IGNORE INTO callers (store, reversed, calls, last_call) SELECT key, ?1, 1, 1 FROM stores",
                    [rows::reversed(number)],
                )
                .unwrap();
            connection
                .execute(
                    "INSERT INTO calls (id, source, seq, sdt, store, caller, state, facts, call, fingerprints)
                     SELECT randomblob(16), 'bizcall', '1', 1, key, ?1, 1, '{}', ?2, x'' FROM stores",
                    params![number, v1::Call { id: number.clone(), ..v1::Call::default() }.encode_to_vec()],
                )
                .unwrap();
        }
        let own = &numbers[whose % numbers.len()][1..];
        for digits in [&own[own.len().saturating_sub(length)..], &other] {
            let query = CallQuery { caller_suffix: digits.to_owned(), ..any_call() };
            let page = steps(&directory, |connection| read::calls(connection, &query, &LogCapacity::default(), &UnreadableRows::default()).unwrap().unwrap()).1;
            let mut found: Vec<_> =
                page.calls.iter().map(|call| v1::Call::decode(call.as_slice()).unwrap().id).collect();
            let mut right: Vec<_> =
                numbers.iter().filter(|number| number.ends_with(digits)).cloned().collect();
            found.sort();
            right.sort();
            prop_assert_eq!(found, right);
        }
    }
}
