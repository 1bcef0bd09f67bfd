//! Our types as SQLite's values, and the rows of calls.

use std::fmt;

use rusqlite::{
    Connection, ToSql, params,
    types::{FromSql, FromSqlResult, ToSqlOutput, Type, ValueRef},
};
use uuid::Uuid;

use super::super::json::{JsonError, as_json, facts};
use crate::{
    call::{Call, CallKey},
    cdr::Record,
    store::{NumberKind, StoreKey},
};

impl ToSql for StoreKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for StoreKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for CallKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for CallKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for NumberKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_log().into())
    }
}

impl FromSql for NumberKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i16::column_result(value).map(Self::from_log)
    }
}

/// The file says what the values were.
impl From<JsonError> for rusqlite::Error {
    fn from(error: JsonError) -> Self {
        // Without the number of a column.
        Self::FromSqlConversionFailure(usize::MAX, Type::Blob, error.into())
    }
}

/// Reads a call from `id, store, facts, fingerprints, call`, which begin at a column.
pub(super) fn read_call(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Call> {
    let (fingerprints, _) = row.get_ref(first + 3)?.as_blob()?.as_chunks();
    Ok(Call {
        id: Uuid::from_bytes(row.get(first)?),
        store: row.get(first + 1)?,
        facts: facts(
            row.get_ref(first + 2)?.as_bytes()?,
            row.get_ref(first + 4)?.as_bytes_or_null()?.unwrap_or_default(),
        )?,
        fingerprints: fingerprints.to_vec(),
    })
}

/// Adds a call, with its first record. `seen`: the call as pads see it.
pub(super) fn insert_call(
    connection: &Connection,
    call: &Call,
    record: &Record,
    seen: &[u8],
) -> rusqlite::Result<()> {
    let facts = as_json(&call.facts)?;
    connection
        .prepare_cached(
            "INSERT INTO calls (id, source, seq, sdt, store, caller, state, facts, fingerprints, call)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            call.id.as_bytes(),
            &*record.source,
            record.cdr.seq(),
            call.facts.sdt(),
            call.store,
            call.facts.caller_number().map(|number| number.e164()),
            call.facts.state() as i32,
            facts,
            call.fingerprints.as_flattened(),
            seen,
        ])?;
    Ok(())
}

/// Writes what has changed in a call. `seen`: the call as pads see it.
pub(super) fn update_call(
    connection: &Connection,
    key: CallKey,
    call: &Call,
    seen: &[u8],
) -> rusqlite::Result<()> {
    let facts = as_json(&call.facts)?;
    connection
        .prepare_cached(
            "UPDATE calls
             SET sdt = ?2, store = ?3, caller = ?4, state = ?5, facts = ?6, fingerprints = ?7, call = ?8
             WHERE key = ?1",
        )?
        .execute(params![
            key,
            call.facts.sdt(),
            call.store,
            call.facts.caller_number().map(|number| number.e164()),
            call.facts.state() as i32,
            facts,
            call.fingerprints.as_flattened(),
            seen,
        ])?;
    Ok(())
}

/// A number, or its last digits, in the order in which the callers are kept: read backwards.
#[derive(Clone, Default)]
pub(super) struct ReversedNumber(String);

impl ReversedNumber {
    /// The number as it was.
    pub(super) fn forwards(&self) -> String {
        self.0.chars().rev().collect()
    }
}

/// Reads the digits of a number, or of its end, backwards.
pub(super) fn reversed(digits: &str) -> ReversedNumber {
    ReversedNumber(digits.chars().rev().collect())
}

/// Without the digits.
impl fmt::Debug for ReversedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReversedNumber(***)")
    }
}

impl ToSql for ReversedNumber {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for ReversedNumber {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}
