//! The table of quarantined requests.

use encoding_rs::Encoding;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::holdings::{Holding, Holdings};
use crate::{
    capacity::LogCapacity,
    request::{Quarantined, RawBody, RawRequest},
};

/// How much each source has in the table.
pub(super) fn holdings(connection: &Connection) -> rusqlite::Result<Holdings> {
    let mut select = connection.prepare_cached(
        "SELECT source, count(*), sum(octet_length(query) + ifnull(octet_length(body), 0) + octet_length(faults))
         FROM quarantine GROUP BY source",
    )?;
    let holdings = select
        .query_map([], |row| Ok((row.get(0)?, Holding { requests: row.get(1)?, bytes: row.get(2)? })))?;
    holdings.collect::<Result<_, _>>()
}

/// Adds a request; how many others were dropped for it.
pub(super) fn add(
    connection: &Connection,
    holdings: &mut Holdings,
    capacity: &LogCapacity,
    request: &Quarantined,
) -> rusqlite::Result<u64> {
    holdings.add(&request.source, insert(connection, request)?);
    let mut dropped = 0;
    while let Some(source) = holdings.too_much(capacity) {
        let bytes = remove_oldest(connection, &source)?;
        dropped += u64::from(holdings.remove(&source, bytes));
    }
    Ok(dropped)
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
    let Quarantined { source, received_at, request: RawRequest { query, body, charset }, .. } = quarantined;
    let (kind, body) = body.to_log();
    let charset = charset.map_or("", Encoding::name);
    let faults = quarantined.faults_to_log();
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

/// Removes requests. An id that is not there is not an error.
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
    let body = RawBody::from_log(row.get(4)?, row.get(5)?);
    let charset = Encoding::for_label(row.get_ref(7)?.as_bytes()?);
    let quarantined = Quarantined {
        source: row.get(1)?,
        received_at: Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::MIN),
        request: RawRequest { query: row.get(3)?, body, charset },
        faults: Quarantined::faults_from_log(row.get_ref(6)?.as_str()?),
    };
    Ok((row.get(0)?, quarantined))
}
