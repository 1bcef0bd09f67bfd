//! The log's tables, and how a connection is set up.
//!
//! ```text
//! meta ── epoch, how far the relay has come
//! file                     by which name this file is open
//! probe                    what is written when nothing else is
//! quarantine               requests that are not CDRs
//! stores ─< numbers        which virtual number or line belongs to which store
//!    │
//!    ├─< calls             a call as it now is, and by what to recognise the records it has had ── reservations   when
//!    ├─< events            what pads receive: store + position, encoded
//!    ├─< callers           how often a number called the store, when last, and what was written down then
//!    ├─< customers         people in the adopter's own records, by each number that they call from
//!    └─< pads              tablets that were paired, or show a code
//! ```

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use super::error::FileError;

/// The version that this code reads and writes; an older file is migrated to it.
const VERSION: i64 = 9;

const TABLES: &str = "
CREATE TABLE meta (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    epoch     BLOB NOT NULL,
    relayed   INTEGER NOT NULL              -- every event up to this key is handled: confirmed, or too old to pop
);
CREATE TABLE stores (
    key       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    name      TEXT NOT NULL,
    position  INTEGER NOT NULL DEFAULT 0,   -- survives the store's deletion
    deleted   INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE numbers (
    kind      INTEGER NOT NULL,             -- 1 virtual number, 2 line
    number    TEXT NOT NULL,                -- E.164
    display   TEXT NOT NULL,
    store     INTEGER NOT NULL REFERENCES stores,
    PRIMARY KEY (kind, number)
) WITHOUT ROWID;
CREATE INDEX numbers_of_store ON numbers (store);
CREATE TABLE calls (
    key       INTEGER PRIMARY KEY,
    id        BLOB NOT NULL,
    source    TEXT NOT NULL,
    seq       TEXT NOT NULL,
    sdt       INTEGER NOT NULL,             -- Unix seconds
    store     INTEGER REFERENCES stores,    -- NULL: unrouted
    caller    TEXT,                         -- E.164
    state     INTEGER NOT NULL,             -- CallState
    facts     BLOB NOT NULL,                -- its records as parsed, for the next merge: JSON
    call      BLOB NOT NULL,                -- ringpad.v1.Call as it now is
    fingerprints BLOB NOT NULL              -- of its records, 16 bytes each
);
CREATE INDEX calls_by_seq ON calls (source, seq, sdt);
CREATE INDEX calls_of_store ON calls (store, sdt);
CREATE TABLE events (
    key       INTEGER PRIMARY KEY,          -- in commit order, without a gap: what the relay follows
    store     INTEGER NOT NULL REFERENCES stores,
    position  INTEGER NOT NULL,
    created   INTEGER NOT NULL,             -- Unix milliseconds
    bytes     BLOB NOT NULL                 -- ringpad.v1.SubscribeResponse with an update
);
CREATE UNIQUE INDEX events_of_store ON events (store, position);
";

/// In this form since version 8. A search for the last digits of a number finds out here whether the store knows such a
/// number, and when it last called. An index on the calls would do that, too, but each accept would write to a random page of it,
/// because numbers come in no order. An accept writes to this table anyway.
const CALLERS: &str = "
CREATE TABLE callers (
    store     INTEGER NOT NULL REFERENCES stores,
    reversed  TEXT NOT NULL,                -- E.164, read backwards: numbers with one ending lie together
    calls     INTEGER NOT NULL,
    last_call INTEGER NOT NULL,             -- Unix seconds
    last_note TEXT NOT NULL DEFAULT '',
    last_reservation BLOB,                  -- JSON; NULL: none, or taken back
    PRIMARY KEY (store, reversed)
) WITHOUT ROWID;
";

/// New in version 2, together with what [`FROM_VERSION_1`] changes.
const QUARANTINE: &str = "
CREATE TABLE quarantine (
    key       INTEGER PRIMARY KEY AUTOINCREMENT, -- an id is never given out twice: people write it down
    source    TEXT NOT NULL,
    received  INTEGER NOT NULL,             -- Unix milliseconds
    query     TEXT NOT NULL,
    kind      INTEGER NOT NULL,             -- of the body: 0 none, 1 form, 2 JSON, 3 neither
    body      BLOB,
    faults    TEXT NOT NULL,                -- JSON: pairs of field and message
    charset   TEXT NOT NULL DEFAULT ''      -- declared for its text; empty: none
);
";

/// Version 1 kept the fingerprints in a table of their own.
const FROM_VERSION_1: &str = "
ALTER TABLE calls ADD COLUMN fingerprints BLOB NOT NULL DEFAULT x'';
UPDATE calls SET fingerprints = ifnull(
    (SELECT unhex(group_concat(hex(fingerprint), '')) FROM records WHERE call = calls.key), x'');
DROP TABLE records;
DROP INDEX IF EXISTS calls_by_age;
";

/// Before version 3 callers had no reservation.
const FROM_VERSION_2: &str = "ALTER TABLE callers ADD COLUMN last_reservation BLOB";

/// New in version 4.
const FILE_AND_PROBE: &str = "
CREATE TABLE file (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    name      BLOB NOT NULL,                -- by which it was last opened; the files next to it are a part of the log
    inode     INTEGER NOT NULL              -- of the file that this was true of: a copy has another one
);
CREATE TABLE probe (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    bytes     BLOB NOT NULL                 -- other ones each time
);
";

const FROM_VERSION_4: &str = "ALTER TABLE quarantine ADD COLUMN charset TEXT NOT NULL DEFAULT ''";

/// Changes the callers of versions before 8, which have them by number. Before version 6 a later record of a call could have a
/// caller that was not added to the table.
fn callers_from_numbers(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE callers RENAME TO callers_by_number")?;
    transaction.execute_batch(CALLERS)?;
    transaction.execute_batch(&format!(
        "INSERT INTO callers
             SELECT store, {}, calls, last_call, last_note, last_reservation FROM callers_by_number ORDER BY 1, 2;
         DROP TABLE callers_by_number;
         INSERT INTO callers (store, reversed, calls, last_call)
             SELECT store, {}, count(*), max(sdt) FROM calls WHERE store IS NOT NULL AND caller IS NOT NULL GROUP BY 1, 2
             ON CONFLICT DO UPDATE SET last_call = max(last_call, excluded.last_call);",
        backwards("number"),
        backwards("caller"),
    ))
}

/// SQLite has no function that reads a text backwards; E.164 has 16 characters at most.
fn backwards(column: &str) -> String {
    let characters = (1..=16).map(|place| format!("substr({column}, -{place}, 1)"));
    characters.collect::<Vec<_>>().join(" || ")
}

/// New in version 6: what finds one call by its id, and the stores that are to be emptied.
const LOOK_UPS: &str = "
CREATE UNIQUE INDEX calls_by_id ON calls (id);
CREATE INDEX stores_deleted ON stores (deleted) WHERE deleted = 1;
";

/// New in version 7: what finds rows that are due to be deleted, also if they were not written in the order of their age.
const AGE_INDEXES: &str = "
CREATE INDEX events_by_age ON events (created);
CREATE INDEX quarantine_by_age ON quarantine (received);
";

/// New in version 8: what finds a source's oldest request.
const QUARANTINE_OF_SOURCE: &str = "CREATE INDEX quarantine_of_source ON quarantine (source)";

/// New in version 9. A customer has a row for each number, with everything that is known, so that an accept finds it with one look-up.
const CUSTOMERS_AND_PADS: &str = "
CREATE TABLE customers (
    reversed  TEXT NOT NULL,                -- the number, as in callers
    store     INTEGER NOT NULL REFERENCES stores,
    id        TEXT NOT NULL,
    display   TEXT NOT NULL,                -- the number as people write it
    name      TEXT NOT NULL,
    car_number TEXT NOT NULL,
    note      TEXT NOT NULL,
    calls     INTEGER NOT NULL,             -- that an older system knew of, as the next two
    last_call INTEGER,                      -- Unix seconds
    last_note TEXT NOT NULL,
    PRIMARY KEY (reversed, store, id)
) WITHOUT ROWID;
CREATE INDEX customers_of_store ON customers (store, id);
CREATE TABLE pads (
    id        BLOB NOT NULL PRIMARY KEY,
    credential BLOB NOT NULL UNIQUE,        -- SHA-256 of it
    code      TEXT,                         -- that the tablet shows, or showed when it was approved; NULL: that has expired
    expires   INTEGER NOT NULL,             -- Unix seconds: until when the code can be approved
    store     INTEGER REFERENCES stores,    -- NULL: not approved, as the next one
    paired    INTEGER,                      -- Unix seconds
    name      TEXT NOT NULL DEFAULT '',
    last_token INTEGER,                     -- Unix seconds; NULL: never
    revoked   INTEGER                       -- Unix seconds; NULL: it is not
) WITHOUT ROWID;
CREATE UNIQUE INDEX pads_by_code ON pads (code) WHERE code IS NOT NULL;
CREATE INDEX pads_of_store ON pads (store);
CREATE INDEX pads_revoked ON pads (revoked) WHERE revoked IS NOT NULL;
";

/// New in version 9. The reservations that have a time; all that is known of one is in its call.
const RESERVATIONS: &str = "
CREATE TABLE reservations (
    call      INTEGER PRIMARY KEY REFERENCES calls,
    store     INTEGER NOT NULL REFERENCES stores,
    at        INTEGER NOT NULL              -- Unix seconds
);
CREATE INDEX reservations_of_store ON reservations (store, at);
CREATE INDEX reservations_by_age ON reservations (at);
INSERT INTO reservations
    SELECT key, store, json_extract(CAST(facts AS TEXT), '$.doings.reservation.at') FROM calls
    WHERE store IS NOT NULL AND json_valid(CAST(facts AS TEXT))
      AND json_extract(CAST(facts AS TEXT), '$.doings.reservation.at') IS NOT NULL;
";

/// Makes the tables of a new file, and changes the tables of an older one.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), FileError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let transaction = connection.transaction()?;
    match version {
        VERSION => return Ok(()),
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(CALLERS)?;
            transaction.execute_batch(QUARANTINE)?;
            transaction.execute_batch(FILE_AND_PROBE)?;
            transaction.execute("INSERT INTO meta VALUES (1, ?1, 0)", [Uuid::new_v4().as_bytes()])?;
        }
        1..VERSION => {
            tracing::info!(from = version, to = VERSION, "migrating the log to this version");
            migrate_from(version, &transaction)?;
        }
        found => {
            return Err(
                moved(&transaction)?.map_or(FileError::Version { found, known: VERSION }, FileError::from)
            );
        }
    }
    if version < 6 {
        transaction.execute_batch(LOOK_UPS)?;
    }
    if version < 7 {
        transaction.execute_batch(AGE_INDEXES)?;
    }
    if version < 8 {
        transaction.execute_batch(QUARANTINE_OF_SOURCE)?;
    }
    transaction.execute_batch(CUSTOMERS_AND_PADS)?;
    transaction.execute_batch(RESERVATIONS)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Whether this code can read the tables, or migrate them.
