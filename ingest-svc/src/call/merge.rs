//! A record is merged into its call.

use super::facts::{Call, Facts};
use crate::{
    capacity::RECORD,
    cdr::Record,
    phone::PhoneNumber,
    store::{Directory, StoreKey},
};
use ringpad_proto::v1;

/// By how many seconds a record's `sdt` may be before or after our clock at receipt. Beyond that it is not known when the phone
/// rang, or whether it still does: the call is listed, and does not pop up.
const FRESH: u64 = 120;

/// Whether an update makes its call pop up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Popup {
    /// It does, until then.
    Until(jiff::Timestamp),
    /// The call rings, but it began too long before or after its record was received.
    Late,
    /// The call does not ring.
    None,
}

/// What a record has changed in its call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merged {
    pub(super) popup: Popup,
    /// Not all parameters of the record, or of the call, were kept.
    pub(super) had_more: bool,
    /// The store and the caller are both known for the first time, or the caller is another one: the caller is to be counted.
    is_new_caller: bool,
    /// The caller had a number before this record.
    had_number: bool,
}

impl Merged {
    /// The caller whose history is to be read, and whose call is then to be counted.
    pub(super) fn caller_to_count<'a>(&self, call: &'a Call) -> Option<(StoreKey, &'a PhoneNumber)> {
        call.store.filter(|_| self.is_new_caller).zip(call.facts.caller_number())
    }

    /// Whether this record has brought the caller's number.
    pub(super) fn brings_number(&self) -> bool {
        !self.had_number
    }
}

/// Merges a record into its call, and finds the call's store if it has none yet.
pub(super) fn merge(
    call: &mut Call,
    record: &Record,
    directory: &Directory,
    popup_ttl: jiff::SignedDuration,
) -> Merged {
    if call.fingerprints.len() == RECORD.fingerprints {
        call.fingerprints.remove(0);
    }
    call.fingerprints.push(record.fingerprint);
    let earlier_caller = call.facts.caller_number().cloned();
    let had_more = call.facts.add(record.cdr.clone(), record.answered);
    let popup = popup(&mut call.facts, record, popup_ttl);
    if call.store.is_none() {
        let (virtual_number, line) = (call.facts.virtual_number(), call.facts.line());
        call.store = directory.route(virtual_number.as_ref(), line.as_ref()).map(|route| route.store);
    }
    let is_new_caller = call.facts.history.is_none() || earlier_caller.as_ref() != call.facts.caller_number();
    Merged { popup, had_more, is_new_caller, had_number: earlier_caller.is_some() }
}

/// Whether the call pops up because of the record that was just added: it rings, and it began just now.
fn popup(facts: &mut Facts, record: &Record, popup_ttl: jiff::SignedDuration) -> Popup {
    if facts.state() != v1::CallState::Ringing {
        return Popup::None;
    }
    let (sdt, received_at) = (record.cdr.sdt(), record.received_at);
    if received_at.as_second().abs_diff(sdt.as_second()) > FRESH {
        return Popup::Late;
    }
    let until = received_at.saturating_add(popup_ttl).unwrap_or(received_at);
    facts.pop_until = Some(until.as_millisecond());
    Popup::Until(until)
}
