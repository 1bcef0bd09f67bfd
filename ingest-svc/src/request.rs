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
use serde_json::Value;

use crate::cdr::Fault;

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

impl RawBody {
    /// Its kind, and its bytes, as the log keeps them.
    pub(crate) fn to_log(&self) -> (i16, Option<&[u8]>) {
        match self {
            Self::None => (0, None),
            Self::Form(body) => (1, Some(body)),
            Self::Json(body) => (2, Some(body)),
            Self::Unread(body) => (3, Some(body)),
        }
    }

    /// What the log has kept.
    pub(crate) fn from_log(kind: i16, body: Option<Vec<u8>>) -> Self {
        let body = Bytes::from(body.unwrap_or_default());
        match kind {
            0 => Self::None,
            1 => Self::Form(body),
            2 => Self::Json(body),
            _ => Self::Unread(body),
        }
    }
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

impl Quarantined {
    /// Its faults, as the log keeps them: JSON, pairs of field and message.
    pub(crate) fn faults_to_log(&self) -> String {
        let pairs = self.faults.iter().map(|fault| vec![&*fault.field, &*fault.message]);
        Value::from_iter(pairs).to_string()
    }

    /// What the log has kept of its faults.
    pub(crate) fn faults_from_log(kept: &str) -> Vec<Fault> {
        let pairs: Vec<(String, String)> = serde_json::from_str(kept).unwrap_or_default();
        pairs.into_iter().map(|(field, message)| Fault { field, message }).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
