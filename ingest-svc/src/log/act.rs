//! What a pad does to a call: claim, release, close, reopen, note. The first claim wins, and a request that comes twice
//! is done once. What is done becomes an event like any other; what changes nothing becomes none.

use prost::Message;
use ringpad_bus::Event;
use ringpad_proto::v1;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    call::{encode_update, milliseconds, timestamp},
    directory::Directory,
    ingest::{self, Row, as_json, reversed},
    set_aside::{Kind, SetAside},
};

/// Requests that a call remembers; the oldest is forgotten first. A pad sends one again for some seconds.
const REQUESTS: usize = 32;

/// A pad's action on a call of its own store.
#[derive(Debug, Clone)]
pub struct Act {
    /// The pad's store.
    pub store_id: String,
    /// The call.
    pub call_id: Uuid,
    /// The pad.
    pub pad: ActingPad,
    /// What it does.
    pub action: Action,
    /// A repeat with the same id is the same action.
    pub request_id: Uuid,
    /// When ingest-svc took it.
    pub received_at: jiff::Timestamp,
}

/// A pad, and what people call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActingPad {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What a pad does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes the call.
    Claim,
    /// Gives it back.
    Release,
    /// Has dealt with it.
    Close,
    /// Has not dealt with it after all.
    Reopen,
    /// Replaces the note and the reservation.
    Note(String, Option<Reserved>),
}

/// What a caller and the shop agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The customer.
    pub customer_name: String,
    /// The car.
    pub car_number: String,
    /// What is to be done.
    pub service: String,
    /// When, in Unix seconds.
    pub at: Option<i64>,
}

impl From<Reserved> for v1::Reservation {
    fn from(reserved: Reserved) -> Self {
        let Reserved { customer_name, car_number, service, at } = reserved;
        Self { customer_name, car_number, service, at: at.map(timestamp) }
    }
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Acted {
    /// Done, now or by an earlier request with this id: the call as it now is, an encoded `ringpad.v1.Call`.
    Done(Vec<u8>),
    /// Another pad has claimed the call.
    ClaimedBy(Claimed),
    /// The store has no such call, or there is no such store.
    NoSuchCall,
}

/// A claim that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Whose it is.
    pub by: ActingPad,
    /// Since when, in Unix milliseconds.
    pub at: i64,
}

impl From<&Claimed> for v1::Claim {
    fn from(claim: &Claimed) -> Self {
        Self { pad_id: claim.by.id.clone(), pad_name: claim.by.name.clone(), at: milliseconds(claim.at) }
    }
}

/// All that pads have done to a call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Doings {
    pub(super) claim: Option<Claimed>,
    pub(super) note: String,
    pub(super) reservation: Option<Reserved>,
    pub(super) closed: bool,
    /// Requests that have been done, oldest first.
    requests: Vec<[u8; 16]>,
}

impl Doings {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Does it and remembers the request, also one that changes nothing: repeated later, it might. Whether anything has
    /// changed.
    ///
    /// # Errors
    /// The claim of another pad.
    fn take(&mut self, act: &Act) -> Result<bool, Claimed> {
        let changed = self.change(act)?;
        if self.requests.len() == REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(act.request_id.into_bytes());
        Ok(changed)
    }

    fn change(&mut self, act: &Act) -> Result<bool, Claimed> {
        match (&act.action, &self.claim) {
            (Action::Claim | Action::Release, Some(claim)) if claim.by.id != act.pad.id => {
                return Err(claim.clone());
            }
            (Action::Claim, Some(_)) | (Action::Release, None) => return Ok(false),
            (Action::Claim, None) => {
                let at = act.received_at.as_millisecond();
                self.claim = Some(Claimed { by: act.pad.clone(), at });
            }
            (Action::Release, Some(_)) => self.claim = None,
            (Action::Close, _) if self.closed => return Ok(false),
            (Action::Reopen, _) if !self.closed => return Ok(false),
            (Action::Close, _) => self.closed = true,
            (Action::Reopen, _) => self.closed = false,
            (Action::Note(note, reservation), _) => {
                if self.note == *note && self.reservation == *reservation {
                    return Ok(false);
                }
                self.note.clone_from(note);
                self.reservation.clone_from(reservation);
            }
        }
        Ok(true)
    }
}

