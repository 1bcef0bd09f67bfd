//! A call and its updates as pads see them.

use prost::Message;
use ringpad_proto::v1;

use super::{
    facts::Call,
    merge::Popup,
    timestamps::{exact, milliseconds, timestamp},
};
use crate::{bounds::cut, capacity::RECORD, cdr::Cdr};

impl Call {
    /// The call as pads see it, as of `revision`.
    pub(super) fn as_seen(&self, revision: u64) -> v1::Call {
        let seconds = |instant: jiff::Timestamp| timestamp(instant.as_second());
        let (facts, state, caller) = (&self.facts, self.facts.state(), self.facts.caller());
        let history = facts.history.clone().unwrap_or_default();
        let mut call = v1::Call {
            id: self.id.to_string(),
            revision,
            state: state.into(),
            caller: Some(v1::Caller {
                number: caller.number().map(|number| number.e164().to_owned()).unwrap_or_default(),
                display: caller.display().into(),
                kind: caller.kind().into(),
            }),
            virtual_number: facts
                .value(|record| record.vn().map(|number| number.display().into()))
                .unwrap_or_default(),
            started_at: Some(timestamp(facts.sdt())),
            answered_at: facts.value(Cdr::swidt).filter(|_| state != v1::CallState::Missed).map(seconds),
            ended_at: facts.value(Cdr::edt).map(seconds),
            history: Some(v1::CallerHistory {
                calls: history.calls,
                last_call_at: history.last_call.map(timestamp),
                last_note: history.last_note,
                last_reservation: history.last_reservation.map(v1::Reservation::from),
            }),
            claim: facts.pad_state.claim.as_ref().map(v1::Claim::from),
            note: facts.pad_state.note.clone(),
            memo: facts.value(|record| record.memo().map(str::to_owned)).unwrap_or_default(),
            closed: facts.pad_state.closed,
            reservation: facts.pad_state.reservation.clone().map(v1::Reservation::from),
            pop_until: facts.pop_until.filter(|_| state == v1::CallState::Ringing).and_then(milliseconds),
            customers: history.customers.into_iter().map(v1::Customer::from).collect(),
        };
        // Records that were logged by versions without bounds.
        bound(&mut call);
        call
    }
}

/// Cuts the texts of a call that are too long. Then it has 32 KiB at most, most of them its note, its caller's last note, and the notes on its customers.
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
        history: _, // what pads have written: bounded by the gRPC edge
        claim,
        note: _, // the same
        memo,
        closed: _,
        reservation: _, // the same
        pop_until: _,
        customers: _, // bounded by the gRPC edge, and by how many there are
    } = call;
    cut(memo, RECORD.memo);
    cut(virtual_number, RECORD.text);
    if let Some(v1::Caller { number: _, display, kind: _ }) = caller {
        cut(display, RECORD.text);
    }
    // The id is compared, and so must stay as it is.
    if let Some(v1::Claim { pad_id: _, pad_name, at: _ }) = claim {
        cut(pad_name, RECORD.text);
    }
}

/// A call from the log, perhaps from a version without bounds; `None` if it cannot be read.
pub(crate) fn call_within_bounds(encoded: Vec<u8>) -> Option<Vec<u8>> {
    let mut call = v1::Call::decode(encoded.as_slice()).ok().filter(|call| !call.id.is_empty())?;
    // No text in it is longer.
    if encoded.len() <= RECORD.memo {
        return Some(encoded);
    }
    bound(&mut call);
    Some(call.encode_to_vec())
}

/// The same for an event, which pads take only with its own position.
pub(crate) fn update_within_bounds(position: u64, encoded: Vec<u8>) -> Option<Vec<u8>> {
    use v1::subscribe_response::Event;
    let v1::SubscribeResponse { event } = v1::SubscribeResponse::decode(encoded.as_slice()).ok()?;
    let Some(Event::Update(mut update)) = event else { return None };
    let call = update.call.as_mut().filter(|call| !call.id.is_empty() && update.position == position)?;
    if encoded.len() <= RECORD.memo {
        return Some(encoded);
    }
    bound(call);
    Some(v1::SubscribeResponse { event: Some(Event::Update(update)) }.encode_to_vec())
}

/// The event as every pad will receive it: encoded here, once.
pub(super) fn encode_update(position: u64, call: v1::Call, popup: Popup) -> Vec<u8> {
    let pop_until = match popup {
        Popup::Until(until) => Some(exact(until)),
        Popup::Late | Popup::None => None,
    };
    let update = v1::Update { position, call: Some(call), pop_until };
    v1::SubscribeResponse { event: Some(v1::subscribe_response::Event::Update(update)) }.encode_to_vec()
}
