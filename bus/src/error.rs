//! What can go wrong with the broker: not getting a connection, and losing one.

use std::{io, sync::Arc, time::Duration};

/// Why there is no connection. All but [`WrongExchangeType`](Self::WrongExchangeType) are worth another try.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An exchange of ours exists, but is not a fanout exchange. Nothing gets better by waiting.
    #[error(
        "the exchange {exchange:?} is of type {found}, not {wanted}; to mend it, delete it on the broker's host with \
         `{command}` and start again"
    )]
    WrongExchangeType {
        /// The exchange's name.
        exchange: String,
        /// The type it has.
        found: String,
        /// The type it must have.
        wanted: &'static str,
        /// The shell command that deletes it, so that it is made anew; needs no plugin.
        command: String,
    },
    /// An exchange or queue of ours exists with other properties, e.g. not durable.
    #[error("the broker has it otherwise: {0}")]
    WrongTopology(String),
    /// Wrong user or password, no such virtual host, or no permission there.
    #[error("the broker refuses us: {0}")]
    Refused(String),
    /// No connection to the broker, or no TLS with it.
    #[error("cannot reach the broker at {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The broker takes the connection, but does not answer.
    #[error("no answer from the broker at {address} within {limit:?}")]
    Silent {
        /// Host and port.
        address: String,
        /// How long we waited.
        limit: Duration,
    },
    /// Anything else that goes wrong between the two.
    #[error("the connection to the broker failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConnectError {
    /// Whether trying again is pointless: at its start, a process then ends with exit code 2.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::WrongExchangeType { .. })
    }
}

/// Why a publisher or a subscription is of no more use. Make a new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The connection broke, or the broker closed it.
    #[error("the connection to the broker is lost: {0}")]
    Connection(Arc<str>),
    /// Somebody deleted the private queue.
    #[error("the private queue was deleted")]
    QueueDeleted,
    /// The broker took a message for too large, and closed the connection: it is not to be sent again as it is.
    #[error("the broker takes messages of {limit} bytes at most")]
    TooLarge {
        /// How long a message's body may be.
        limit: usize,
    },
    /// In-process only: the subscriber was too slow, and its bounded queue overflowed.
    #[error("the subscriber was too slow: {missed} batches did not fit its queue")]
    Overflow {
        /// How many it missed.
        missed: u64,
    },
}
