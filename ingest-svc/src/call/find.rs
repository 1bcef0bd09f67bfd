//! Which call a record belongs to. Providers use a `seq` again, some of them for two calls at a time, so it is not enough: a
//! record that is merged into another call shows its caller on that call's pads.

use uuid::Uuid;

use super::{
    facts::{Call, called},
    key::CallKey,
};
use crate::{
    cdr::{Cdr, Fingerprint, Record},
    phone::Called,
    store::{Directory, Line, NumberKind, Route, StoreKey, VirtualNumber},
};

/// By how many seconds the `sdt` of two records of one call may differ.
pub(crate) const SAME_CALL: i64 = 2 * 60 * 60;

/// Calls with a record's `seq` that a backend loads, on each side of its `sdt`. The nearest ones come first.
pub(crate) const CANDIDATES: i64 = 32;

/// How many of them are read completely. A source with more calls so near, and with one `seq`, gets new ones.
const READ: usize = 8;

/// A call with the `seq` of a record; its facts are not read yet.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) key: CallKey,
    pub(crate) id: Uuid,
    pub(crate) store: Option<StoreKey>,
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// Seconds between its `sdt` and the record's.
    pub(crate) apart: i64,
}

/// The call of a record.
#[derive(Debug)]
pub(crate) enum Found {
    /// This call has had it already.
    Repeat(Uuid),
    /// It is one more of this call.
    Known(CallKey, Box<Call>),
    /// It is the first one of its call. If there are other calls with its `seq`: why it does not belong to the nearest one.
    New(Option<NewCallReason>),
}

/// Why a record does not belong to an earlier call with the same `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewCallReason {
    /// Its number belongs to another store, or to none.
    Number,
    /// One of the two calls had ended before the other one began.
    Ended,
    /// They began more than two hours apart.
    Apart,
}

/// Finds the call that a record belongs to: of several, the one whose `sdt` is nearest. `read` reads a candidate completely;
/// `None`: it cannot be read, and does not count.
pub(crate) fn find<E>(
    mut candidates: Vec<Candidate>,
    record: &Record,
    directory: &Directory,
    read: impl Fn(Candidate) -> Result<Option<(CallKey, Call)>, E>,
) -> Result<Found, E> {
    candidates.sort_by_key(|candidate| candidate.apart);
    // Every candidate is compared: a repeat must find its own call, though another one may be as near.
    if let Some(call) = candidates.iter().find(|call| call.fingerprints.contains(&record.fingerprint)) {
        return Ok(Found::Repeat(call.id));
    }
    let is_used = !candidates.is_empty();
    let mut nearest = None;
    for candidate in candidates.into_iter().take_while(|candidate| candidate.apart <= SAME_CALL).take(READ) {
        let Some((key, call)) = read(candidate)? else { continue };
        let Some(reason) = new_call_reason(&call, record, directory) else {
            return Ok(Found::Known(key, Box::new(call)));
        };
        nearest = nearest.or(Some(reason));
    }
    Ok(Found::New(nearest.or(is_used.then_some(NewCallReason::Apart))))
}

/// Why the record does not belong to this call, if it does not.
fn new_call_reason(call: &Call, record: &Record, directory: &Directory) -> Option<NewCallReason> {
    let (facts, cdr) = (&call.facts, &record.cdr);
    if is_elsewhere(call, cdr, directory) {
        return Some(NewCallReason::Number);
    }
    let before = |end: Option<i64>, begin: i64| end.is_some_and(|end| end < begin);
    let has_ended = before(facts.edt(), cdr.sdt().as_second())
        || before(cdr.edt().map(|edt| edt.as_second()), facts.sdt());
    has_ended.then_some(NewCallReason::Ended)
}

/// Whether the record's number belongs to another store than the call. A number that the call has had itself does not, though
/// it may have a new owner now.
fn is_elsewhere(call: &Call, cdr: &Cdr, directory: &Directory) -> bool {
    let facts = &call.facts;
    let (virtual_number, line) = (VirtualNumber::of(cdr), Line::of(cdr));
    match directory.route(virtual_number.as_ref(), line.as_ref()) {
        Some(Route { store, by }) => {
            // A call without a store, and without such a number, may get both.
            let has_one = call.store.is_some() || facts.called(by).is_some();
            let has_had = called(cdr, by).is_some_and(|number| facts.has_had(by, number));
            call.store != Some(store) && has_one && !has_had
        }
        // A number without an owner yet, or a line; a call may see several lines.
        None => {
            let kind = NumberKind::VirtualNumber;
            match (cdr.vn(), facts.called(kind)) {
                (Some(number @ Called::Number(_)), Some(Called::Number(_))) => !facts.has_had(kind, number),
                _ => false,
            }
        }
    }
}