pub(super) fn check_version(connection: &Connection) -> Result<(), FileError> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        1..=VERSION if connection.table_exists(None, "meta")? => Ok(()),
        found @ 1.. if found > VERSION => Err(FileError::Version { found, known: VERSION }),
        _ => Err(moved(connection)?.map_or(FileError::NoLog, FileError::from)),
    }
}

/// Where a log is that was in this file. Its version is negative, which no ingest-svc opens, also none of an older version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The database and its servers.
    pub to: String,
    /// When.
    pub at: Timestamp,
}

const MOVED: &str = "
CREATE TABLE moved (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    target    TEXT NOT NULL,
    at        INTEGER NOT NULL              -- Unix seconds
);
";

/// Whether the log was moved.
pub(super) fn moved(connection: &Connection) -> Result<Option<Moved>, FileError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version >= 0 || !connection.table_exists(None, "moved")? {
        return Ok(None);
    }
    if version != -VERSION {
        return Err(FileError::Version { found: version.saturating_abs(), known: VERSION });
    }
    let moved = connection.query_row("SELECT target, at FROM moved", [], |row| {
        let at = Timestamp::from_second(row.get(1)?).unwrap_or_default();
        Ok(Moved { to: row.get(0)?, at })
    })?;
    Ok(Some(moved))
}

