//! A copy has all that the log has, and at no time can two ingest-svc write to one log.

use std::collections::BTreeSet;

use ringpad_runtime::{CancellationToken, ErrorChain};
use ringpad_tests::wait::{SOON, until};
use tempfile::TempDir;

use super::*;
use crate::log::{
    CallQuery, Cursor, Database, OpenLog, PageSize,
    postgres::tests as postgres,
    sqlite::{
        self,
        tests::{OtherProgram, TO_VERSION_7, TO_VERSION_8},
    },
    tests::*,
};
use crate::{
    call::{Action, Reservation, Status},
    cdr::Fault as CdrFault,
    request::{Quarantined, RawBody, RawRequest},
    store::Moving,
};

/// Tables of SQLite that are about its file.
const OF_THE_FILE: [&str; 3] = ["file", "probe", "moved"];

/// A log in SQLite with something in every column, closed.
async fn full() -> (TempDir, PathBuf) {
    let (Place::Sqlite(directory), opened) = with_store(Backend::Sqlite).await else { panic!("not SQLite") };
    let log = &opened.log;
    for (id, number, line) in [("busan", 9, 1), ("mapo", 8, 2), ("jeju", 7, 3)] {
        let entry = store(id, &format!("+825079999000{number}"), &format!("+8251555100{line}"));
        log.upsert_store(entry, Moving::Refused).await.unwrap();
    }
    let mut ids = Vec::new();
    for seq in ["1", "2", "3"] {
        ids.push(log.ingest(ring(seq, "20261123142530")).await.unwrap().call_id);
    }
    opened.status(end("1", "20261123142530", &[])).await;
    for (number, vn) in (10..).zip(["050799990009", "050799990008", "050799990007", "050700000000"]) {
        let seq = number.to_string();
        opened.status(record(&[("seq", &seq), ("sdt", "20261123142531"), ("vn", vn)])).await;
    }
    let reservation = Reservation { customer_name: "김".to_owned(), ..Reservation::default() };
    for (number, id) in (1..).zip(ids) {
        let action = Action::Note("흰색 \0 SUV".to_owned(), (number == 1).then(|| reservation.clone()));
        log.act(act(id, action, number)).await.unwrap();
    }
    // A number that had another owner, a store that was made again, and one that was not.
    let taken = store("busan", "+8250712345678", "+82515551001");
    log.upsert_store(taken, Moving::Allowed).await.unwrap();
    log.delete_store("mapo".to_owned()).await.unwrap();
    log.upsert_store(store("mapo", "+8250799990018", "+82515551002"), Moving::Refused).await.unwrap();
    log.delete_store("jeju".to_owned()).await.unwrap();
    for body in [RawBody::None, RawBody::Form("a=b".into()), RawBody::Unread(vec![0, 255].into())] {
        log.quarantine(quarantined(body)).await.unwrap();
    }
    log.release(vec![3]).await.unwrap();
    opened.close().await;
    let path = directory.path().join("log.db");
    OtherProgram::open(&path).execute(CUSTOMERS_AND_PADS);
    (directory, path)
}

const CUSTOMERS_AND_PADS: &str = "
    INSERT INTO customers
        VALUES ('876543210128+', 1, 'c1', '010-1234-5678', '김민수', '12가 3456', '단골', 3, 1700000000, 'white');
    INSERT INTO pads VALUES (randomblob(16), randomblob(32), NULL, 1700000600, 1, 1700000000, '계산대', 1700000001, 1700000002);
    INSERT INTO pads (id, credential, code, expires) VALUES (randomblob(16), randomblob(32), '012345', 1700000600);
    INSERT INTO reservations VALUES (1, 1, 1700000000);
";

fn quarantined(body: RawBody) -> Quarantined {
    Quarantined {
        source: "bizcall".into(),
        received_at: jiff::Timestamp::now(),
        request: RawRequest { query: "seq=\0".to_owned(), body, charset: Some(encoding_rs::SHIFT_JIS) },
        faults: vec![CdrFault { field: "sdt".to_owned(), message: "is missing".to_owned() }],
    }
}

async fn database() -> (Place, Servers) {
    let place = Place::new(Backend::Postgres).await;
    let Place::Postgres(Database::Postgres(servers)) = &place else { panic!("not PostgreSQL") };
    let servers = servers.clone();
    (place, servers)
}

/// Copies a log that is not in use. A lock on a file is also held by a process that another test is just starting, until that becomes
/// another program.
async fn attempt(from: &Path, to: &Servers) -> Result<Outcome, CopyError> {
    until("the file is not locked", SOON, async || {
        match copy(from, to, |_| {}, &CancellationToken::new()).await {
            Err(CopyError::Source { source: FileError::Held, .. }) => None,
            done => Some(done),
        }
    })
    .await
}

