//! The answers of the hub, and whether an answer of the log is complete.

use std::sync::Arc;

use tokio::time::Instant;

use super::event::PadEvent;
use crate::stream_end::StreamEnd;

/// What became of an event from the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ApplyOutcome {
    /// No pad of its store is here.
    NotHeld,
    /// It is the next event of its store, and goes to the pads.
    Live,
    /// It is kept until the events before it are here.
    Ahead,
    /// It is known already.
    Duplicate,
    /// Its epoch is another one; the log is asked which one is right.
    OtherEpoch,
    /// It cannot be read; the log is asked for it.
    Unreadable,
    /// It is not an event, but says that the store was changed or deleted; the log is asked for the change.
    Hint,
}

/// The next event for a pad.
#[derive(Debug)]
pub(crate) enum NextEvent {
    /// The event after the cursor.
    Event(Arc<PadEvent>),
    /// It has not come yet.
    NotYet,
    /// It is no longer in memory; the log has it.
    Behind,
    /// The stream has ended.
    Ended(StreamEnd),
}

/// A ring that may be sent early.
#[derive(Debug)]
pub(crate) enum EarlyRing {
    /// It is to be sent now.
    Due(Arc<PadEvent>),
    /// There may be one at that time, and not before.
    NotBefore(Instant),
    /// There is none.
    None,
}

/// Whether an answer of the log has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// It has everything.
    Complete,
    /// It ended at its limit: there may be more of any of its stores.
    Truncated,
}
