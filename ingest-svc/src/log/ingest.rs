//! One record into the log: find or make its call, merge, route, count the caller, take a position, write the event.

mod find;

use prost::Message;
use ringpad_bus::{Event, Receipt};
use rusqlite::{
    Connection, OptionalExtension, params,
    types::{Type, ValueRef},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    Ingested, Status,
    call::{self, Facts, History, Pop},
    directory::Directory,
    set_aside::{Kind, SetAside},
};
use crate::cdr::{Fingerprint, Record};
pub(crate) use find::Another;
use find::Found;
pub(super) use find::SAME_CALL;

/// Records that a call remembers; a provider sends two or three. The oldest is forgotten first.
const RECORDS: usize = 256;

/// A call's row.
pub(super) struct Row {
    /// `None`: not in the log yet.
    key: Option<i64>,
    pub(super) id: Uuid,
    pub(super) store: Option<i64>,
    pub(super) facts: Facts,
    /// Of the records it has had, oldest first.
    fingerprints: Vec<Fingerprint>,
}

impl Row {
    fn new() -> Self {
        Self { key: None, id: Uuid::now_v7(), store: None, facts: Facts::default(), fingerprints: Vec::new() }
    }

    /// Reads `key, id, store, facts, fingerprints`.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let (fingerprints, _) = row.get_ref(4)?.as_blob()?.as_chunks();
        Ok(Self {
            key: row.get(0)?,
            id: Uuid::from_bytes(row.get(1)?),
            store: row.get(2)?,
            facts: from_json(row.get_ref(3)?.as_bytes()?, 3)?,
            fingerprints: fingerprints.to_vec(),
        })
    }
}

/// What became of a record.
pub(super) struct Logged {
    pub(super) ingested: Ingested,
    pub(super) event: Option<Event>,
    /// There is an earlier call with its `seq`, and this is why it is of another one.
    pub(super) another: Option<Another>,
    /// It does not pop for its age alone.
    pub(super) is_late: bool,
    /// Not all of its parameters, or of the call's, were kept.
    pub(super) had_more: bool,
}

impl Logged {
    /// Without an event.
    fn only(call_id: Uuid, status: Status, another: Option<Another>, had_more: bool) -> Self {
        Self { ingested: Ingested { call_id, status }, event: None, another, is_late: false, had_more }
    }
}

/// Logs one record inside its savepoint. The event, if there is one, has the key `event_key`.
pub(super) fn record(
    connection: &Connection,
    directory: &mut Directory,
    epoch: Uuid,
    event_key: u64,
    popup_ttl: jiff::SignedDuration,
    set_aside: &SetAside,
    record: &Record,
) -> rusqlite::Result<Logged> {
    let (mut call, another) = match find::call_of(connection, directory, set_aside, record)? {
        Found::Repeat(id) => return Ok(Logged::only(id, Status::Duplicate, None, false)),
        Found::Known(call) => (*call, None),
        Found::New(another) => (Row::new(), another),
    };
    let id = call.id;
    if call.fingerprints.len() == RECORDS {
        call.fingerprints.remove(0);
    }
    call.fingerprints.push(record.fingerprint);
    let former_caller = call.facts.caller_number().cloned();
    let had_more = call.facts.add(record.cdr.clone(), record.answered);
    let pop = call.facts.pop(record.cdr.sdt(), record.received_at, popup_ttl);
    // Decided at the call's first record that finds a store, and kept.
    call.store = call
        .store
        .or_else(|| directory.route(call.facts.virtual_number(), call.facts.line()).map(|route| route.store));
    if let Some(store) = call.store
        && (call.facts.history.is_none() || former_caller.as_ref() != call.facts.caller_number())
    {
        count_caller(connection, set_aside, store, &mut call.facts)?;
    }

    let position = call.store.and_then(|key| directory.store(key)).map(|store| store.position + 1);
    let seen = call.facts.call(id, position.unwrap_or_default());
    match call.key {
        Some(key) => update(connection, key, &call, &seen.encode_to_vec())?,
        None => insert(connection, &call, record, &seen.encode_to_vec())?,
    }
    let (Some(store), Some(position)) = (call.store, position) else {
        return Ok(Logged::only(id, Status::Unrouted, another, had_more));
    };

    let bytes = call::encode_update(position, seen, pop.until());
    // One from the quarantine was received long ago: its way is nothing to be measured.
    let fresh = jiff::Timestamp::now().duration_since(record.received_at) <= popup_ttl;
    let receipt = fresh.then(|| Receipt {
        at: record.received_at.as_millisecond(),
        traceparent: record.traceparent.clone(),
    });
    let event = event(connection, directory, epoch, event_key, store, bytes, receipt)?;
    let ingested = Ingested { call_id: id, status: Status::Accepted };
    Ok(Logged { ingested, event, another, is_late: pop == Pop::Late, had_more })
}

