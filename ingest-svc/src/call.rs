//! The rules of a call: which records are one call, what they say together, what pads do to it, and how pads see it. Pure: no
//! database, and the time is an argument.
//!
//! ```text
//! record ─► find ─► log_record: merge ─► count the caller ─► encode ─► event
//! action ─────────► apply ────────────────────────────────► encode ─► event
//! ```
//!
//! A backend of the log loads what these functions need, calls them, and stores what they return.

mod action;
mod encode;
mod event;
mod facts;
mod find;
mod history;
mod key;
mod merge;
mod pad_state;
mod record;
mod search;
mod timestamps;

pub(crate) use action::{ActionChange, Applied, NamedCustomer, apply};
pub use action::{ActionOutcome, ActionRequest};
pub(crate) use encode::{call_within_bounds, update_within_bounds};
pub(crate) use event::NewEvent;
pub(crate) use facts::{Call, Facts};
pub(crate) use find::{CANDIDATES, Candidate, Found, NewCallReason, SAME_CALL, find};
pub use history::Reservation;
pub(crate) use history::{CallerChange, History};
pub use key::CallKey;
pub use pad_state::{ActingPad, Action, Claim};
pub(crate) use record::{ChangedCall, Context, RecordOutcome, WrittenBefore, log_record};
pub use record::{Ingested, Status};
pub use search::SearchWords;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
