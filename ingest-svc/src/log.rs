//! The log: stores, calls, events.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::cdr::Record;

/// What became of a record that is durably logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// New, and its store's pads will see it.
    Accepted,
    /// After parsing, equal in every field to a record already logged.
    Duplicate,
    /// No store owns the number; tried again at the call's next record.
    Unrouted,
}

/// The answer to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingested {
    /// The call that the record belongs to.
    pub call_id: Uuid,
    /// What became of it.
    pub status: Status,
}

/// Why the log did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The log cannot be read or written now. Nothing is half-written; send again, a repeat is recognised.
    #[error("the log cannot be used now: {0}")]
    Unavailable(Arc<str>),
}

/// A cloneable handle on the log.
#[derive(Debug, Clone)]
pub struct Log {
    writer: mpsc::Sender<(Record, oneshot::Sender<Result<Ingested, LogError>>)>,
}

impl Log {
    /// Logs a record; resolves when it is on disk.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn ingest(&self, record: Record) -> Result<Ingested, LogError> {
        let stopped = || LogError::Unavailable(Arc::from("it is being closed"));
        let (answer, answered) = oneshot::channel();
        self.writer.send((record, answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}
