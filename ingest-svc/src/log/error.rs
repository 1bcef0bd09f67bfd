//! Why the log did not do what it was asked.

use std::{error::Error, fmt, sync::Arc};

/// Why the log did not do what it was asked.
#[derive(Debug, Clone)]
pub enum LogError {
    /// The log cannot be read or written now. Nothing is half-written; send again, a repeat is recognised.
    Unavailable(Arc<dyn Error + Send + Sync>),
    /// A query took too long and was ended.
    TooLong,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(_) => f.write_str("the log cannot be used now"),
            Self::TooLong => f.write_str(
                "the query took too long and was stopped: ask for fewer calls, or try again later",
            ),
        }
    }
}

// By hand: the derived one would return the `Arc` as the cause, which cannot be downcast.
impl Error for LogError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(cause) => Some(cause.as_ref()),
            Self::TooLong => None,
        }
    }
}

/// What makes the log unavailable, apart from the errors of the database and of the system.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    #[error("it is being closed")]
    Closing,
    #[error("the disk or the database server does not answer")]
    NoAnswer,
    /// E.g. that an operator has ended the wait for the standby: the commit is visible, and may be lost with the server.
    #[error("the server has committed with a warning: the commit may be lost")]
    CommitWarning,
    #[error("reading it panicked")]
    Panicked,
    /// The positions of this epoch are given out again, so the log must be opened again.
    #[error("a standby was promoted, which begins a new epoch")]
    Promoted,
    #[error("another ingest-svc has taken over the events of this one, which did not answer for 5 seconds")]
    TakenOver,
    /// A defect of this code.
    #[error("a job was not done")]
    NotDone,
    /// A defect of this code.
    #[error("a caller was not loaded before it was counted")]
    NotLoaded,
}

impl LogError {
    pub(super) fn unavailable(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(cause))
    }

    /// Whether the log has another epoch than the one that it was opened with. That does not change any more.
    pub(super) fn is_other_epoch(&self) -> bool {
        matches!(self.source().and_then(<dyn Error>::downcast_ref), Some(Obstacle::Promoted))
    }

    /// There was no answer in time.
    pub(crate) fn silent() -> Self {
        Obstacle::NoAnswer.into()
    }
}

impl From<Obstacle> for LogError {
    fn from(obstacle: Obstacle) -> Self {
        Self::unavailable(obstacle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_cause() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = LogError::unavailable(full);
        let cause = error.source().and_then(<dyn Error>::downcast_ref::<std::io::Error>);
        assert_eq!(cause.map(std::io::Error::kind), Some(std::io::ErrorKind::StorageFull));
    }
}
