//! What the records and actions of a batch work with in memory: loaded before them ([`super::load`]), written after them
//! ([`super::save`]). Locks in the database keep all of it as it was loaded until the commit.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ringpad_bus::Event;
use uuid::Uuid;

use super::{
    super::{
        error::Obstacle,
        json::{as_json, facts, from_json},
        unreadable::{Kind, UnreadableRows},
    },
    error::Failure,
    rows::reversed,
};
use crate::{
    call::{
        self, ActionChange, ActionOutcome, ActionRequest, Applied, CANDIDATES, Call, CallKey, CallerChange,
        Candidate, ChangedCall, Context, Facts, Found, History, NamedCustomer, NewEvent, RecordOutcome,
        Reservation, WrittenBefore,
    },
    cdr::{Fingerprint, Record},
    customer::{Customer, CustomerNumber, Earlier, KnownCustomer, SHOWN},
    phone::PhoneNumber,
    store::{Directory, NextPosition, StoreKey},
};

/// A call's row.
pub(super) struct CallRow {
    pub(super) id: Uuid,
    pub(super) source: Arc<str>,
    pub(super) seq: String,
    pub(super) sdt: i64,
    pub(super) store: Option<StoreKey>,
    pub(super) caller: Option<String>,
    pub(super) state: i32,
    pub(super) facts: Vec<u8>,
    pub(super) fingerprints: Vec<Fingerprint>,
    /// The call as pads see it.
    pub(super) seen: Vec<u8>,
    pub(super) is_changed: bool,
}

/// What a store knows of a caller.
#[derive(Default)]
pub(super) struct CallerRow {
    pub(super) calls: u32,
    /// `None`: the row does not exist.
    pub(super) last_call: Option<i64>,
    pub(super) last_note: String,
    /// JSON.
    pub(super) last_reservation: Option<Vec<u8>>,
    /// The adopter's records of the caller, also if the row does not exist.
    pub(super) customers: Vec<KnownCustomer>,
    pub(super) is_changed: bool,
}

/// An event's row.
pub(super) struct EventRow {
    pub(super) store: StoreKey,
    pub(super) position: u64,
    pub(super) bytes: bytes::Bytes,
}

/// A store's caller: its number read backwards.
pub(super) type CallerKey = (StoreKey, String);

/// The loaded part of the log.
pub(super) struct Working {
    /// The stores and numbers that the batch can meet.
    pub(super) directory: Directory,
    /// The calls; new ones have negative keys, in the order in which they were made.
    pub(super) calls: BTreeMap<CallKey, CallRow>,
    /// The calls with a source and `seq`.
    pub(super) by_seq: HashMap<(Arc<str>, String), Vec<CallKey>>,
    pub(super) by_id: HashMap<Uuid, CallKey>,
    /// Every caller that the batch can count or change.
    pub(super) callers: BTreeMap<CallerKey, CallerRow>,
    pub(super) events: Vec<EventRow>,
    /// What pads have written about callers with a number, by store and the customer's id.
    pub(super) named: BTreeMap<(StoreKey, String), (Customer, CustomerNumber)>,
    /// The calls, by id, whose reservation was written: their store, and when it is.
    pub(super) reserved: BTreeMap<Uuid, (StoreKey, Option<i64>)>,
    pub(super) epoch: Uuid,
    pub(super) popup_ttl: jiff::SignedDuration,
    pub(super) now: jiff::Timestamp,
    pub(super) unreadable: UnreadableRows,
}

impl Working {
    pub(super) fn add_call(&mut self, key: CallKey, row: CallRow) {
        self.by_seq.entry((Arc::clone(&row.source), row.seq.clone())).or_default().push(key);
        self.by_id.insert(row.id, key);
        self.calls.insert(key, row);
    }

    /// Logs a record.
    pub(super) fn log(&mut self, record: &Record) -> Result<(RecordOutcome, Option<Event>), Failure> {
        let found = self.find(record)?;
        let context = Context {
            directory: &self.directory,
            popup_ttl: self.popup_ttl,
            now: self.now,
            new_id: Uuid::now_v7,
        };
        let (callers, unreadable) = (&mut self.callers, &self.unreadable);
        let (outcome, changed) = call::log_record(found, record, &context, |store, caller, sdt| {
            count_caller(callers, unreadable, store, caller, sdt)
        })?;
        let Some(ChangedCall { key, call, written, seen, event }) = changed else {
            return Ok((outcome, None));
        };
        if let Some(WrittenBefore { named, caller }) = written {
            named.into_iter().for_each(|named| self.name(named));
            self.change_caller(&caller)?;
        }
        match key {
            Some(key) => self.update_call(key, &call, seen)?,
            None => self.insert_call(&call, record, seen)?,
        }
        Ok((outcome, event.map(|event| self.write_event(event))))
    }

