//! The rules of a call: which records are one call, what they say together, what pads do to it, and how pads see it. Pure: no
//! database, and the time is an argument.
//!
//! ```text
//! record ─► find its call ─► merge ─► count the caller ─► encode ─► event
//! action ──────────────────► apply ─────────────────────► encode ─► event
//! ```
//!
//! A backend of the log loads what these functions need, calls them, and stores what they return.

mod action;
mod encode;
mod facts;
mod find;
mod history;
mod merge;

use uuid::Uuid;

use crate::{cdr::Fingerprint, store::StoreKey};
pub use action::{ActingPad, Action, ActionOutcome, ActionRequest, Claim};
pub(crate) use action::{Applied, PadState, apply};
pub(crate) use encode::{call_within_bounds, encode_update, update_within_bounds};
pub(crate) use facts::Facts;
pub(crate) use find::{CANDIDATES, Candidate, Found, NewCallReason, SAME_CALL, find};
pub use history::Reservation;
pub(crate) use history::{CallerChange, History};
pub(crate) use merge::{Popup, merge};

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

/// A call as the log keeps it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Uuid,
    /// Decided at the call's first record that finds a store, and kept.
    pub(crate) store: Option<StoreKey>,
    pub(crate) facts: Facts,
    /// Of the records it has had, oldest first.
    pub(crate) fingerprints: Vec<Fingerprint>,
}

impl Call {
    /// A call without a record.
    pub(crate) fn new(id: Uuid) -> Self {
        Self { id, store: None, facts: Facts::default(), fingerprints: Vec::new() }
    }
}
