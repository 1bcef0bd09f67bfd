//! Files of older versions.

use super::*;

/// A file of version 8, made by turning version 9's changes back.
pub(crate) const TO_VERSION_8: &str = "
    DROP TABLE customers;
    DROP TABLE pads;
    DROP TABLE reservations;
    PRAGMA user_version = 8;
";
/// The same for version 7, from version 8. It has a caller that is missing among the callers.
pub(crate) const TO_VERSION_7: &str = "
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
async fn an_older_file_is_migrated() {
    let steps =
        [TO_VERSION_7, TO_VERSION_6, TO_VERSION_5, TO_VERSION_4, TO_VERSION_3, TO_VERSION_2, TO_VERSION_1];
    let mut ways: Vec<_> = (1..=steps.len()).map(|count| steps[..count].to_vec()).collect();
    ways.push([&steps[..6], &[TO_LATE_VERSION_1]].concat());
    for way in ways {
        let (directory, opened) = with_store().await;
        opened.status(ring("1", "20261123142530")).await;
        let epoch = opened.log.reader().epoch();
        opened.close().await;
        let path = directory.path().join("log.db");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(&[TO_VERSION_8, &way.concat()].concat())
            .unwrap();
        let opened = open_in(&directory).await;
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
        opened.close().await;
    }
}

#[tokio::test]
async fn reservations_of_a_file_of_version_8_are_found() {
    let (directory, opened) = with_store().await;
    let reserved = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    opened.status(ring("2", "20261123142531")).await;
    let reservation = Reservation { at: Some(1_800_000_000), ..Reservation::default() };
    opened.log.act(act(reserved, Action::Note("흰색".to_owned(), Some(reservation)), 1)).await.unwrap();
    opened.close().await;
    let file = rusqlite::Connection::open(directory.path().join("log.db")).unwrap();
    file.execute_batch(TO_VERSION_8).unwrap();
    file.execute("UPDATE calls SET facts = x'00' WHERE key = 2", []).unwrap();
    open_in(&directory).await.close().await;
    let found = file.query_row("SELECT count(*), max(call), max(at) FROM reservations", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    assert_eq!(found, Ok((1, 1, 1_800_000_000)));
}
