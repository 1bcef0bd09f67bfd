//! A request as a number provider has sent it: parsed to a record at receipt, kept whole in the quarantine if it is not one, and
//! parsed again at a replay. It does not depend on the protocol.
//!
//! ```text
//! RawRequest ─► parameters ─► RawFields ─► Record
//!      │                  └─► all Faults ─► Quarantined
//!      └─► masked, to be shown
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

/// The field of a fault of the whole body.
pub(crate) const BODY: &str = "body";

/// A request's parameters as received. It contains callers' numbers: only the log's file has it whole.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The URI's query.
    pub query: String,
    /// The body by its type, without its `Content-Encoding`.
    pub body: RawBody,
    /// The character encoding that its `Content-Type` declares, if we know it.
    pub charset: Option<&'static Encoding>,
}

impl RawRequest {
    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let body = match &self.body {
            RawBody::None => 0,
            RawBody::Form(body) | RawBody::Json(body) | RawBody::Unread(body) => body.len(),
        };
        self.query.len() + body
    }
}

/// A body that is not parsed.
#[derive(Clone, PartialEq, Eq)]
pub enum RawBody {
    /// There is none.
    None,
    /// `application/x-www-form-urlencoded`.
    Form(Bytes),
    /// `application/json`.
    Json(Bytes),
    /// A body that is of another type, too long or incomplete. As much of it as was read.
    Unread(Bytes),
}

/// A request in the quarantine, or on its way there.
#[derive(Clone)]
pub struct Quarantined {
    /// The source for which it was sent.
    pub source: Arc<str>,
    /// When ingest-svc had read it.
    pub received_at: Timestamp,
    /// The request as received.
    pub request: RawRequest,
    /// Its faults.
    pub faults: Vec<Fault>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
