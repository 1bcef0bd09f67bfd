//! Logs a record: loads its call and what the store knows of the caller, and stores what the rules make of them.

use prost::Message;
use ringpad_bus::{Event, Receipt};
use rusqlite::{Connection, OptionalExtension, params, types::ValueRef};
use uuid::Uuid;

use super::{
    rows::{CallKey, from_json, insert_call, reversed, update_call},
    unreadable::{Kind, UnreadableRows},
};
use crate::{
    call::{
        self, CANDIDATES, Call, Candidate, Facts, Found, History, Ingested, NewCallReason, Popup, Status,
        encode_update,
    },
    cdr::Record,
    phone::PhoneNumber,
    store::{Directory, StoreKey},
};

/// What a job works with inside its savepoint.
pub(super) struct Savepoint<'a> {
    pub(super) connection: &'a Connection,
    pub(super) directory: &'a mut Directory,
    pub(super) unreadable: &'a UnreadableRows,
    pub(super) epoch: Uuid,
    /// The key of the job's event, if it makes one.
    pub(super) event_key: u64,
    pub(super) now: jiff::Timestamp,
}

/// What became of a record.
pub(super) struct Logged {
    pub(super) ingested: Ingested,
    pub(super) event: Option<Event>,
    /// There is an earlier call with its `seq`, and this is why the record does not belong to it.
    pub(super) new_call: Option<NewCallReason>,
    /// It does not pop up because of its age alone.
    pub(super) is_late: bool,
    /// Not all parameters of the record, or of the call, were kept.
    pub(super) had_more: bool,
}

