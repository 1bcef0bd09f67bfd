//! Why a request could not be read.

use bytes::Bytes;

/// The head of a request that could not be read, which is the last one of its connection. The request that replaces it has
/// this as an extension: a GET of the same path, if it is known, with the `X-Forwarded-For` headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableHead {
    /// What is wrong with it.
    pub fault: HeadFault,
    /// The head as it was sent, as far as it was read.
    pub head: Bytes,
}

/// Why a request could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeadFault {
    /// The request line is not a method, a target and a version.
    RequestLine,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    Version,
    /// The target is neither a path nor an address.
    Target,
    /// A line is not a header: it has no name, a blank next to the name, or a control character.
    Header,
    /// The end of the body is not certain.
    Length,
    /// The client closed its side in the middle of the head.
    Incomplete,
    /// The target is too long.
    TargetTooLong,
    /// The head is too long, or has more than 100 headers.
    HeadTooLong,
}

impl HeadFault {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestLine => "request_line",
            Self::Version => "version",
            Self::Target => "target",
            Self::Header => "header",
            Self::Length => "length",
            Self::Incomplete => "broken_off",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLong => "head_too_long",
        }
    }
}