/// Does an action inside its savepoint. The event, if there is one, has the key `event_key`.
pub(super) fn act(
    connection: &Connection,
    directory: &mut Directory,
    epoch: Uuid,
    event_key: u64,
    set_aside: &SetAside,
    act: &Act,
) -> rusqlite::Result<(Acted, Option<Event>)> {
    let Some((key, mut call)) = find(connection, set_aside, act)? else {
        return Ok((Acted::NoSuchCall, None));
    };
    let (Some(store), Some(revision)) =
        (call.store, call.store.and_then(|key| directory.store(key)).map(|store| store.position + 1))
    else {
        return Ok((Acted::NoSuchCall, None));
    };
    let doings = &mut call.facts.doings;
    if doings.requests.contains(act.request_id.as_bytes()) {
        return Ok((Acted::Done(stored(connection, key)?), None));
    }
    let written = Written { note: !doings.note.is_empty(), reservation: doings.reservation.is_some() };
    match doings.take(act) {
        Err(claim) => return Ok((Acted::ClaimedBy(claim), None)),
        Ok(false) => {
            let stored = stored(connection, key)?;
            ingest::update(connection, key, &call, &stored)?;
            return Ok((Acted::Done(stored), None));
        }
        Ok(true) => {}
    }
    if let (Action::Note(note, reservation), Some(caller)) = (&act.action, call.facts.caller_number()) {
        remember(connection, store, caller.e164(), note, reservation.as_ref(), written)?;
    }
    let seen = call.facts.call(call.id, revision);
    let encoded = seen.encode_to_vec();
    ingest::update(connection, key, &call, &encoded)?;
    // It does not pop: whoever was to be shown the ring has been.
    let bytes = encode_update(revision, seen, None);
    let event = ingest::event(connection, directory, epoch, event_key, store, bytes, None)?;
    Ok((Acted::Done(encoded), event))
}

/// What had been written on a call before.
struct Written {
    note: bool,
    reservation: bool,
}

/// What the caller's next call will tell. A reservation without a note leaves an earlier call's note as it is, and the
/// other way round: what is left empty takes back only what its own call had said.
fn remember(
    connection: &Connection,
    store: i64,
    number: &str,
    note: &str,
    reservation: Option<&Reserved>,
    before: Written,
) -> rusqlite::Result<()> {
    let reservation = reservation.map(as_json).transpose()?;
    let keeps_note = note.is_empty() && !before.note;
    let keeps_reservation = reservation.is_none() && !before.reservation;
    connection
        .prepare_cached(
            "UPDATE callers SET last_note = iif(?5, last_note, ?3), last_reservation = iif(?6, last_reservation, ?4)
             WHERE store = ?1 AND reversed = ?2",
        )?
        .execute(params![store, reversed(number), note, reservation, keeps_note, keeps_reservation])?;
    Ok(())
}

/// The call, if the store has it and it can be read. By the index on the id alone: an id that nobody has costs one look-up, however many
/// calls the store has.
fn find(connection: &Connection, set_aside: &SetAside, act: &Act) -> rusqlite::Result<Option<(i64, Row)>> {
    let mut select = connection.prepare_cached(
        "SELECT calls.key, calls.id, calls.store, facts, fingerprints
         FROM calls INDEXED BY calls_by_id CROSS JOIN stores ON stores.key = calls.store
         WHERE calls.id = ?1 AND stores.id = ?2 AND stores.deleted = 0",
    )?;
    let mut rows = select.query(params![act.call_id.as_bytes(), act.store_id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key = row.get(0)?;
    Ok(set_aside.readable(Kind::Facts, key, Row::read(row))?.map(|call| (key, call)))
}

/// The call as it now is.
fn stored(connection: &Connection, key: i64) -> rusqlite::Result<Vec<u8>> {
    connection.prepare_cached("SELECT call FROM calls WHERE key = ?1")?.query_row([key], |row| row.get(0))
}
