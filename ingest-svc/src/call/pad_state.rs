//! What all actions of pads together have made of a call.

use ringpad_proto::v1;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    history::{Reservation, Written},
    timestamps::milliseconds,
};
use crate::customer::Customer;

/// Requests that a call remembers; the oldest is forgotten first. A pad sends a request again for some seconds.
const REQUESTS: usize = 32;

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
    /// Writes who the caller is.
    Customer(Customer),
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

impl PadState {
    /// Whether no pad has done anything.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether the request with this id was done before.
    pub(super) fn has_done(&self, request_id: Uuid) -> bool {
        self.requests.contains(request_id.as_bytes())
    }

    /// What is written on the call.
    pub(super) fn written(&self) -> Written {
        Written { note: !self.note.is_empty(), reservation: self.reservation.clone() }
    }

    /// A request is done.
    pub(super) fn remember(&mut self, request_id: Uuid) {
        if self.requests.len() == REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(request_id.into_bytes());
    }

    /// Does what `pad` wants at an instant; whether anything has changed.
    ///
    /// # Errors
    /// The claim of another pad.
    pub(super) fn change(
        &mut self,
        action: &Action,
        pad: &ActingPad,
        at: jiff::Timestamp,
    ) -> Result<bool, Claim> {
        match (action, &self.claim) {
            (Action::Claim | Action::Release, Some(claim)) if claim.by.id != pad.id => {
                return Err(claim.clone());
            }
            (Action::Claim, Some(_)) | (Action::Release, None) => return Ok(false),
            (Action::Claim, None) => {
                self.claim = Some(Claim { by: pad.clone(), at: at.as_millisecond() });
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
            // It is about the caller, not about the call.
            (Action::Customer(_), _) => return Ok(false),
        }
        Ok(true)
    }
}
