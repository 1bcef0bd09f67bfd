//! What one message carries, on its way out and in, and what became of it.

use crate::envelope::{Batch, EnvelopeError, Event};

/// What one message carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// Events; without any it is a canary.
    Events(&'a [Event]),
    /// The process is leaving.
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

/// The broker's answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The message is in the queue of every replica that is connected.
    Delivered,
    /// No queue is bound: no replica is connected.
    NoRoute,
    /// The broker could not route it (a nack), e.g. because a queue failed.
    Refused,
}

/// One message from the bus.
#[derive(Debug)]
pub enum ReceivedMessage {
    /// A batch. Call [`Subscription::ack`](crate::Subscription::ack) when it has been processed.
    Batch(Batch),
    /// A message of another program, with another content type. It is already acknowledged; the caller counts it.
    Foreign {
        /// Its content type; empty if it has none.
        content_type: String,
    },
    /// A message with our content type that cannot be decoded. It is already rejected to the dead letters; the caller counts
    /// it.
    Poison {
        /// What is wrong with it.
        reason: EnvelopeError,
    },
}
