//! The write-ahead log comes back to a bounded size, and a query ends in a bounded time.

use std::sync::{Arc, Weak};

use super::{readers::bounded, *};

/// How long a query may take here.
const LONGEST: Duration = Duration::from_millis(200);

#[tokio::test]
async fn the_write_ahead_log_shrinks_after_a_long_reader_has_ended() {
    let place = Place::new(Backend::Sqlite).await;
    let limit = 16 * 1024 * 1024;
    let capacity = LogCapacity { wal_bytes: limit, ..LogCapacity::default() };
    let opened = place.open_with(&capacity, &mut Registry::default()).await;
    let Place::Sqlite(directory) = &place else { panic!("it is not SQLite") };
    let wal = directory.path().join("log.db-wal");
    let size = || std::fs::metadata(&wal).unwrap().len();
    let reader = Connection::open(directory.path().join("log.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM calls;").unwrap();
    // Requests that are kept as they came are the quickest way to many bytes.
    let request = || {
        let query = "x".repeat(60_000);
        let request = RawRequest { query, body: RawBody::None, charset: None };
        Quarantined { source: "bizcall".into(), received_at: jiff::Timestamp::now(), request, faults: vec![] }
    };
    while size() <= limit {
        let (one, two, three, four) = tokio::join!(
            opened.log.quarantine(request()),
            opened.log.quarantine(request()),
            opened.log.quarantine(request()),
            opened.log.quarantine(request())
        );
        one.and(two).and(three).and(four).unwrap();
    }
    drop(reader);
    let shrunk = async {
        while size() > limit / 4 {
            // Accepts go on meanwhile, and are what empties it.
            assert_ne!(
                opened.status(ring(&Uuid::new_v4().to_string(), "20261123142530")).await,
                Status::Duplicate
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), shrunk).await.unwrap();
    opened.close().await;
}

#[tokio::test]
async fn an_endless_query_and_an_abandoned_query_are_ended() {
    let (directory, opened) = with_store().await;
    let mut connection = connection::connect(&directory.path().join("log.db")).unwrap();
    let endless = |connection: &mut Connection| {
        let sql = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT count(*) FROM number";
        connection.query_row(sql, [], |row| row.get::<_, u64>(0))
    };
    let asked = Arc::new(());
    for wanted in [Weak::new(), Arc::downgrade(&asked)] {
        assert!(matches!(bounded(&mut connection, LONGEST, wanted, endless), Err(LogError::TooLong)));
    }
    // The connection can be used again.
    let one = bounded(&mut connection, LONGEST, Arc::downgrade(&asked), |connection| {
        connection.query_row("SELECT count(*) FROM stores", [], |row| row.get::<_, u64>(0))
    });
    assert_eq!(one.unwrap(), 1);
    opened.close().await;
}
