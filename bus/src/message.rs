//! What one message carries, on its way out and in, and what became of it.

use crate::envelope::{Batch, EnvelopeError, Event};

/// What one message carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// Events; none make a sign of life.
    Events(&'a [Event]),
    /// The process leaves.
    Goodbye,
}

impl<'a> Content<'a> {
    pub(crate) fn events(self) -> &'a [Event] {
        match self {
            Self::Events(events) => events,
            Self::Goodbye => &[],
        }
    }

    pub(crate) fn is_goodbye(self) -> bool {
        matches!(self, Self::Goodbye)
    }
}

/// What the broker did with a message that it took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// It is in the queue of every replica that is connected.
    Delivered,
    /// No queue is bound: no replica is connected.
    NoRoute,
    /// The broker could not do it (a nack), e.g. because a queue failed.
    Refused,
}

/// One message from the bus.
#[derive(Debug)]
pub enum ReceivedMessage {
    /// Ours. Once it has been dealt with: [`Subscription::ack`].
    Batch(Batch),
    /// Somebody else's, with another content type. It has been acknowledged already; to be counted.
    Foreign {
        /// What it says it is; empty if it says nothing.
        content_type: String,
    },
    /// Of our content type, but no batch. It has been rejected to the dead letters already; to be counted.
    Poison {
        /// What is wrong with it.
        reason: EnvelopeError,
    },
}