async fn copied(from: &Path, to: &Servers) -> Copied {
    match attempt(from, to).await.unwrap() {
        Outcome::Copied(copied) => copied,
        Outcome::AlreadyCopied => panic!("it was copied already"),
    }
}

async fn refused(from: &Path, to: &Servers) -> String {
    ErrorChain(&attempt(from, to).await.unwrap_err()).to_string()
}

/// Opens a log that is not in use.
async fn opened(file: &Path) -> OpenLog {
    let database = Database::Sqlite(file.to_owned());
    until("the file is not locked", SOON, async || try_open(&database).await.ok()).await
}

/// Everything that can be read from a log.
async fn shown(opened: &OpenLog) -> Vec<String> {
    let reader = opened.log.reader();
    let stores = reader.stores(String::new(), 100).await.unwrap();
    let mut shown = vec![reader.epoch().to_string(), format!("{stores:?}")];
    for store in ["gangnam", "busan", "mapo", "jeju"] {
        let cursor = Cursor { store_id: store.to_owned(), after: 0 };
        let missed = reader.missed(vec![cursor], 1_000, None).await.unwrap().stores.remove(0);
        shown.push(format!("{store} {:?} {:?}", missed.position, missed.events));
        let query = CallQuery { store_id: store.to_owned(), ..any_call() };
        let page = reader.calls(query).await.unwrap();
        shown.push(format!("{:?}", page.map(|page| (page.calls, page.store_name, page.position))));
    }
    for (id, found) in reader.oldest_quarantined(0, 100).await.unwrap() {
        let received = (found.received_at, found.faults_to_log());
        let RawRequest { query, body, charset } = found.request;
        shown.push(format!("{id} {} {query:?} {:?} {charset:?} {received:?}", found.source, body.to_log()));
    }
    shown
}

/// Every column that PostgreSQL has of a log, with its type.
async fn columns(servers: &Servers) -> Vec<(String, String, String)> {
    let select = "SELECT table_name, column_name, data_type FROM information_schema.columns
                  WHERE table_schema = current_schema() AND table_name NOT IN ('owners', 'ringpad_log')";
    let columns = postgres::select(servers, select).await;
    let texts = columns.into_iter().map(|row| row.into_iter().map(Option::unwrap).collect::<Vec<_>>());
    texts.map(|row| <[_; 3]>::try_from(row).unwrap().into()).collect()
}

/// Where a column of PostgreSQL comes from.
fn origin<'a>(table: &str, column: &'a str) -> &'a str {
    match (table, column) {
        ("events", "sequence") => "key",
        ("events", "owner") => "(SELECT epoch FROM meta)",
        ("quarantine", "bytes") => {
            "length(CAST(query AS BLOB)) + ifnull(length(body), 0) + length(CAST(faults AS BLOB))"
        }
        (_, column) => column,
    }
}

#[tokio::test]
async fn a_copy_has_each_row_of_each_table_and_the_same_epoch() {
    let (_directory, file) = full().await;
    let before = opened(&file).await;
    let expected = shown(&before).await;
    before.close().await;
    let (place, servers) = database().await;
    let Copied { tables, left_out, unreadable, .. } = copied(&file, &servers).await;
    assert_eq!((left_out, unreadable), (0, 0));

    let program = OtherProgram::open(&file);
    let columns = columns(&servers).await;
    // A table or column that only one of them has is missing here.
    let of_sqlite = program.select(
        "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%'",
    );
    let of_sqlite: BTreeSet<_> =
        of_sqlite.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect();
    let of_both = columns.iter().map(|(table, column, _)| {
        let origin = origin(table, column);
        (table.clone(), if origin.contains('(') { "key" } else { origin }.to_owned())
    });
    let mut of_both: BTreeSet<_> = of_both.collect();
    of_both.extend(["epoch", "relayed", "only"].map(|column| ("meta".to_owned(), column.to_owned())));
    let forgotten: Vec<_> =
        of_sqlite.difference(&of_both).filter(|(table, _)| !OF_THE_FILE.contains(&table.as_str())).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");

    for (table, rows) in tables {
        let own: Vec<_> = columns.iter().filter(|(name, ..)| name == table).collect();
        let selected = own.iter().map(|(_, column, sql_type)| {
            let from = origin(table, column);
            match sql_type.as_str() {
                "bytea" => format!("CASE WHEN {from} NOTNULL THEN '\\x' || lower(hex({from})) END"),
                "uuid" => format!("lower(hex({from}))"),
                "boolean" => format!("iif({from}, 't', 'f')"),
                _ => format!("CAST({from} AS TEXT)"),
            }
        });
        let selected = selected.collect::<Vec<_>>().join(", ");
        let mut original = program.select(&format!("SELECT {selected} FROM {table}"));
        let selected = own.iter().map(|(_, column, sql_type)| match sql_type.as_str() {
            "uuid" => format!("replace({column}::text, '-', '')"),
            _ => column.clone(),
        });
        let selected = selected.collect::<Vec<_>>().join(", ");
        let mut copy = postgres::select(&servers, &format!("SELECT {selected} FROM {table}")).await;
        original.sort();
        copy.sort();
        assert_eq!(original, copy, "{table}");
        assert_eq!(copy.len() as u64, rows, "{table}");
        for (index, (_, column, _)) in own.iter().enumerate() {
            assert!(copy.iter().any(|row| row[index].is_some()), "no row has a value in {table}.{column}");
        }
    }

    let opened = place.open().await;
    assert_eq!(shown(&opened).await, expected);
    goes_on(&opened).await;
    opened.close().await;
}

