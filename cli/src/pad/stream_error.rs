//! How a stream of a store's events ends.

use ringpad_runtime::settings::one_line;
use tonic::{Code, Status};

use crate::{http_client::root, terminal::harmless};

/// How a stream ended, or why it could not be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    /// Trying again does not help, e.g. with an expired token.
    #[error("{0}")]
    Refused(String),
    /// The pad may try again.
    #[error("{0}")]
    Lost(String),
}

impl From<Status> for StreamError {
    fn from(status: Status) -> Self {
        let reason = match (std::error::Error::source(&status), status.message()) {
            // The client's own status: the server was not reached.
            (Some(source), _) => root(source),
            (None, "") => status.code().description().to_owned(),
            (None, message) => one_line(&harmless(message)),
        };
        match status.code() {
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
            | Code::InvalidArgument
            | Code::Unimplemented => Self::Refused(reason),
            _ => Self::Lost(reason),
        }
    }
}
