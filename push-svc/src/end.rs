//! Why a pad's stream ends: the one place that maps it to a gRPC status and to a WebSocket close code.

use ringpad_runtime::grpc;
use tonic::{Code, Status};

use crate::auth::TokenFault;

/// Why a pad's stream ends, or never began. `Display` is what the pad is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The token opens nothing, or has expired.
    #[error("{0}")]
    Token(TokenFault),
    /// The browser's page comes from somewhere else.
    #[error("the page's origin is not allowed")]
    Origin,
    /// The store does not exist, or was deleted.
    #[error("no such store")]
    NoSuchStore,
    /// A WebSocket pad did not say who it is.
    #[error("no first message in time")]
    NoFirstMessage,
    /// What the pad sent is no subscribe request.
    #[error("not a subscribe request: {0}")]
    Malformed(String),
    /// A WebSocket pad broke the rules of its protocol.
    #[error("{0}")]
    Violation(Violation),
    /// A newer stream of the same session took over.
    #[error("replaced by a newer stream of its session")]
    Replaced,
    /// The pad reads so slowly that what it still needs is no longer at hand. It may come back and resume.
    #[error("too slow")]
    TooSlow,
    /// The pad has its share of streams on this replica.
    #[error("too many streams of this pad")]
    TooManyStreams,
    /// The replica is leaving.
    #[error("this replica is leaving")]
    Leaving,
    /// The store has a new name, and the pad did not come for it by itself.
    #[error("the store has a new name: connect again")]
    Renamed,
    /// No snapshot, because the log cannot be reached or is too slow.
    #[error("the log cannot be reached")]
    LogUnreachable,
    /// The log is another one than before, or no longer keeps what comes next: only a fresh snapshot helps.
    #[error("the stream cannot be continued: begin anew")]
    Anew,
    /// An event in the log that cannot be read.
    #[error("an event cannot be shown")]
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
    /// A text that is none.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A message over the limit.
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

impl End {
    /// The WebSocket close code; 44xx are RingPad's own.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Leaving => 1001,
            Self::Violation(violation) => violation.close_code(),
            Self::Malformed(_) => 1007,
            Self::Unreadable => 1011,
            Self::Renamed | Self::LogUnreachable | Self::Anew => 1013,
            Self::Token(_) => 4401,
            Self::Origin => 4403,
            Self::NoSuchStore => 4404,
            Self::NoFirstMessage => 4408,
            Self::Replaced => 4409,
            Self::TooSlow | Self::TooManyStreams => 4429,
        }
    }

    /// A word for metrics.
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
            Self::Anew => "anew",
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
            Self::Leaving | Self::Renamed | Self::LogUnreachable | Self::Anew => Code::Unavailable,
            Self::Unreadable => Code::Internal,
        }
    }
}

impl From<End> for Status {
    fn from(end: End) -> Self {
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
    fn the_document_has_each_close_code_and_its_grpc_status() {
        let streams = [
            End::Token(TokenFault::Missing),
            End::Origin,
            End::NoSuchStore,
            End::NoFirstMessage,
            End::Malformed(String::new()),
            End::Replaced,
            End::TooSlow,
            End::TooManyStreams,
            End::Leaving,
            End::Renamed,
            End::LogUnreachable,
            End::Anew,
            End::Unreadable,
        ];
        let violations = [Violation::Protocol, Violation::Binary, Violation::NotUtf8, Violation::TooLong];
        // A violation ends no gRPC stream; a text that is not UTF-8 shares its code with a malformed first message.
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

    /// `UNAVAILABLE`, as the specification of gRPC writes it.
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
