//! What the hub answers to whoever feeds it and to its pads' streams, and what it is told of an answer of the log.

use std::sync::Arc;

use tokio::time::Instant;

use super::event::PadEvent;
use crate::end::End;

/// What became of an event from the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Applied {
    /// No pad of its store is here.
    NotHeld,
    /// On its way to the pads.
    Live,
    /// Kept until what precedes it is here.
    Ahead,
    /// Known already.
    Duplicate,
    /// Of another log; which one is right is asked of the log.
    Foreign,
    /// What cannot be read; the log is asked for it.
    Unreadable,
    /// No event, but word that the store was changed or deleted; what it now is is asked of the log.
    Hint,
}

/// The next event for a pad.
#[derive(Debug)]
pub(crate) enum Pull {
    /// It follows the cursor.
    Event(Arc<PadEvent>),
    /// Nothing new yet.
    Wait,
    /// What follows the cursor is no longer at hand; the log has it.
    Behind,
    /// The stream is over.
    Ended(End),
}

/// A ring that may be shown ahead of its turn.
#[derive(Debug)]
pub(crate) enum Ahead {
    /// Now.
    Ring(Arc<PadEvent>),
    /// There may be one then.
    At(Instant),
    /// There is none.
    None,
}

/// Whether an answer of the log ended at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It holds all there is.
    Whole,
    /// There may be more for any of its stores.
    Short,
}
