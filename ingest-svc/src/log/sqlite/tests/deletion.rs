//! What is deleted is gone: from the answers at once, and from the file's bytes little by little.

use super::*;
use crate::{
    customer::{Customer, CustomerEntry, CustomerNumber, Earlier},
    log::CustomerImport,
    phone::PhoneNumber,
};

/// Whether the file, or its write-ahead log, has these bytes.
fn has(directory: &TempDir, bytes: &[u8]) -> bool {
    let files = ["log.db", "log.db-wal"].map(|name| std::fs::read(directory.path().join(name)).unwrap());
    files.iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

/// Purges to the end, and waits until the write-ahead log has been emptied after it.
async fn purge_all(directory: &TempDir, opened: &OpenLog, before: i64) {
    while opened.log.purge(before).await.unwrap() {}
    wait_until_emptied(directory, opened).await;
}

/// Waits until the write-ahead log has been emptied.
async fn wait_until_emptied(directory: &TempDir, opened: &OpenLog) {
    let wal = directory.path().join("log.db-wal");
    let emptied = async {
        while std::fs::metadata(&wal).unwrap().len() > 0 {
            opened.log.release(vec![]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), emptied).await.unwrap();
}

#[tokio::test]
async fn after_the_retention_no_number_and_no_text_is_left_in_the_file() {
    let (directory, opened) = with_store().await;
    // What all of them have, and what the index of endings has of the numbers.
    let texts = [b"106543".as_slice(), b"345601", b"memo-of", b"note-of"];
    for seq in 0..300 {
        let (memo, caller) = (format!("memo-of-{seq}. {}", "x".repeat(1_500)), format!("0106543{seq:04}"));
        let sequence = seq.to_string();
        let record = record(&[
            ("seq", &sequence),
            ("sdt", "20260101000000"),
            ("fromn", &caller),
            ("vn", "050712345678"),
            ("memo", &memo),
        ]);
        let call_id = opened.log.ingest(record).await.unwrap().call_id;
        let act = ActionRequest {
            store_id: "gangnam".to_owned(),
            call_id,
            pad: ActingPad { id: "counter".to_owned(), name: "counter".to_owned() },
            action: Action::Note(format!("note-of-{seq}. {}", "y".repeat(1_500)), None),
            request_id: Uuid::new_v4(),
            received_at: jiff::Timestamp::now(),
        };
        assert!(matches!(opened.log.act(act).await.unwrap(), ActionOutcome::Done(_)));
    }
    opened.status(ring("new", "20261123142530")).await;
    assert!(texts.iter().all(|text| has(&directory, text)), "the search finds what is there");

    let before = ring("new", "20261123142530").cdr.sdt().as_second() - 60;
    // An event's age counts from its commit.
    let intruder = Connection::open(directory.path().join("log.db")).unwrap();
    intruder.pragma_update(None, "secure_delete", true).unwrap();
    intruder.execute("UPDATE events SET created = 0 WHERE position < 601", []).unwrap();
    drop(intruder);
    purge_all(&directory, &opened, before).await;
    for text in texts {
        assert!(!has(&directory, text), "{} is still there", String::from_utf8_lossy(text));
    }
    assert_eq!(opened.calls("gangnam").await.len(), 1, "what is not expired is kept");
    assert!(has(&directory, b"1012345678"), "its caller too");
    opened.close().await;
}

#[tokio::test]
async fn nothing_is_left_of_a_customer_who_was_removed_or_renamed() {
    let (directory, opened) = with_store().await;
    let import = async |name: &str| {
        let customer = Customer { id: "7".to_owned(), name: name.to_owned(), ..Customer::default() };
        let number = CustomerNumber::new(&PhoneNumber::parse("010-6543-4560").unwrap());
        let entry =
            CustomerEntry { customer, numbers: [number].into_iter().collect(), earlier: Earlier::default() };
        let import = CustomerImport { store_id: "gangnam".to_owned(), entries: vec![entry] };
        opened.log.import_customers(import).await.unwrap();
    };
    import("former-name").await;
    assert!(has(&directory, b"former-name"), "the search finds what is there");
    import("later-name").await;
    wait_until_emptied(&directory, &opened).await;
    assert!(!has(&directory, b"former-name") && has(&directory, b"later-name"));
    opened.log.delete_customer("gangnam".to_owned(), "7".to_owned()).await.unwrap();
    wait_until_emptied(&directory, &opened).await;
    assert!(!has(&directory, b"later-name"));
    opened.close().await;
}

#[tokio::test]
async fn a_caller_is_known_until_the_retention_after_the_last_call() {
    let (directory, opened) = with_store().await;
    let from = |seq: &str, caller: &str, sdt: &str| {
        record(&[("seq", seq), ("sdt", sdt), ("fromn", caller), ("vn", "050712345678")])
    };
    opened.status(from("1", "01011111111", "20260101000000")).await;
    opened.status(from("2", "01022222222", "20260101000000")).await;
    opened.status(from("3", "01022222222", "20261101000000")).await;
    // More than one step looks at.
    let connection = Connection::open(directory.path().join("log.db")).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2500)
             INSERT INTO callers (store, reversed, calls, last_call)
                 SELECT stores.key, n || '44+', 1, n % 2 * 4000000000 FROM number, stores",
        )
        .unwrap();
    let before = ring("x", "20260601000000").cdr.sdt().as_second();
    while opened.log.purge(before).await.unwrap() {}
    let known = |number: &str| {
        let sql = "SELECT count(*) FROM callers WHERE reversed LIKE ?1";
        connection.query_row(sql, [rows::reversed(number)], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!((known("+821011111111"), known("+821022222222"), known("+44%")), (0, 1, 1_250));
    opened.close().await;
}

#[tokio::test]
async fn a_store_made_again_has_nothing_of_the_deleted_one() {
    let (directory, opened) = with_store().await;
    let first = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    opened.status(ring("2", "20261123142531")).await;
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();

    assert!(opened.calls("gangnam").await.is_empty() && opened.calls_ending_in("5678").await.is_empty());
    let act = ActionRequest {
        store_id: "gangnam".to_owned(),
        call_id: first,
        pad: ActingPad { id: "counter".to_owned(), name: "counter".to_owned() },
        action: Action::Claim,
        request_id: Uuid::from_u128(1),
        received_at: jiff::Timestamp::UNIX_EPOCH,
    };
    assert_eq!(opened.log.act(act).await.unwrap(), ActionOutcome::NoSuchCall);
    // The caller is new to it, and its position goes on.
    opened.status(ring("3", "20261123142532")).await;
    let calls = opened.calls("gangnam").await;
    assert_eq!((calls.len(), calls[0].revision), (1, 3));
    assert_eq!(calls[0].history.as_ref().unwrap().calls, 0);

    // What the former one has left is deleted long before its time, also from the file.
    purge_all(&directory, &opened, 0).await;
    let connection = Connection::open(directory.path().join("log.db")).unwrap();
    let count = |table| -> u32 { connection.query_row(table, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM calls"), 1);
    assert_eq!(count("SELECT count(*) FROM events"), 1);
    assert_eq!(count("SELECT count(*) FROM callers"), 1);
    assert_eq!(count("SELECT count(*) FROM stores"), 1);
    opened.close().await;
    let opened = open_in(&directory).await;
    opened.status(ring("4", "20261123142533")).await;
    assert_eq!(opened.calls("gangnam").await[0].revision, 4, "also after a restart");
    opened.close().await;
}