/// Notes that the log was moved.
pub(super) fn mark_moved(connection: &Connection, to: &str) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(MOVED)?;
    let now = Timestamp::now().as_second();
    transaction.execute("INSERT INTO moved (only, target, at) VALUES (1, ?1, ?2)", params![to, now])?;
    transaction.pragma_update(None, "user_version", -VERSION)?;
    transaction.commit()
}

/// Takes that note back, if there is one. The log then needs another epoch.
pub(super) fn forget_move(connection: &Connection) -> Result<(), FileError> {
    if moved(connection)?.is_some() {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch("DROP TABLE moved")?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The tables of an older file as a new one has them; indexes are made afterwards.
fn migrate_from(version: i64, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    // Between two releases there was a version 1 that had made this change already.
    if version == 1 && transaction.table_exists(None, "records")? {
        transaction.execute_batch(FROM_VERSION_1)?;
    }
    match version {
        // Made with all of its columns.
        1 => transaction.execute_batch(QUARANTINE)?,
        2..=4 => transaction.execute_batch(FROM_VERSION_4)?,
        _ => {}
    }
    if version < 3 {
        transaction.execute_batch(FROM_VERSION_2)?;
    }
    if version < 4 {
        transaction.execute_batch(FILE_AND_PROBE)?;
    }
    if version == 8 {
        return Ok(());
    }
    if version >= 6 {
        // An index by the last digits, which each accept had to write.
        transaction.execute_batch("DROP INDEX calls_by_ending; ALTER TABLE calls DROP COLUMN reversed")?;
    }
    callers_from_numbers(transaction)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_names_the_version() {
        let document = include_str!("../../../../docs/operate.md");
        assert!(document.contains(&format!("The schema version is {}.", super::VERSION)));
    }
}