    /// Does an action.
    pub(super) fn act(&mut self, request: &ActionRequest) -> Result<(ActionOutcome, Option<Event>), Failure> {
        let Some((key, mut call)) = self.find_call(request) else {
            return Ok((ActionOutcome::NoSuchCall, None));
        };
        let seen = self.calls.get(&key).map(|row| row.seen.clone()).unwrap_or_default();
        let ActionChange { caller, customer, reserved, seen, event } =
            match call::apply(&mut call, request, &self.directory) {
                Applied::NoSuchCall => return Ok((ActionOutcome::NoSuchCall, None)),
                Applied::NoSuchCustomer => return Ok((ActionOutcome::NoSuchCustomer, None)),
                Applied::ClaimedBy(claim) => return Ok((ActionOutcome::ClaimedBy(claim), None)),
                Applied::Repeat => return Ok((ActionOutcome::Done(seen), None)),
                Applied::Unchanged => {
                    self.update_call(key, &call, seen.clone())?;
                    return Ok((ActionOutcome::Done(seen), None));
                }
                Applied::Changed(changed) => *changed,
            };
        if let Some(change) = caller {
            self.change_caller(&change)?;
        }
        self.update_call(key, &call, seen.clone())?;
        customer.into_iter().for_each(|named| self.name(named));
        if let Some(at) = reserved {
            self.reserved.insert(call.id, (event.next.store, at));
        }
        Ok((ActionOutcome::Done(seen), Some(self.write_event(event))))
    }

    fn find(&self, record: &Record) -> Result<Found, Failure> {
        let sdt = record.cdr.sdt().as_second();
        let candidates = self.candidates(record, sdt);
        call::find(candidates, record, &self.directory, |candidate| {
            let Candidate { key, id, store, fingerprints, apart: _ } = candidate;
            // A call that cannot be read does not count: its records make a new one.
            let facts = self.calls.get(&key).and_then(|row| self.facts(key, row));
            Ok(facts.map(|facts| (key, Call { id, store, facts, fingerprints })))
        })
    }

    /// The calls with the record's `seq`: as many on each side of its `sdt` as the other backend loads, in its order. Of two that are
    /// as near, that decides which one the record belongs to.
    fn candidates(&self, record: &Record, sdt: i64) -> Vec<Candidate> {
        let key = (Arc::clone(&record.source), record.cdr.seq().to_owned());
        let keys = self.by_seq.get(&key).into_iter().flatten();
        let mut calls: Vec<_> = keys.filter_map(|key| self.calls.get(key).map(|row| (*key, row))).collect();
        calls.sort_by_key(|(_, row)| row.sdt);
        let (earlier, later) = calls.split_at(calls.partition_point(|(_, row)| row.sdt <= sdt));
        let side = usize::try_from(CANDIDATES).unwrap_or(usize::MAX);
        let near = earlier.iter().rev().take(side).chain(later.iter().take(side));
        near.map(|(key, row)| Candidate {
            key: *key,
            id: row.id,
            store: row.store,
            fingerprints: row.fingerprints.clone(),
            apart: sdt.abs_diff(row.sdt).cast_signed(),
        })
        .collect()
    }

    /// The call, if the store has it and it can be read.
    fn find_call(&self, request: &ActionRequest) -> Option<(CallKey, Call)> {
        let key = *self.by_id.get(&request.call_id)?;
        let row = self.calls.get(&key)?;
        let store = self.directory.store(row.store?)?;
        if *store.id != *request.store_id {
            return None;
        }
        let facts = self.facts(key, row)?;
        let fingerprints = row.fingerprints.clone();
        Some((key, Call { id: row.id, store: row.store, facts, fingerprints }))
    }

    /// The facts of a call, if they can be read.
    fn facts(&self, key: CallKey, row: &CallRow) -> Option<Facts> {
        let facts = facts(&row.facts, &row.seen).ok();
        if facts.is_none() {
            self.unreadable.note(Kind::Facts, key.0);
        }
        facts
    }

