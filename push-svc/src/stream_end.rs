//! Why a pad's stream ends: the one place that maps it to a gRPC status and to a WebSocket close code.

use http::StatusCode;
use ringpad_runtime::grpc;
use tonic::{Code, Status};

use crate::admission::token::TokenFault;

/// The answer of a leaving replica to a request for a stream, so that a load balancer tries the next replica. It has no
/// body, which a gRPC client would take for a message.
pub(crate) const LEAVING_STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// Why a pad's stream ends, or was refused. `Display` is the text that the pad gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamEnd {
    /// The token is not valid, or has expired.
    #[error("{0}")]
    Token(TokenFault),
    /// The page in the browser is not allowed to connect.
    #[error("the page's origin is not allowed")]
    Origin,
    /// The store does not exist, or was deleted.
    #[error("no such store")]
    NoSuchStore,
    /// A WebSocket pad did not send its first message.
    #[error("no first message in time")]
    NoFirstMessage,
    /// The pad did not send a valid subscribe request.
    #[error("not a subscribe request: {0}")]
    Malformed(String),
    /// A WebSocket pad broke the rules of its protocol.
    #[error("{0}")]
    Violation(Violation),
    /// A newer stream of the same session took its place.
    #[error("replaced by a newer stream of its session")]
    Replaced,
    /// The pad reads so slowly that its next event is no longer in memory. It may connect again and resume.
    #[error("too slow")]
    TooSlow,
    /// The pad has as many streams on this replica as it may have.
    #[error("too many streams of this pad")]
    TooManyStreams,
    /// The replica is leaving.
    #[error("this replica is shutting down: connect again")]
    Leaving,
    /// The store has a new name, and the pad did not connect again when it was asked to.
    #[error("the store has a new name: connect again")]
    Renamed,
    /// There is no snapshot, because the log cannot be reached or is too slow.
    #[error("the log cannot be reached")]
    LogUnreachable,
    /// The log is not the same as before, or no longer has the next event: the pad needs a fresh snapshot.
    #[error("the stream cannot be continued: connect again")]
    NeedsResync,
    /// An event in the log cannot be read.
    #[error("an event cannot be read")]
    Unreadable,
}

/// How a WebSocket pad broke the rules of its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame that RFC 6455 does not allow.
    #[error("a frame breaks the WebSocket protocol")]
    Protocol,
    /// The subprotocol is JSON, which is text.
    #[error("text is expected, not binary data")]
    Binary,
    /// The text is not valid UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A message is longer than the limit.
    #[error("the message is too long")]
    TooLong,
}

impl Violation {
    fn close_code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooLong => 1009,
        }
    }
}

impl StreamEnd {
    /// The WebSocket close code; 44xx are RingPad's own.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Leaving => 1001,
            Self::Violation(violation) => violation.close_code(),
            Self::Malformed(_) => 1007,
            Self::Unreadable => 1011,
            Self::Renamed | Self::LogUnreachable | Self::NeedsResync => 1013,
            Self::Token(_) => 4401,
            Self::Origin => 4403,
            Self::NoSuchStore => 4404,
            Self::NoFirstMessage => 4408,
            Self::Replaced => 4409,
            Self::TooSlow | Self::TooManyStreams => 4429,
        }
    }

    /// The label `reason` of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Origin => "origin",
            Self::NoSuchStore => "no_such_store",
            Self::NoFirstMessage => "no_first_message",
            Self::Malformed(_) | Self::Violation(_) => "malformed",
            Self::Replaced => "replaced",
            Self::TooSlow => "too_slow",
            Self::TooManyStreams => "too_many_streams",
            Self::Leaving => "leaving",
            Self::Renamed => "renamed",
            Self::LogUnreachable => "log_unreachable",
            Self::NeedsResync => "needs_resync",
            Self::Unreadable => "unreadable",
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Token(_) => Code::Unauthenticated,
            Self::Origin => Code::PermissionDenied,
            Self::NoSuchStore => Code::NotFound,
            Self::NoFirstMessage => Code::DeadlineExceeded,
            Self::Malformed(_) | Self::Violation(_) => Code::InvalidArgument,
            Self::Replaced => Code::Aborted,
            Self::TooSlow | Self::TooManyStreams => Code::ResourceExhausted,
            Self::Leaving | Self::Renamed | Self::LogUnreachable | Self::NeedsResync => Code::Unavailable,
            Self::Unreadable => Code::Internal,
        }
    }
}

impl From<StreamEnd> for Status {
    fn from(end: StreamEnd) -> Self {
        match end.code() {
            Code::Unavailable => grpc::unavailable(end.to_string()),
            code => Self::new(code, end.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn docs_protocol_md_lists_each_close_code_and_its_grpc_status() {
        let streams = [
            StreamEnd::Token(TokenFault::Missing),
            StreamEnd::Origin,
            StreamEnd::NoSuchStore,
            StreamEnd::NoFirstMessage,
            StreamEnd::Malformed(String::new()),
            StreamEnd::Replaced,
            StreamEnd::TooSlow,
            StreamEnd::TooManyStreams,
            StreamEnd::Leaving,
            StreamEnd::Renamed,
            StreamEnd::LogUnreachable,
            StreamEnd::NeedsResync,
            StreamEnd::Unreadable,
        ];
        let violations = [Violation::Protocol, Violation::Binary, Violation::NotUtf8, Violation::TooLong];
        // gRPC streams have no such violations. A text that is not UTF-8 has the same code as a malformed first message.
        let statuses = streams.iter().map(|end| (end.close_code(), upper_case(end.code())));
        let mut expected: BTreeSet<_> = statuses.collect();
        let other: Vec<_> =
            violations.map(Violation::close_code).into_iter().filter(|code| *code != 1007).collect();
        expected.extend(other.into_iter().map(|code| (code, "–".to_owned())));

        let document = include_str!("../../docs/protocol.md");
        let rows = document.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let code: u16 = cells.next()?.parse().ok().filter(|code| *code >= 1000)?;
            Some((code, cells.next()?.trim_matches('`').to_owned()))
        });
        assert_eq!(rows.collect::<BTreeSet<_>>(), expected);
    }

    /// In the spelling of the gRPC specification: `UNAVAILABLE`.
    fn upper_case(code: Code) -> String {
        let mut name = String::new();
        for (index, character) in format!("{code:?}").chars().enumerate() {
            if character.is_uppercase() && index > 0 {
                name.push('_');
            }
            name.push(character.to_ascii_uppercase());
        }
        name
    }
}
