//! A call, merged from its records. What a final record says stands above what was said at ring time, whichever came
//! first; among records of one kind the one that came later corrects the earlier, parameter by parameter.

use prost::Message;
use ringpad_proto::{Timestamp, v1};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    act::{Doings, Reserved},
    directory::NumberKind,
};
use crate::{
    bounds::{self, cut},
    cdr::Cdr,
    phone::{Called, Caller, PhoneNumber},
};

/// How many seconds a record's `sdt` may be old, or ahead of our clock, when it comes in. Beyond that nobody knows when it
/// rang, or that it still does: it is listed, and does not pop.
const FRESH: u64 = 120;

/// What the store knew of the caller when the call came in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) calls: u32,
    /// Unix seconds.
    pub(super) last_call: Option<i64>,
    pub(super) last_note: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_reservation: Option<Reserved>,
}

/// Whether a record makes its call pop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pop {
    /// It does, until then.
    Until(jiff::Timestamp),
    /// It would, had it come in when the call began, by our clock.
    Late,
    /// The call does not ring.
    No,
}

impl Pop {
    pub(super) fn until(self) -> Option<jiff::Timestamp> {
        match self {
            Self::Until(until) => Some(until),
            Self::Late | Self::No => None,
        }
    }
}

/// Everything that a call's records have said.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Facts {
    /// What was said while the call was going on.
    ring: Option<Cdr>,
    /// What was said when it was over.
    end: Option<Cdr>,
    /// By the source's rule, asked of the final records.
    answered: bool,
    /// Of the caller, in the store; counted when the call was known with both.
    pub(super) history: Option<History>,
    /// Until when its last ring pops, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pop_until: Option<i64>,
    /// What pads have done to it; no record changes that.
    #[serde(default, skip_serializing_if = "Doings::is_empty")]
    pub(super) doings: Doings,
}

impl Facts {
    /// Merges a record in. True: not all that it, or an older one, has of parameters without a name here has found room now.
    pub(super) fn add(&mut self, record: Cdr, answered: bool) -> bool {
        let of_its_kind = if record.is_final() {
            self.answered |= answered;
            &mut self.end
        } else {
            &mut self.ring
        };
        let had_more = record.had_more();
        let (merged, said_before) = match of_its_kind.take() {
            Some(older) => {
                let said_before = older.had_more();
                (record.over(older), said_before)
            }
            None => (record, false),
        };
        let has_more = had_more || (merged.had_more() && !said_before);
        *of_its_kind = Some(merged);
        has_more
    }

    /// Whether the record that was just added is worth a popup: the call rings, and it began just now.
    pub(super) fn pop(
        &mut self,
        sdt: jiff::Timestamp,
        received_at: jiff::Timestamp,
        popup_ttl: jiff::SignedDuration,
    ) -> Pop {
        if self.state() != v1::CallState::Ringing {
            return Pop::No;
        }
        if received_at.as_second().abs_diff(sdt.as_second()) > FRESH {
            return Pop::Late;
        }
        let until = received_at.saturating_add(popup_ttl).unwrap_or(received_at);
        self.pop_until = Some(until.as_millisecond());
        Pop::Until(until)
    }

    /// What the final record says, else what was said before.
    fn said<'a, T>(&'a self, parameter: impl Fn(&'a Cdr) -> Option<T>) -> Option<T> {
        self.end.as_ref().and_then(&parameter).or_else(|| self.ring.as_ref().and_then(&parameter))
    }

    pub(super) fn sdt(&self) -> i64 {
        self.said(|record| Some(record.sdt().as_second())).unwrap_or_default()
    }

    pub(super) fn edt(&self) -> Option<i64> {
        self.said(Cdr::edt).map(jiff::Timestamp::as_second)
    }

    pub(super) fn virtual_number(&self) -> Option<&str> {
        self.called(NumberKind::VirtualNumber).map(Called::key)
    }

    pub(super) fn line(&self) -> Option<&str> {
        self.called(NumberKind::Line).map(Called::key)
    }

    pub(super) fn called(&self, kind: NumberKind) -> Option<&Called> {
        self.said(|record| called(record, kind))
    }

    /// Whether one of its records has had this number.
    pub(super) fn names(&self, kind: NumberKind, number: &str) -> bool {
        [&self.ring, &self.end]
            .into_iter()
            .flatten()
            .any(|record| called(record, kind).is_some_and(|called| called.key() == number))
    }

    /// A number wherever one was given: a final record that leaves the caller out does not make it withheld.
    fn caller(&self) -> &Caller {
        let number = self.said(|record| record.caller().number().map(|_| record.caller()));
        number.or_else(|| self.said(|record| Some(record.caller()))).unwrap_or(&Caller::Withheld)
    }

    pub(super) fn caller_number(&self) -> Option<&PhoneNumber> {
        self.caller().number()
    }

