//! Why a connection ended.

use std::{io, sync::Arc, time::Duration};

use amq_protocol::{
    protocol::{AMQPError, AMQPHardError},
    types::ShortString,
};

use crate::error::BrokerRefusal;

/// Why a connection to the broker ended, if it was not closed in order.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// The operating system's error, or TLS's.
    #[error("the socket failed")]
    Socket(#[source] Arc<io::Error>),
    /// The broker has closed the connection, or its channel, and says why.
    #[error("the broker closed it")]
    Closed(#[source] BrokerRefusal),
    /// The broker has sent nothing, not even a heartbeat.
    #[error("nothing has come from the broker for {silence:?}")]
    Silent {
        /// For how long.
        silence: Duration,
    },
    /// What the broker has sent is not AMQP 0-9-1.
    #[error("the broker has sent {0}")]
    Protocol(&'static str),
}

impl LinkError {
    /// The broker's reason to close the connection or the channel.
    pub(super) fn closed(code: u16, text: ShortString) -> Self {
        let error = AMQPError::from_id(code, text.clone());
        // A code that AMQP does not know: the text says more.
        Self::Closed(BrokerRefusal(
            error.unwrap_or(AMQPError::new(AMQPHardError::INTERNALERROR.into(), text)),
        ))
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Socket(Arc::new(error))
    }
}

/// The same reason; errors of a socket are compared by their kind.
impl PartialEq for LinkError {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Socket(one), Self::Socket(other)) => one.kind() == other.kind(),
            (Self::Closed(one), Self::Closed(other)) => one == other,
            (Self::Silent { silence: one }, Self::Silent { silence: other }) => one == other,
            (Self::Protocol(one), Self::Protocol(other)) => one == other,
            _ => false,
        }
    }
}
