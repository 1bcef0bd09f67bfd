//! Requests that were no CDRs, kept as they came: once the cause is mended they can be tried again. Bounded by number; the
//! oldest go first, and none outlives the retention.

use std::sync::Arc;

use bytes::Bytes;
use encoding_rs::Encoding;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::cdr::Fault;

/// Requests kept.
pub const QUARANTINE: u64 = 10_000;

/// A request's parameters as they came. Holds callers' numbers: only the log's file has it whole.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The URI's query.
    pub query: String,
    /// The body, by what it said it was; without the `Content-Encoding` it came in.
    pub body: RawBody,
    /// The character encoding that its `Content-Type` declares, if that is one we know.
    pub charset: Option<&'static Encoding>,
}

impl RawRequest {
    /// Bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let body = match &self.body {
            RawBody::None => 0,
            RawBody::Form(body) | RawBody::Json(body) | RawBody::Unread(body) => body.len(),
        };
        self.query.len() + body
    }
}

/// A body that has not been read for what it says.
#[derive(Clone, PartialEq, Eq)]
pub enum RawBody {
    /// There was none.
    None,
    /// `application/x-www-form-urlencoded`.
    Form(Bytes),
    /// `application/json`.
    Json(Bytes),
    /// What cannot be read as either: of another type, too long, or broken off. As much of it as was read.
    Unread(Bytes),
}

/// A request in the quarantine, or on its way there.
#[derive(Clone)]
pub struct Quarantined {
    /// The source that it came from.
    pub source: Arc<str>,
    /// When ingest-svc had read it.
    pub received_at: Timestamp,
    /// As it came.
    pub request: RawRequest,
    /// What was wrong with it.
    pub faults: Vec<Fault>,
}

/// How many there are.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM quarantine")?.query_row([], |row| row.get(0))
}

/// Sets a request aside in the place of the oldest one.
pub(super) fn replace_oldest(connection: &Connection, request: &Quarantined) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM quarantine WHERE key = (SELECT min(key) FROM quarantine)")?
        .execute([])?;
    insert(connection, request)
}

/// Sets a request aside.
pub(super) fn insert(connection: &Connection, quarantined: &Quarantined) -> rusqlite::Result<()> {
    let Quarantined { source, received_at, request: RawRequest { query, body, charset }, faults } =
        quarantined;
    let (kind, body) = match body {
        RawBody::None => (0, None),
        RawBody::Form(body) => (1, Some(&**body)),
        RawBody::Json(body) => (2, Some(&**body)),
        RawBody::Unread(body) => (3, Some(&**body)),
    };
    let charset = charset.map_or("", Encoding::name);
    let faults: Vec<_> = faults.iter().map(|fault| (&fault.field, &fault.message)).collect();
    let faults = serde_json::to_string(&faults)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO quarantine (source, received, query, kind, body, faults, charset)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![&**source, received_at.as_millisecond(), query, kind, body, faults, charset])?;
    Ok(())
}

/// Takes requests out; ids that are not there are nobody's fault.
pub(super) fn remove(connection: &Connection, ids: &[u64]) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM quarantine WHERE key = ?1")?;
    ids.iter().try_for_each(|id| delete.execute([id]).map(|_| ()))
}

/// Requests with an id below `before`, newest first.
pub(super) fn newest(
    connection: &Connection,
    before: u64,
    limit: u32,
) -> rusqlite::Result<Vec<(u64, Quarantined)>> {
    let mut select = connection.prepare_cached(
        "SELECT key, source, received, query, kind, body, faults, charset FROM quarantine
         WHERE key < ?1 ORDER BY key DESC LIMIT ?2",
    )?;
    select.query_map(params![before, limit], read)?.collect()
}

/// Requests with an id from `from` on, oldest first.
pub(super) fn oldest(
    connection: &Connection,
    from: u64,
    limit: u32,
) -> rusqlite::Result<Vec<(u64, Quarantined)>> {
    let mut select = connection.prepare_cached(
        "SELECT key, source, received, query, kind, body, faults, charset FROM quarantine
         WHERE key >= ?1 ORDER BY key LIMIT ?2",
    )?;
    select.query_map(params![from, limit], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Quarantined)> {
    let body =
        |row: &Row<'_>| row.get::<_, Option<Vec<u8>>>(5).map(|body| Bytes::from(body.unwrap_or_default()));
    let body = match row.get(4)? {
        0 => RawBody::None,
        1 => RawBody::Form(body(row)?),
        2 => RawBody::Json(body(row)?),
        _ => RawBody::Unread(body(row)?),
    };
    let charset = Encoding::for_label(row.get_ref(7)?.as_bytes()?);
    let faults: Vec<(String, String)> = serde_json::from_str(row.get_ref(6)?.as_str()?).unwrap_or_default();
    let quarantined = Quarantined {
        source: row.get(1)?,
        received_at: Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::MIN),
        request: RawRequest { query: row.get(3)?, body, charset },
        faults: faults.into_iter().map(|(field, message)| Fault { field, message }).collect(),
    };
    Ok((row.get(0)?, quarantined))
}
