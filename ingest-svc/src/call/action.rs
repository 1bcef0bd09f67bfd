//! What a pad does to a call: claim, release, close, reopen, note. The first claim wins, and a request that comes twice is
//! done once. An action that changes something becomes an event; an action that changes nothing does not.

use uuid::Uuid;

use super::{
    facts::Call,
    history::CallerChange,
    pad_state::{ActingPad, Action, Claim},
};

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

/// What an action has done to its call.
#[derive(Debug)]
pub(crate) enum Applied<'a> {
    /// Nothing: an earlier request with this id was the same action.
    Repeat,
    /// Nothing: another pad has claimed the call.
    ClaimedBy(Claim),
    /// Pads see the call as before. The request is remembered: done later, it might change something.
    Unchanged,
    /// Pads see a change. Perhaps the caller's next call shows it, too.
    Changed(Option<CallerChange<'a>>),
}

/// Does an action.
pub(crate) fn apply<'a>(call: &mut Call, request: &'a ActionRequest) -> Applied<'a> {
    let state = &mut call.facts.pad_state;
    if state.has_done(request.request_id) {
        return Applied::Repeat;
    }
    let before = state.written();
    let changed = match state.change(&request.action, &request.pad, request.received_at) {
        Ok(changed) => changed,
        Err(claim) => return Applied::ClaimedBy(claim),
    };
    state.remember(request.request_id);
    match (&request.action, changed) {
        (_, false) => Applied::Unchanged,
        (Action::Note(note, reservation), true) => {
            Applied::Changed(Some(CallerChange::new(&before, note, reservation.as_ref())))
        }
        (Action::Claim | Action::Release | Action::Close | Action::Reopen, true) => Applied::Changed(None),
    }
}
