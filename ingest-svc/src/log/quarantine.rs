//! Requests that were no CDRs, kept as they came: once the cause is mended they can be tried again. Bounded by number and by
//! bytes; the oldest of the source that has most go first, so that no source pushes out what others have sent, and none
//! outlives the retention.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use encoding_rs::Encoding;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::cdr::Fault;

/// Requests kept.
pub const QUARANTINE: u64 = 10_000;
/// Bytes of them kept.
const BYTES: u64 = 256 * 1024 * 1024;

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

/// What each source has in the quarantine.
#[derive(Debug, Default)]
pub(super) struct Holdings(BTreeMap<Arc<str>, Holding>);

#[derive(Debug, Default, Clone, Copy)]
struct Holding {
    requests: u64,
    bytes: u64,
}

impl Holdings {
    /// Reads it.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut select = connection.prepare_cached(
            "SELECT source, count(*), sum(octet_length(query) + ifnull(octet_length(body), 0) + octet_length(faults))
             FROM quarantine GROUP BY source",
        )?;
        let holdings = select
            .query_map([], |row| Ok((row.get(0)?, Holding { requests: row.get(1)?, bytes: row.get(2)? })))?;
        holdings.collect::<Result<_, _>>().map(Self)
    }

    /// Sets a request aside; how many others went for it.
    pub(super) fn set_aside(
        &mut self,
        connection: &Connection,
        request: &Quarantined,
    ) -> rusqlite::Result<u64> {
        let bytes = insert(connection, request)?;
        let holding = self.0.entry(Arc::clone(&request.source)).or_default();
        *holding = Holding { requests: holding.requests + 1, bytes: holding.bytes + bytes };
        let mut dropped = 0;
        while let Some(source) = self.too_much() {
            match (remove_oldest(connection, &source)?, self.0.get_mut(&source)) {
                (Some(bytes), Some(holding)) => {
                    holding.requests = holding.requests.saturating_sub(1);
                    holding.bytes = holding.bytes.saturating_sub(bytes);
                    dropped += 1;
                }
                // It has none, after a request whose setting aside was rolled back.
                _ => drop(self.0.remove(&source)),
            }
        }
        Ok(dropped)
    }

    /// Whose oldest one has to go, if one has to: of too many requests the source's that has most of them, of too many bytes
    /// likewise.
    fn too_much(&self) -> Option<Arc<str>> {
        self.largest(QUARANTINE, |holding| holding.requests)
            .or_else(|| self.largest(BYTES, |holding| holding.bytes))
    }

    /// The source that has most, if all have more than `bound` together.
    fn largest(&self, bound: u64, size: impl Fn(&Holding) -> u64) -> Option<Arc<str>> {
        let all: u64 = self.0.values().map(&size).sum();
        let (source, _) = self.0.iter().max_by_key(|(_, holding)| size(holding))?;
        (all > bound).then(|| Arc::clone(source))
    }
}

/// Removes a source's oldest request; its bytes. `None`: it has none.
fn remove_oldest(connection: &Connection, source: &str) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(
            "DELETE FROM quarantine WHERE key = (SELECT min(key) FROM quarantine INDEXED BY quarantine_of_source WHERE source = ?1)
             RETURNING octet_length(query) + ifnull(octet_length(body), 0) + octet_length(faults)",
        )?
        .query_row([source], |row| row.get(0))
        .optional()
}

/// Adds a request; its bytes.
fn insert(connection: &Connection, quarantined: &Quarantined) -> rusqlite::Result<u64> {
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
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             RETURNING octet_length(query) + ifnull(octet_length(body), 0) + octet_length(faults)",
        )?
        .query_row(
            params![&**source, received_at.as_millisecond(), query, kind, body, faults, charset],
            |row| row.get(0),
        )
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