/// What a copied log does next.
async fn goes_on(opened: &OpenLog) {
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Duplicate);
    let cursor = Cursor { store_id: "busan".to_owned(), after: 1 };
    let new = record(&[("seq", "100"), ("sdt", "20261123142540"), ("vn", "050712345678")]);
    assert_eq!(opened.status(new).await, Status::Accepted);
    let missed = opened.log.reader().missed(vec![cursor], 10, None).await.unwrap().stores.remove(0);
    let positions: Vec<_> = missed.events.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, [2], "the next position");
    opened.log.quarantine(quarantined(RawBody::None)).await.unwrap();
    let newest = opened.log.reader().newest_quarantined(u64::MAX, 1).await.unwrap();
    assert_eq!(newest[0].0, 4, "an id is not given out twice");
    let made =
        opened.log.upsert_store(store("seoul", "+8250799990066", "+82515551066"), Moving::Refused).await;
    made.unwrap();
    // Nothing was relayed from the file.
    opened.log.probe().await.unwrap();
    let changed = opened.outbox.take_changed();
    assert!(changed.contains("gangnam") && changed.contains("busan"), "{changed:?}");
    let all = PageSize { events: 100, bytes: usize::MAX };
    assert_eq!(opened.log.reader().outbox(0, 0, all).await.unwrap().events.len(), 1, "its own event alone");
}

#[tokio::test]
async fn a_copy_that_was_interrupted_is_opened_by_nobody_and_done_by_the_next_one() {
    let (_directory, file) = full().await;
    let (place, servers) = database().await;
    let interrupt = CancellationToken::new();
    let interrupted = copy(&file, &servers, |_| interrupt.cancel(), &interrupt).await;
    assert!(matches!(interrupted, Err(CopyError::Interrupted)), "{interrupted:?}");
    let Place::Postgres(database) = &place else { panic!("not PostgreSQL") };
    let error = open_error(database).await;
    assert!(error.contains("ringpad log copy"), "{error}");
    // The file can be used as before.
    let before = opened(&file).await;
    let later = [("seq", "50"), ("sdt", "20261123142540"), ("vn", "050712345678")];
    assert_eq!(before.status(record(&later)).await, Status::Accepted);
    let expected = shown(&before).await;
    let error = copy(&file, &servers, |_| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, CopyError::Source { source: FileError::Held, .. }), "{error}");
    before.close().await;

    copied(&file, &servers).await;
    assert_eq!(attempt(&file, &servers).await.unwrap(), Outcome::AlreadyCopied);
    let opened = place.open().await;
    assert_eq!(shown(&opened).await, expected);
    opened.close().await;
}

/// Why a log is not opened, apart from a lock.
async fn open_error(database: &Database) -> String {
    until("the file is not locked", SOON, async || {
        let error = ErrorChain(&try_open(database).await.err().unwrap()).to_string();
        (!error.contains("locked")).then_some(error)
    })
    .await
}