/// Writes a store's next event, and takes its position.
pub(super) fn event(
    connection: &Connection,
    directory: &mut Directory,
    epoch: Uuid,
    event_key: u64,
    store: i64,
    bytes: Vec<u8>,
    receipt: Option<Receipt>,
) -> rusqlite::Result<Option<Event>> {
    let Some(state) = directory.store(store) else { return Ok(None) };
    let (store_id, position) = (state.id.to_string(), state.position + 1);
    connection
        .prepare_cached(
            "INSERT INTO events (key, store, position, created, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![event_key, store, position, jiff::Timestamp::now().as_millisecond(), bytes])?;
    directory.take_position(store);
    Ok(Some(Event { store_id, epoch, position, bytes: bytes.into(), receipt }))
}

/// A call is known with both its store and its caller now, or with another caller than before: what the store knew of the
/// caller so far, and one call more from now on.
fn count_caller(
    connection: &Connection,
    set_aside: &SetAside,
    store: i64,
    facts: &mut Facts,
) -> rusqlite::Result<()> {
    let Some(number) = facts.caller_number() else { return Ok(()) };
    let reversed = reversed(number.e164());
    let history = connection
        .prepare_cached(
            "SELECT calls, last_call, last_note, last_reservation FROM callers WHERE store = ?1 AND reversed = ?2",
        )?
        .query_row(params![store, reversed], |row| {
            let reserved = (!matches!(row.get_ref(3)?, ValueRef::Null))
                .then(|| from_json(row.get_ref(3)?.as_bytes()?, 3))
                .transpose();
            Ok(History {
                calls: row.get(0)?,
                last_call: Some(row.get(1)?),
                last_note: row.get(2)?,
                last_reservation: set_aside.readable(Kind::Reservation, store, reserved)?.flatten(),
            })
        })
        .optional()?;
    connection
        .prepare_cached(
            "INSERT INTO callers (store, reversed, calls, last_call) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (store, reversed) DO UPDATE SET calls = calls + 1, last_call = max(last_call, excluded.last_call)",
        )?
        .execute(params![store, reversed, facts.sdt()])?;
    facts.history = Some(history.unwrap_or_default());
    Ok(())
}

fn insert(connection: &Connection, call: &Row, record: &Record, seen: &[u8]) -> rusqlite::Result<()> {
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

pub(super) fn update(connection: &Connection, key: i64, call: &Row, seen: &[u8]) -> rusqlite::Result<()> {
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

/// A number, or its last digits, as the callers are ordered: read backwards.
pub(super) fn reversed(digits: &str) -> String {
    digits.chars().rev().collect()
}

/// Whatever the log keeps as JSON.
pub(super) fn as_json(value: &impl Serialize) -> rusqlite::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Reads what [`as_json`] wrote; `column` is where it stood.
fn from_json<T: DeserializeOwned>(json: &[u8], column: usize) -> rusqlite::Result<T> {
    // serde's own words would quote the value, which may be a phone number.
    serde_json::from_slice(json).map_err(|error| {
        let place = format!("{} cannot be read, at byte {}", std::any::type_name::<T>(), error.column());
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, place.into())
    })
}
