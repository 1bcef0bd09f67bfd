//! Does a pad's action: loads its call, and stores what the rules make of it.

use ringpad_bus::Event;
use rusqlite::{Connection, params};

use super::{
    super::{json::as_json, unreadable::Kind},
    customers,
    record::Savepoint,
    rows::{read_call, reversed, update_call},
};
use crate::call::{self, ActionChange, ActionOutcome, ActionRequest, Applied, Call, CallKey, CallerChange};
use crate::store::StoreKey;

impl Savepoint<'_> {
    /// Does an action.
    pub(super) fn act(
        &mut self,
        request: &ActionRequest,
    ) -> rusqlite::Result<(ActionOutcome, Option<Event>)> {
        let Some((key, mut call)) = self.find_call(request)? else {
            return Ok((ActionOutcome::NoSuchCall, None));
        };
        let changed = match call::apply(&mut call, request, self.directory) {
            Applied::NoSuchCall => return Ok((ActionOutcome::NoSuchCall, None)),
            Applied::NoSuchCustomer => return Ok((ActionOutcome::NoSuchCustomer, None)),
            Applied::ClaimedBy(claim) => return Ok((ActionOutcome::ClaimedBy(claim), None)),
            Applied::Repeat => return Ok((ActionOutcome::Done(seen(self.connection, key)?), None)),
            Applied::Unchanged => {
                let seen = seen(self.connection, key)?;
                update_call(self.connection, key, &call, &seen)?;
                return Ok((ActionOutcome::Done(seen), None));
            }
            Applied::Changed(changed) => changed,
        };
        let ActionChange { caller, customer, reserved, seen, event } = *changed;
        if let Some(change) = caller {
            change_caller(self.connection, &change)?;
        }
        if let Some(named) = customer {
            customers::name(self.connection, &named)?;
        }
        update_call(self.connection, key, &call, &seen)?;
        if let Some(at) = reserved {
            reserve(self.connection, key, event.next.store, at)?;
        }
        let event = self.write_event(event)?;
        Ok((ActionOutcome::Done(seen), Some(event)))
    }

    /// The call, if the store has it and it can be read. By the index on the id alone: an unknown id costs one look-up, however
    /// many calls the store has.
    fn find_call(&self, request: &ActionRequest) -> rusqlite::Result<Option<(CallKey, Call)>> {
        let mut select = self.connection.prepare_cached(
            "SELECT calls.key, calls.id, calls.store, facts, fingerprints, call
             FROM calls INDEXED BY calls_by_id CROSS JOIN stores ON stores.key = calls.store
             WHERE calls.id = ?1 AND stores.id = ?2 AND stores.deleted = 0",
        )?;
        let mut rows = select.query(params![request.call_id.as_bytes(), request.store_id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let key: CallKey = row.get(0)?;
        let call = self.unreadable.readable(Kind::Facts, key.0, read_call(row, 1))?;
        Ok(call.map(|call| (key, call)))
    }
}

/// Notes when a call's reservation is; `None`: it has none.
fn reserve(connection: &Connection, call: CallKey, store: StoreKey, at: Option<i64>) -> rusqlite::Result<()> {
    match at {
        Some(at) => connection
            .prepare_cached("INSERT OR REPLACE INTO reservations (call, store, at) VALUES (?1, ?2, ?3)")?
            .execute(params![call, store, at])?,
        None => connection.prepare_cached("DELETE FROM reservations WHERE call = ?1")?.execute([call])?,
    };
    Ok(())
}

pub(super) fn change_caller(connection: &Connection, change: &CallerChange) -> rusqlite::Result<()> {
    let CallerChange { store, caller, note, reservation, keeps_note, keeps_reservation } = change;
    let reservation = reservation.as_ref().map(as_json).transpose()?;
    connection
        .prepare_cached(
            "UPDATE callers SET last_note = iif(?5, last_note, ?3), last_reservation = iif(?6, last_reservation, ?4)
             WHERE store = ?1 AND reversed = ?2",
        )?
        .execute(params![store, reversed(caller.e164()), note, reservation, keeps_note, keeps_reservation])?;
    Ok(())
}

/// The call as pads see it now.
fn seen(connection: &Connection, key: CallKey) -> rusqlite::Result<Vec<u8>> {
    connection.prepare_cached("SELECT call FROM calls WHERE key = ?1")?.query_row([key], |row| row.get(0))
}
