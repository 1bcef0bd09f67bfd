//! What a number provider has sent: read into a record when it comes in, kept whole in the quarantine if it is no record, and
//! read again when it is replayed. Nothing here knows how it came.
//!
//! ```text
//! RawRequest ─► parameters ─► RawFields ─► Record
//!      │                  └─► Faults, all at once ─► Quarantined
//!      └─► masked, for people
//! ```

pub(crate) mod charset;
mod json;
mod masked;
mod parameters;

use std::sync::Arc;

use bytes::Bytes;
use encoding_rs::Encoding;
use jiff::Timestamp;

use crate::cdr::Fault;

/// Bytes of a record at most: of a body, of a query, and of a message over gRPC.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// The field of a fault that is none of a single parameter's, but of the body as a whole.
pub(crate) const BODY: &str = "body";

/// A request's parameters as they came. Holds callers' numbers: only the log's file has it whole.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The URI's query.
    pub query: String,
    /// The body, by what it said it was; without the `Content-Encoding` it came in.
    pub body: RawBody,
    /// The character encoding that its `Content-Type` declares, if that is one we know.
    pub charset: Option<&'static Encoding>,
}

impl RawRequest {
    /// Bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        let body = match &self.body {
            RawBody::None => 0,
            RawBody::Form(body) | RawBody::Json(body) | RawBody::Unread(body) => body.len(),
        };
        self.query.len() + body
    }
}

/// A body that has not been read for what it says.
#[derive(Clone, PartialEq, Eq)]
pub enum RawBody {
    /// There was none.
    None,
    /// `application/x-www-form-urlencoded`.
    Form(Bytes),
    /// `application/json`.
    Json(Bytes),
    /// What cannot be read as either: of another type, too long, or broken off. As much of it as was read.
    Unread(Bytes),
}

/// A request in the quarantine, or on its way there.
#[derive(Clone)]
pub struct Quarantined {
    /// The source that it came from.
    pub source: Arc<str>,
    /// When ingest-svc had read it.
    pub received_at: Timestamp,
    /// As it came.
    pub request: RawRequest,
    /// What was wrong with it.
    pub faults: Vec<Fault>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
