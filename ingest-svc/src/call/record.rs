//! What a record makes of its call, and what a backend stores of that.

use prost::Message;
use ringpad_bus::Receipt;
use uuid::Uuid;

use super::{
    action::NamedCustomer,
    encode::encode_update,
    event::NewEvent,
    facts::Call,
    find::{Found, NewCallReason},
    history::{CallerChange, History},
    key::CallKey,
    merge::{Popup, merge},
};
use crate::{
    cdr::Record,
    customer::CustomerNumber,
    phone::PhoneNumber,
    store::{Directory, StoreKey},
};

/// What became of a record that is durably logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// New, and its store's pads will see it.
    Accepted,
    /// After parsing, equal in every field to a record already logged.
    Duplicate,
    /// No store owns the number; tried again at the call's next record.
    Unrouted,
}

/// The answer to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingested {
    /// The call that the record belongs to.
    pub call_id: Uuid,
    /// What became of it.
    pub status: Status,
}

/// What else decides what becomes of a record.
pub(crate) struct Context<'a> {
    pub(crate) directory: &'a Directory,
    /// How long a call pops up after its ring record was received.
    pub(crate) popup_ttl: jiff::SignedDuration,
    pub(crate) now: jiff::Timestamp,
    /// Makes the id of a new call.
    pub(crate) new_id: fn() -> Uuid,
}

/// What became of a record.
#[derive(Debug)]
pub(crate) struct RecordOutcome {
    pub(crate) ingested: Ingested,
    /// There is an earlier call with its `seq`, and this is why the record does not belong to it.
    pub(crate) new_call: Option<NewCallReason>,
    /// It does not pop up because of its age alone.
    pub(crate) is_late: bool,
    /// Not all parameters of the record, or of the call, were kept.
    pub(crate) had_more: bool,
}

/// What a backend stores of a record.
#[derive(Debug)]
pub(crate) struct ChangedCall {
    /// `None`: the call is new.
    pub(crate) key: Option<CallKey>,
    pub(crate) call: Call,
    /// What pads have written about the caller, if only this record has brought the number.
    pub(crate) written: Option<WrittenBefore>,
    /// The call as pads see it, an encoded `ringpad.v1.Call`.
    pub(crate) seen: Vec<u8>,
    /// `None`: no store's pads see the call.
    pub(crate) event: Option<NewEvent>,
}

/// What pads have written on a call before its caller's number was known: from now on it is found by the number.
#[derive(Debug)]
pub(crate) struct WrittenBefore {
    /// Who the caller is.
    pub(crate) named: Vec<NamedCustomer>,
    /// Note and reservation.
    pub(crate) caller: CallerChange,
}

/// Adds a record to its call. A repeat changes nothing. `count_caller` returns what the store knows of a caller, and counts one
/// more call, which began at a Unix second.
pub(crate) fn log_record<E>(
    found: Found,
    record: &Record,
    context: &Context<'_>,
    count_caller: impl FnOnce(StoreKey, &PhoneNumber, i64) -> Result<History, E>,
) -> Result<(RecordOutcome, Option<ChangedCall>), E> {
    let (key, mut call, new_call) = match found {
        Found::Repeat(call_id) => {
            let ingested = Ingested { call_id, status: Status::Duplicate };
            return Ok((RecordOutcome { ingested, new_call: None, is_late: false, had_more: false }, None));
        }
        Found::Known(key, call) => (Some(key), *call, None),
        Found::New(reason) => (None, Call::new((context.new_id)()), reason),
    };
    let merged = merge(&mut call, record, context.directory, context.popup_ttl);
    // The history is what the store knew before this call, and pads see it in this record's event.
    let mut written = None;
    if let Some((store, caller)) = merged.caller_to_count(&call) {
        let mut history = count_caller(store, caller, call.facts.sdt())?;
        if merged.brings_number() && !call.facts.pad_state.is_empty() {
            let before = WrittenBefore::of(&call, store, caller);
            history.add_named(&before.named);
            written = Some(before);
        }
        call.facts.history = Some(history);
    }
    let next = call.store.and_then(|store| context.directory.next_position(store));
    let seen = call.as_seen(next.as_ref().map_or(0, |next| next.position));
    let encoded = seen.encode_to_vec();
    let event = next.map(|next| {
        let bytes = encode_update(next.position, seen, merged.popup);
        NewEvent { next, bytes, receipt: receipt(record, context) }
    });
    let status = if event.is_some() { Status::Accepted } else { Status::Unrouted };
    let outcome = RecordOutcome {
        ingested: Ingested { call_id: call.id, status },
        new_call,
        is_late: status == Status::Accepted && merged.popup == Popup::Late,
        had_more: merged.had_more,
    };
    Ok((outcome, Some(ChangedCall { key, call, written, seen: encoded, event })))
}

impl WrittenBefore {
    fn of(call: &Call, store: StoreKey, caller: &PhoneNumber) -> Self {
        let known = call.facts.history.iter().flat_map(|history| &history.customers);
        let number = CustomerNumber::new(caller);
        let named = known.filter(|customer| !customer.id.is_empty()).map(|customer| NamedCustomer {
            store,
            customer: customer.clone(),
            number: Some(number.clone()),
        });
        let caller = CallerChange::of_call((store, caller.clone()), &call.facts.pad_state);
        Self { named: named.collect(), caller }
    }
}

/// From when the time to the pads is measured. A record from the quarantine was received long ago: how long it has taken says
/// nothing.
fn receipt(record: &Record, context: &Context<'_>) -> Option<Receipt> {
    let is_fresh = context.now.duration_since(record.received_at) <= context.popup_ttl;
    is_fresh
        .then(|| Receipt { at: record.received_at.as_millisecond(), traceparent: record.traceparent.clone() })
}