impl Savepoint<'_> {
    /// Logs a record.
    pub(super) fn log(
        &mut self,
        record: &Record,
        popup_ttl: jiff::SignedDuration,
    ) -> rusqlite::Result<Logged> {
        let (key, mut call, new_call) = match self.find(record)? {
            Found::Repeat(call_id) => {
                let ingested = Ingested { call_id, status: Status::Duplicate };
                return Ok(Logged { ingested, event: None, new_call: None, is_late: false, had_more: false });
            }
            Found::Known(key, call) => (Some(key), *call, None),
            Found::New(reason) => (None, Call::new(Uuid::now_v7()), reason),
        };
        let merged = call::merge(&mut call, record, self.directory, popup_ttl);
        if let Some((store, caller)) = merged.caller_to_count(&call) {
            let history = self.count_caller(store, caller, call.facts.sdt())?;
            call.set_history(history);
        }
        let next = call.store.and_then(|key| self.next_position(key));
        let seen = call.as_seen(next.map_or(0, |(_, position)| position));
        match key {
            Some(key) => update_call(self.connection, key, &call, &seen.encode_to_vec())?,
            None => insert_call(self.connection, &call, record, &seen.encode_to_vec())?,
        }
        let (status, event) = match next {
            Some((store, position)) => {
                let bytes = encode_update(position, seen, merged.popup);
                // A record from the quarantine was received long ago: how long it has taken says nothing.
                let is_fresh = self.now.duration_since(record.received_at) <= popup_ttl;
                let receipt = is_fresh.then(|| Receipt {
                    at: record.received_at.as_millisecond(),
                    traceparent: record.traceparent.clone(),
                });
                (Status::Accepted, self.write_event(store, bytes, receipt)?)
            }
            None => (Status::Unrouted, None),
        };
        Ok(Logged {
            ingested: Ingested { call_id: call.id, status },
            event,
            new_call,
            is_late: status == Status::Accepted && merged.popup == Popup::Late,
            had_more: merged.had_more,
        })
    }

    /// A store, and the position of its next event; `None`: it was deleted.
    pub(super) fn next_position(&self, key: StoreKey) -> Option<(StoreKey, u64)> {
        self.directory.store(key).map(|store| (key, store.position + 1))
    }

    /// Writes a store's next event, and takes its position.
    pub(super) fn write_event(
        &mut self,
        store: StoreKey,
        bytes: Vec<u8>,
        receipt: Option<Receipt>,
    ) -> rusqlite::Result<Option<Event>> {
        let Some(state) = self.directory.store(store) else { return Ok(None) };
        let (store_id, position) = (state.id.to_string(), state.position + 1);
        self.connection
            .prepare_cached(
                "INSERT INTO events (key, store, position, created, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![self.event_key, store, position, self.now.as_millisecond(), bytes])?;
        self.directory.take_position(store);
        Ok(Some(Event { store_id, epoch: self.epoch, position, bytes: bytes.into(), receipt }))
    }

    fn find(&self, record: &Record) -> rusqlite::Result<Found<CallKey>> {
        let candidates = self.candidates(record)?;
        call::find(candidates, record, self.directory, |candidate| {
            let Candidate { key, id, store, fingerprints, apart: _ } = candidate;
            let facts = self.read_facts(key);
            // A call that cannot be read does not count: its records make a new one.
            let facts = self.unreadable.readable(Kind::Facts, key.0, facts)?;
            Ok(facts.map(|facts| (key, Call { id, store, facts, fingerprints })))
        })
    }

    fn read_facts(&self, CallKey(key): CallKey) -> rusqlite::Result<Facts> {
        self.connection
            .prepare_cached("SELECT facts FROM calls WHERE key = ?1")?
            .query_row([key], |row| from_json(row.get_ref(0)?.as_bytes()?, 0))
    }

    /// The calls with the record's `seq`.
    fn candidates(&self, record: &Record) -> rusqlite::Result<Vec<Candidate<CallKey>>> {
        let mut select = self.connection.prepare_cached(
            "SELECT * FROM (
               SELECT key, id, store, fingerprints, sdt FROM calls
               WHERE source = ?1 AND seq = ?2 AND sdt <= ?3 ORDER BY sdt DESC LIMIT ?4)
             UNION ALL
             SELECT * FROM (
               SELECT key, id, store, fingerprints, sdt FROM calls
               WHERE source = ?1 AND seq = ?2 AND sdt > ?3 ORDER BY sdt LIMIT ?4)",
        )?;
        let sdt = record.cdr.sdt().as_second();
        let mut rows = select.query(params![&*record.source, record.cdr.seq(), sdt, CANDIDATES])?;
        let mut candidates = Vec::new();
        while let Some(row) = rows.next()? {
            let read = self.unreadable.readable(Kind::Facts, row.get(0)?, candidate(row, sdt))?;
            candidates.extend(read);
        }
        Ok(candidates)
    }

    /// What the store knew of the caller until now; with a call that began at `sdt`, the caller has called once more.
    fn count_caller(&self, store: StoreKey, caller: &PhoneNumber, sdt: i64) -> rusqlite::Result<History> {
        let reversed = reversed(caller.e164());
        let history = self
            .connection
            .prepare_cached(
                "SELECT calls, last_call, last_note, last_reservation FROM callers WHERE store = ?1 AND reversed = ?2",
            )?
            .query_row(params![store, reversed], |row| {
                let reservation = (!matches!(row.get_ref(3)?, ValueRef::Null))
                    .then(|| from_json(row.get_ref(3)?.as_bytes()?, 3))
                    .transpose();
                let reservation = self.unreadable.readable(Kind::Reservation, store.0, reservation)?;
                Ok(History {
                    calls: row.get(0)?,
                    last_call: Some(row.get(1)?),
                    last_note: row.get(2)?,
                    last_reservation: reservation.flatten(),
                })
            })
            .optional()?;
        self.connection
            .prepare_cached(
                "INSERT INTO callers (store, reversed, calls, last_call) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (store, reversed) DO UPDATE SET calls = calls + 1, last_call = max(last_call, excluded.last_call)",
            )?
            .execute(params![store, reversed, sdt])?;
        Ok(history.unwrap_or_default())
    }
}

/// Reads `key, id, store, fingerprints, sdt`; `sdt` is the record's.
fn candidate(row: &rusqlite::Row<'_>, sdt: i64) -> rusqlite::Result<Candidate<CallKey>> {
    let (fingerprints, _) = row.get_ref(3)?.as_blob()?.as_chunks();
    Ok(Candidate {
        key: CallKey(row.get(0)?),
        id: Uuid::from_bytes(row.get(1)?),
        store: row.get(2)?,
        fingerprints: fingerprints.to_vec(),
        apart: sdt.abs_diff(row.get(4)?).cast_signed(),
    })
}
