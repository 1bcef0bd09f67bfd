//! What a pad does to a call: claim, release, close, reopen, note. The first claim wins, and a request that comes twice is
//! done once. An action that changes something becomes an event; an action that changes nothing does not.

use ringpad_proto::v1;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Call, CallerChange, Reservation, encode::milliseconds, history::Written};

/// Requests that a call remembers; the oldest is forgotten first. A pad sends a request again for some seconds.
const REQUESTS: usize = 32;

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

/// A pad, and what people call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActingPad {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What a pad does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes the call.
    Claim,
    /// Gives it back.
    Release,
    /// Marks it as dealt with.
    Close,
    /// Takes that back.
    Reopen,
    /// Replaces the note and the reservation.
    Note(String, Option<Reservation>),
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

/// A pad has taken a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The pad.
    pub by: ActingPad,
    /// Since when, in Unix milliseconds.
    pub at: i64,
}

impl From<&Claim> for v1::Claim {
    fn from(claim: &Claim) -> Self {
        Self { pad_id: claim.by.id.clone(), pad_name: claim.by.name.clone(), at: milliseconds(claim.at) }
    }
}

/// What all actions together have made of a call. The log keeps it as JSON: the names of the members must not change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PadState {
    pub(super) claim: Option<Claim>,
    pub(super) note: String,
    pub(super) reservation: Option<Reservation>,
    pub(super) closed: bool,
    /// The ids of requests that have been done, oldest first.
    requests: Vec<[u8; 16]>,
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
    if state.requests.contains(request.request_id.as_bytes()) {
        return Applied::Repeat;
    }
    let before = Written { note: !state.note.is_empty(), reservation: state.reservation.is_some() };
    let changed = match state.change(request) {
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

impl PadState {
    /// Whether no pad has done anything.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn remember(&mut self, request_id: Uuid) {
        if self.requests.len() == REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(request_id.into_bytes());
    }

    /// Whether anything has changed.
    ///
    /// # Errors
    /// The claim of another pad.
    fn change(&mut self, request: &ActionRequest) -> Result<bool, Claim> {
        match (&request.action, &self.claim) {
            (Action::Claim | Action::Release, Some(claim)) if claim.by.id != request.pad.id => {
                return Err(claim.clone());
            }
            (Action::Claim, Some(_)) | (Action::Release, None) => return Ok(false),
            (Action::Claim, None) => {
                let at = request.received_at.as_millisecond();
                self.claim = Some(Claim { by: request.pad.clone(), at });
            }
            (Action::Release, Some(_)) => self.claim = None,
            (Action::Close, _) if self.closed => return Ok(false),
            (Action::Reopen, _) if !self.closed => return Ok(false),
            (Action::Close, _) => self.closed = true,
            (Action::Reopen, _) => self.closed = false,
            (Action::Note(note, reservation), _) => {
                if self.note == *note && self.reservation == *reservation {
                    return Ok(false);
                }
                self.note.clone_from(note);
                self.reservation.clone_from(reservation);
            }
        }
        Ok(true)
    }
}