    fn insert_call(&mut self, call: &Call, record: &Record, seen: Vec<u8>) -> Result<(), Failure> {
        let new = self.calls.keys().take_while(|key| key.0 < 0).count();
        let key = CallKey(-1 - i64::try_from(new).unwrap_or(i64::MAX - 1));
        let row = CallRow {
            id: call.id,
            source: Arc::clone(&record.source),
            seq: record.cdr.seq().to_owned(),
            sdt: 0,
            store: None,
            caller: None,
            state: 0,
            facts: Vec::new(),
            fingerprints: Vec::new(),
            seen: Vec::new(),
            is_changed: true,
        };
        self.add_call(key, row);
        self.update_call(key, call, seen)
    }

    fn update_call(&mut self, key: CallKey, call: &Call, seen: Vec<u8>) -> Result<(), Failure> {
        let facts = as_json(&call.facts)?;
        if let Some(row) = self.calls.get_mut(&key) {
            row.sdt = call.facts.sdt();
            row.store = call.store;
            row.caller = call.facts.caller_number().map(|number| number.e164().to_owned());
            row.state = call.facts.state().into();
            row.facts = facts;
            row.fingerprints.clone_from(&call.fingerprints);
            row.seen = seen;
            row.is_changed = true;
        }
        Ok(())
    }

    /// Keeps what is known of a customer to be written; later calls of the batch show it.
    fn name(&mut self, NamedCustomer { store, customer, number }: NamedCustomer) {
        let Some(number) = number else { return };
        let of_store = self.callers.iter_mut().filter(|((of, _), _)| *of == store);
        for ((_, caller), row) in of_store {
            let known = row.customers.iter_mut().find(|known| known.customer.id == customer.id);
            if let Some(known) = known {
                known.customer.clone_from(&customer);
            } else if *caller == reversed(number.e164()) {
                row.customers.push(KnownCustomer { customer: customer.clone(), earlier: Earlier::default() });
                row.customers.sort_by(|a, b| a.customer.id.cmp(&b.customer.id));
                row.customers.truncate(SHOWN);
            }
        }
        self.named.insert((store, customer.id.clone()), (customer, number));
    }

    /// Keeps an event to be written, and takes its position.
    fn write_event(&mut self, event: NewEvent) -> Event {
        let NewEvent { next: NextPosition { store, store_id, position }, bytes, receipt } = event;
        let bytes = bytes::Bytes::from(bytes);
        self.events.push(EventRow { store, position, bytes: bytes.clone() });
        self.directory.take_position(store);
        Event { store_id, epoch: self.epoch, position, bytes, receipt }
    }

    fn change_caller(&mut self, change: &CallerChange) -> Result<(), Failure> {
        let CallerChange { store, caller, note, reservation, keeps_note, keeps_reservation } = change;
        let row = loaded(&mut self.callers, *store, caller)?;
        // A caller whose last call was deleted because of its age.
        if row.last_call.is_none() {
            return Ok(());
        }
        if !keeps_note {
            row.last_note.clone_from(note);
        }
        if !keeps_reservation {
            row.last_reservation = reservation.as_ref().map(as_json).transpose()?;
        }
        row.is_changed = true;
        Ok(())
    }
}

/// What the store knew of the caller until now; with a call that began at `sdt`, the caller has called once more.
fn count_caller(
    callers: &mut BTreeMap<CallerKey, CallerRow>,
    unreadable: &UnreadableRows,
    store: StoreKey,
    caller: &PhoneNumber,
    sdt: i64,
) -> Result<History, Failure> {
    let row = loaded(callers, store, caller)?;
    let history = if row.last_call.is_some() {
        let last_reservation: Option<Option<Reservation>> =
            row.last_reservation.as_deref().map(|json| from_json(json).ok());
        if last_reservation == Some(None) {
            unreadable.note(Kind::Reservation, store.0);
        }
        History {
            calls: row.calls,
            last_call: row.last_call,
            last_note: row.last_note.clone(),
            last_reservation: last_reservation.flatten(),
            customers: Vec::new(),
        }
    } else {
        History::default()
    };
    let history = history.with_customers(row.customers.clone());
    row.calls = row.calls.saturating_add(1);
    row.last_call = row.last_call.max(Some(sdt));
    row.is_changed = true;
    Ok(history)
}

/// A caller's row. One that was not looked for must not count as a new caller: what the log has of it would be overwritten.
fn loaded<'a>(
    callers: &'a mut BTreeMap<CallerKey, CallerRow>,
    store: StoreKey,
    caller: &PhoneNumber,
) -> Result<&'a mut CallerRow, Failure> {
    callers.get_mut(&(store, reversed(caller.e164()))).ok_or_else(|| Failure::Job(Obstacle::NotLoaded.into()))
}