#[tokio::test]
async fn a_database_that_is_not_empty_is_refused_and_nothing_is_changed() {
    let (directory, file) = full().await;
    let (place, servers) = database().await;
    let opened = place.open().await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    opened.status(ring("1", "20261123142530")).await;
    let error = refused(&file, &servers).await;
    assert!(error.contains("1 stores and 1 calls, and an ingest-svc uses it"), "{error}");
    opened.close().await;
    let error = refused(&file, &servers).await;
    assert!(error.contains("1 stores and 1 calls;"), "{error}");
    let opened = place.open().await;
    assert_eq!(opened.updates("gangnam").await.len(), 1);
    opened.close().await;

    let (_, servers) = database().await;
    postgres::select(&servers, "CREATE TABLE invoices (number INTEGER)").await;
    let error = refused(&file, &servers).await;
    assert!(error.contains("\"invoices\""), "{error}");

    // Another log was begun to be copied.
    let (_, servers) = database().await;
    copied(&file, &servers).await;
    postgres::select(&servers, "UPDATE ringpad_log SET version = -version").await;
    let (_other, other_file) = full().await;
    let error = refused(&other_file, &servers).await;
    assert!(error.contains("a copy of another log"), "{error}");
    // The commit was not done, but the file is marked.
    copied(&file, &servers).await;

    let missing = directory.path().join("missing.db");
    let error = refused(&missing, &servers).await;
    assert!(error.contains("No such file") && !missing.exists(), "{error}");
}

#[tokio::test]
async fn a_file_that_was_moved_is_used_again_only_with_another_epoch() {
    let (directory, file) = full().await;
    let unmoved = directory.path().join("unmoved.db");
    std::fs::copy(&file, &unmoved).unwrap();
    let (place, servers) = database().await;
    copied(&file, &servers).await;
    let error = open_error(&Database::Sqlite(file.clone())).await;
    assert!(error.contains(&servers.to_string()) && error.contains("ringpad restore"), "{error}");
    // A regular backup would not have the new calls.
    let backup =
        sqlite::back_up(file.clone(), file.with_extension("backup"), &CancellationToken::new()).await;
    let error = ErrorChain(&backup.unwrap_err()).to_string();
    assert!(error.contains("it was moved to"), "{error}");
    let (_, other) = database().await;
    let error = refused(&file, &other).await;
    assert!(error.contains("it was moved to"), "{error}");
    // A copy of the file does not know that it was moved.
    let error = refused(&unmoved, &servers).await;
    assert!(error.contains("it has this log already"), "{error}");

    let moved = file.with_extension("moved");
    std::fs::rename(&file, &moved).unwrap();
    until("the file is not locked", SOON, async || {
        sqlite::restore(&moved, &file, sqlite::Existing::Refused).ok()
    })
    .await;
    let (again, copy) = (opened(&file).await, place.open().await);
    assert_ne!(again.log.reader().epoch(), copy.log.reader().epoch());
    assert_eq!(again.status(ring("2", "20261123142530")).await, Status::Duplicate);
    again.close().await;
    copy.close().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_copied_or_read_is_named_and_counted() {
    let (_directory, file) = full().await;
    let program = OtherProgram::open(&file);
    program.execute(
        "UPDATE calls SET sdt = 'yesterday' WHERE seq = '3'; UPDATE calls SET facts = x'00' WHERE seq = '2';
         UPDATE events SET bytes = x'ffff' WHERE key = 2; UPDATE callers SET last_reservation = 'text' WHERE store = 1;
         UPDATE stores SET name = CAST(x'ff' AS TEXT) WHERE id = 'jeju';",
    );
    let (place, servers) = database().await;
    let copied = copied(&file, &servers).await;
    assert_eq!((copied.left_out, copied.unreadable), (2, 3), "{copied:?}");
    let named: Vec<_> = copied.faulty.iter().map(Faulty::to_string).collect();
    for part in [
        "calls: the row with key = 3 is left out: its sdt",
        "its facts cannot be read",
        "stores: the row with key = 4",
    ] {
        assert!(named.iter().any(|line| line.contains(part)), "{named:?}");
    }
    let opened = place.open().await;
    assert_eq!(opened.calls("gangnam").await.len(), 2);
    opened.close().await;
}

#[tokio::test]
async fn a_file_of_an_older_version_is_migrated_first() {
    let (directory, file) = full().await;
    OtherProgram::open(&file).execute(&[TO_VERSION_8, TO_VERSION_7].concat());
    let (place, servers) = database().await;
    copied(&file, &servers).await;
    let opened = place.open().await;
    assert_eq!(opened.calls_ending_in("5678").await.len(), 3);
    opened.close().await;

    OtherProgram::open(&directory.path().join("other.db")).execute("CREATE TABLE invoices (number INTEGER)");
    let (_, servers) = database().await;
    let error = refused(&directory.path().join("other.db"), &servers).await;
    assert!(error.contains("not a log of RingPad"), "{error}");
}