    pub(super) fn state(&self) -> v1::CallState {
        match (&self.end, self.answered) {
            (Some(_), true) => v1::CallState::Completed,
            (Some(_), false) => v1::CallState::Missed,
            (None, _) if self.said(Cdr::swidt).is_some() => v1::CallState::Answered,
            (None, _) => v1::CallState::Ringing,
        }
    }

    /// The call as pads see it, as of `revision`.
    pub(super) fn call(&self, id: Uuid, revision: u64) -> v1::Call {
        let seconds = |instant: jiff::Timestamp| timestamp(instant.as_second());
        let (state, caller) = (self.state(), self.caller());
        let history = self.history.clone().unwrap_or_default();
        let mut call = v1::Call {
            id: id.to_string(),
            revision,
            state: state.into(),
            caller: Some(v1::Caller {
                number: caller.number().map(|number| number.e164().to_owned()).unwrap_or_default(),
                display: caller.display().into(),
                kind: caller.kind().into(),
            }),
            virtual_number: self
                .said(|record| record.vn().map(|number| number.display().into()))
                .unwrap_or_default(),
            started_at: Some(timestamp(self.sdt())),
            answered_at: self.said(Cdr::swidt).filter(|_| state != v1::CallState::Missed).map(seconds),
            ended_at: self.said(Cdr::edt).map(seconds),
            history: Some(v1::CallerHistory {
                calls: history.calls,
                last_call_at: history.last_call.map(timestamp),
                last_note: history.last_note,
                last_reservation: history.last_reservation.map(v1::Reservation::from),
            }),
            claim: self.doings.claim.as_ref().map(v1::Claim::from),
            note: self.doings.note.clone(),
            memo: self.said(|record| record.memo().map(str::to_owned)).unwrap_or_default(),
            closed: self.doings.closed,
            reservation: self.doings.reservation.clone().map(v1::Reservation::from),
            pop_until: self.pop_until.filter(|_| state == v1::CallState::Ringing).and_then(milliseconds),
        };
        // Of records that were logged before there were bounds.
        bound(&mut call);
        call
    }
}

fn called(record: &Cdr, kind: NumberKind) -> Option<&Called> {
    match kind {
        NumberKind::VirtualNumber => record.vn(),
        NumberKind::Line => record.ton(),
    }
}

/// Cuts the texts of a call that are too long. Then it has 24 KiB at most, most of them its note and its caller's last one.
///
/// Every field is named here, so that none is left without a bound.
fn bound(call: &mut v1::Call) {
    let v1::Call {
        id: _,
        revision: _,
        state: _,
        caller,
        virtual_number,
        started_at: _,
        answered_at: _,
        ended_at: _,
        history: _, // what pads have written: bounded where it comes in
        claim,
        note: _, // the same
        memo,
        closed: _,
        reservation: _, // the same
        pop_until: _,
    } = call;
    cut(memo, bounds::MEMO);
    cut(virtual_number, bounds::TEXT);
    if let Some(v1::Caller { number: _, display, kind: _ }) = caller {
        cut(display, bounds::TEXT);
    }
    // The id is compared, and so must stay as it is.
    if let Some(v1::Claim { pad_id: _, pad_name, at: _ }) = claim {
        cut(pad_name, bounds::TEXT);
    }
}

/// A call from the log, perhaps from before there were bounds; `None` if it cannot be read.
pub(super) fn within_bounds(encoded: Vec<u8>) -> Option<Vec<u8>> {
    let mut call = v1::Call::decode(encoded.as_slice()).ok().filter(|call| !call.id.is_empty())?;
    // No text in it is longer.
    if encoded.len() <= bounds::MEMO {
        return Some(encoded);
    }
    bound(&mut call);
    Some(call.encode_to_vec())
}

/// The same for an event, which pads take only with its own position.
pub(super) fn update_within_bounds(position: u64, encoded: Vec<u8>) -> Option<Vec<u8>> {
    use v1::subscribe_response::Event;
    let v1::SubscribeResponse { event } = v1::SubscribeResponse::decode(encoded.as_slice()).ok()?;
    let Some(Event::Update(mut update)) = event else { return None };
    let call = update.call.as_mut().filter(|call| !call.id.is_empty() && update.position == position)?;
    if encoded.len() <= bounds::MEMO {
        return Some(encoded);
    }
    bound(call);
    Some(v1::SubscribeResponse { event: Some(Event::Update(update)) }.encode_to_vec())
}

/// The event as every pad will receive it: encoded here, once.
pub(super) fn encode_update(position: u64, call: v1::Call, pop_until: Option<jiff::Timestamp>) -> Vec<u8> {
    let update = v1::Update { position, call: Some(call), pop_until: pop_until.map(exact) };
    v1::SubscribeResponse { event: Some(v1::subscribe_response::Event::Update(update)) }.encode_to_vec()
}

pub(super) fn exact(instant: jiff::Timestamp) -> Timestamp {
    Timestamp { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() }
}

/// Unix milliseconds; `None` for what no calendar has.
pub(super) fn milliseconds(instant: i64) -> Option<Timestamp> {
    jiff::Timestamp::from_millisecond(instant).ok().map(exact)
}

pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}
