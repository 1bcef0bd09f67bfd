//! What can go wrong with the broker: no connection can be opened, or one is lost.

use std::{io, sync::Arc, time::Duration};

use amq_protocol::protocol::AMQPError;

use crate::amqp::LinkError;

/// What the broker says when it refuses something.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", .0.get_message())]
pub struct BrokerRefusal(pub(crate) AMQPError);

/// Why no connection could be opened. After all but [`WrongExchangeType`](Self::WrongExchangeType) another attempt may succeed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An exchange with our name exists, but is not a fanout exchange. An operator must delete it.
    #[error(
        "the exchange {exchange:?} is of type {found}, not {wanted}; delete it on the broker's host with `{command}`, and start \
         again"
    )]
    WrongExchangeType {
        /// The exchange's name.
        exchange: String,
        /// The type it has.
        found: String,
        /// The type it must have.
        wanted: &'static str,
        /// The shell command that deletes it, so that we declare it again; needs no plugin.
        command: String,
    },
    /// An exchange or queue with our name exists with different properties, e.g. it is not durable.
    #[error("the broker has an exchange or queue of this name with different properties")]
    WrongTopology(#[source] BrokerRefusal),
    /// Wrong user or password, no such virtual host, or no permission there.
    #[error("the broker refused the login; check user, password, virtual host and permissions")]
    Refused(#[source] BrokerRefusal),
    /// No connection to the broker, or no TLS with it.
    #[error("cannot reach the broker at {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// The broker accepts the connection, but does not answer.
    #[error("no answer from the broker at {address} within {limit:?}")]
    Silent {
        /// Host and port.
        address: String,
        /// How long we have waited.
        limit: Duration,
    },
    /// Any other failure of the connection.
    #[error("the connection to the broker failed")]
    Failed(#[source] LinkError),
}

impl ConnectError {
    /// Whether another attempt cannot succeed: a process that is starting then ends with exit code 2.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::WrongExchangeType { .. })
    }
}

/// Why a publisher or a subscription can no longer be used. Make a new one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Loss {
    /// The connection broke, or the broker closed it. Without an error, it was closed in order.
    #[error("the connection to the broker is lost")]
    Connection(#[source] Option<LinkError>),
    /// The private queue was deleted on the broker.
    #[error("the private queue was deleted")]
    QueueDeleted,
    /// A message was larger than the broker allows, and the broker closed the connection. Do not send it again as it is.
    #[error("the broker accepts messages of {limit} bytes at most")]
    TooLarge {
        /// How many bytes the body of a message may have.
        limit: usize,
    },
    /// In-process only: the subscriber was too slow, and its bounded queue overflowed.
    #[error("the subscriber was too slow: {missed} batches did not fit its queue")]
    Overflow {
        /// How many batches it missed.
        missed: u64,
    },
}

impl From<LinkError> for Loss {
    fn from(error: LinkError) -> Self {
        let limit = match &error {
            LinkError::Closed(refusal) => largest_message(&refusal.to_string()),
            _ => None,
        };
        limit.map_or(Self::Connection(Some(error)), |limit| Self::TooLarge { limit })
    }
}

/// Reads the limit out of the broker's `PRECONDITION_FAILED - message size 24000000 is larger than configured max size
/// 16777216`.
fn largest_message(refusal: &str) -> Option<usize> {
    let (_, sizes) = refusal.split_once("message size ")?;
    sizes.rsplit_once("max size ")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_refusal_names_its_limit() {
        for refusal in [
            "PRECONDITION_FAILED - message size 24000000 is larger than configured max size 16777216",
            "PRECONDITION_FAILED - message size 24000000 is larger than max size 16777216",
        ] {
            assert_eq!(largest_message(refusal), Some(16_777_216));
        }
        for refusal in
            ["PRECONDITION_FAILED - unknown delivery tag 7", "message size 7 is larger than max size x"]
        {
            assert_eq!(largest_message(refusal), None);
        }
    }
}
