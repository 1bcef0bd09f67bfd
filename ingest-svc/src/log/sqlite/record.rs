//! Logs a record: loads its call and what the store knows of the caller, and stores what the rules make of them.

use ringpad_bus::Event;
use rusqlite::{Connection, OptionalExtension, params, types::ValueRef};
use uuid::Uuid;

use super::{
    super::{
        json::{facts, from_json},
        unreadable::{Kind, UnreadableRows},
    },
    action::change_caller,
    customers,
    rows::{insert_call, reversed, update_call},
};
use crate::{
    call::{
        self, CANDIDATES, Call, CallKey, Candidate, Context, Facts, Found, History, NewEvent, RecordOutcome,
        WrittenBefore,
    },
    cdr::Record,
    phone::PhoneNumber,
    store::{Directory, NextPosition, StoreKey},
};

/// What a job works with inside the transaction, and its savepoint if it has one.
pub(super) struct Savepoint<'a> {
    pub(super) connection: &'a Connection,
    pub(super) directory: &'a mut Directory,
    pub(super) unreadable: &'a UnreadableRows,
    pub(super) epoch: Uuid,
    /// The key of the job's event, if it makes one.
    pub(super) event_key: u64,
    pub(super) now: jiff::Timestamp,
}

impl Savepoint<'_> {
    /// Logs a record.
    pub(super) fn log(
        &mut self,
        record: &Record,
        popup_ttl: jiff::SignedDuration,
    ) -> rusqlite::Result<(RecordOutcome, Option<Event>)> {
        let found = self.find(record)?;
        let context = Context { directory: self.directory, popup_ttl, now: self.now, new_id: Uuid::now_v7 };
        let (outcome, changed) = call::log_record(found, record, &context, |store, caller, sdt| {
            self.count_caller(store, caller, sdt)
        })?;
        let Some(changed) = changed else { return Ok((outcome, None)) };
        match changed.key {
            Some(key) => update_call(self.connection, key, &changed.call, &changed.seen)?,
            None => insert_call(self.connection, &changed.call, record, &changed.seen)?,
        }
        if let Some(WrittenBefore { named, caller }) = &changed.written {
            named.iter().try_for_each(|named| customers::name(self.connection, named))?;
            change_caller(self.connection, caller)?;
        }
        let event = changed.event.map(|event| self.write_event(event)).transpose()?;
        Ok((outcome, event))
    }

    /// Writes a store's next event, and takes its position.
    pub(super) fn write_event(&mut self, event: NewEvent) -> rusqlite::Result<Event> {
        let NewEvent { next: NextPosition { store, store_id, position }, bytes, receipt } = event;
        self.connection
            .prepare_cached(
                "INSERT INTO events (key, store, position, created, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![self.event_key, store, position, self.now.as_millisecond(), bytes])?;
        self.directory.take_position(store);
        Ok(Event { store_id, epoch: self.epoch, position, bytes: bytes.into(), receipt })
    }

    fn find(&self, record: &Record) -> rusqlite::Result<Found> {
        let candidates = self.candidates(record)?;
        call::find(candidates, record, self.directory, |candidate| {
            let Candidate { key, id, store, fingerprints, apart: _ } = candidate;
            let facts = self.read_facts(key);
            // A call that cannot be read does not count: its records make a new one.
            let facts = self.unreadable.readable(Kind::Facts, key.0, facts)?;
            Ok(facts.map(|facts| (key, Call { id, store, facts, fingerprints })))
        })
    }

    fn read_facts(&self, key: CallKey) -> rusqlite::Result<Facts> {
        self.connection
            .prepare_cached("SELECT facts, call FROM calls WHERE key = ?1")?
            .query_row([key], |row| Ok(facts(row.get_ref(0)?.as_bytes()?, row.get_ref(1)?.as_bytes()?)?))
    }

    /// The calls with the record's `seq`.
    fn candidates(&self, record: &Record) -> rusqlite::Result<Vec<Candidate>> {
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
        let customers = customers::of_caller(self.connection, store, &reversed)?;
        let history = self
            .connection
            .prepare_cached(
                "SELECT calls, last_call, last_note, last_reservation FROM callers WHERE store = ?1 AND reversed = ?2",
            )?
            .query_row(params![store, reversed], |row| {
                let reservation = (!matches!(row.get_ref(3)?, ValueRef::Null))
                    .then(|| Ok(from_json(row.get_ref(3)?.as_bytes()?)?))
                    .transpose();
                let reservation = self.unreadable.readable(Kind::Reservation, store.0, reservation)?;
                Ok(History {
                    calls: row.get(0)?,
                    last_call: Some(row.get(1)?),
                    last_note: row.get(2)?,
                    last_reservation: reservation.flatten(),
                    customers: Vec::new(),
                })
            })
            .optional()?;
        self.connection
            .prepare_cached(
                "INSERT INTO callers (store, reversed, calls, last_call) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (store, reversed) DO UPDATE SET calls = calls + 1, last_call = max(last_call, excluded.last_call)",
            )?
            .execute(params![store, reversed, sdt])?;
        Ok(history.unwrap_or_default().with_customers(customers))
    }
}

/// Reads `key, id, store, fingerprints, sdt`; `sdt` is the record's.
fn candidate(row: &rusqlite::Row<'_>, sdt: i64) -> rusqlite::Result<Candidate> {
    let (fingerprints, _) = row.get_ref(3)?.as_blob()?.as_chunks();
    Ok(Candidate {
        key: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        store: row.get(2)?,
        fingerprints: fingerprints.to_vec(),
        apart: sdt.abs_diff(row.get(4)?).cast_signed(),
    })
}
