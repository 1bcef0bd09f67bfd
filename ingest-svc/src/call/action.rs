//! What a pad does to a call: claim, release, close, reopen, note. The first claim wins, and a request that comes twice is
//! done once. An action that changes something becomes an event; an action that changes nothing does not.

use prost::Message;
use uuid::Uuid;

use super::{
    encode::encode_update,
    event::NewEvent,
    facts::Call,
    history::CallerChange,
    merge::Popup,
    pad_state::{ActingPad, Action, Claim},
};
use crate::store::Directory;

/// A pad's action on a call of its own store.
#[derive(Debug, Clone)]
pub struct ActionRequest {
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
    /// When ingest-svc received it.
    pub received_at: jiff::Timestamp,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionOutcome {
    /// Done, now or by an earlier request with this id: the call as it now is, an encoded `ringpad.v1.Call`.
    Done(Vec<u8>),
    /// Another pad has claimed the call.
    ClaimedBy(Claim),
    /// The store has no such call, or there is no such store.
    NoSuchCall,
}

/// What an action has done to its call, and what a backend stores of that.
#[derive(Debug)]
pub(crate) enum Applied<'a> {
    /// The call's store was deleted. Nothing is stored.
    NoSuchCall,
    /// Another pad has claimed the call. Nothing is stored.
    ClaimedBy(Claim),
    /// An earlier request with this id was the same action. Nothing is stored; the answer is the call as pads see it.
    Repeat,
    /// Pads see the call as before, with its former revision: that is the answer. The call is stored all the same, because it
    /// remembers the request: done later, it might change something.
    Unchanged,
    /// Pads see a change. The call is stored, and the event.
    Changed(ActionChange<'a>),
}

/// What an action has changed.
#[derive(Debug)]
pub(crate) struct ActionChange<'a> {
    /// What the caller's next call shows, if that is changed, too.
    pub(crate) caller: Option<CallerChange<'a>>,
    /// The time of its reservation, if a pad has written that; `Some(None)`: there is none, or none any more.
    pub(crate) reserved: Option<Option<i64>>,
    /// The call as pads see it, an encoded `ringpad.v1.Call`: the answer.
    pub(crate) seen: Vec<u8>,
    pub(crate) event: NewEvent,
}

/// Does an action.
pub(crate) fn apply<'a>(call: &mut Call, request: &'a ActionRequest, directory: &Directory) -> Applied<'a> {
    let Some(next) = call.store.and_then(|store| directory.next_position(store)) else {
        return Applied::NoSuchCall;
    };
    let state = &mut call.facts.pad_state;
    if state.has_done(request.request_id) {
        return Applied::Repeat;
    }
    let before = state.written();
    let is_changed = match state.change(&request.action, &request.pad, request.received_at) {
        Ok(is_changed) => is_changed,
        Err(claim) => return Applied::ClaimedBy(claim),
    };
    state.remember(request.request_id);
    if !is_changed {
        return Applied::Unchanged;
    }
    let caller = match (&request.action, call.facts.caller_number()) {
        (Action::Note(note, reservation), Some(caller)) => {
            let caller = (next.store, caller.clone());
            Some(CallerChange::new(caller, &before, note, reservation.as_ref()))
        }
        (Action::Note(..), None) | (Action::Claim | Action::Release | Action::Close | Action::Reopen, _) => {
            None
        }
    };
    let reserved = match &request.action {
        Action::Note(_, reservation) => Some(reservation.as_ref().and_then(|reservation| reservation.at)),
        _ => None,
    };
    let seen = call.as_seen(next.position);
    let encoded = seen.encode_to_vec();
    // It does not pop up: pads that were to show the ring have done so.
    let bytes = encode_update(next.position, seen, Popup::None);
    Applied::Changed(ActionChange {
        caller,
        reserved,
        seen: encoded,
        event: NewEvent { next, bytes, receipt: None },
    })
}
