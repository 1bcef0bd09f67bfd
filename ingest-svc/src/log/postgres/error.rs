//! Errors of the database as the log's. What a server says of the values of a row is left out: they may be phone numbers.

use std::{error::Error, fmt, time::Duration};

use tokio_postgres::error::SqlState;

use super::super::{error::LogError, json::JsonError};

/// What the server or the connection reports.
#[derive(Debug)]
pub enum ServerError {
    /// A statement failed. Without the details, which quote values.
    Statement {
        /// Which kind of failure it is.
        code: SqlState,
        /// In the server's words.
        message: String,
    },
    /// The connection failed, or what came over it cannot be read.
    Connection(tokio_postgres::Error),
}

impl ServerError {
    /// Whether a lock was not got in time.
    pub(super) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Statement { code, .. } if *code == SqlState::LOCK_NOT_AVAILABLE)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement { code, message } => write!(f, "{message} (SQLSTATE {})", code.code()),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl Error for ServerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Statement { .. } => None,
            Self::Connection(error) => error.source(),
        }
    }
}

impl From<tokio_postgres::Error> for ServerError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) => {
                Self::Statement { code: error.code().clone(), message: error.message().to_owned() }
            }
            None => Self::Connection(error),
        }
    }
}

/// Why a transaction failed, and what helps.
#[derive(Debug)]
pub(super) enum Failure {
    /// It met another transaction: the same again.
    Conflict(LogError),
    /// One of its jobs is to blame: each of them by itself.
    Job(LogError),
    /// The connection is lost, or the server cannot write now. If it was the commit that failed, it may have been done.
    Unusable(LogError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        ServerError::from(error).into()
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Self::Job(LogError::unavailable(error))
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let kind = match &error {
            ServerError::Connection(_) => Self::Unusable,
            ServerError::Statement { code, .. } => match code.code() {
                // Serialisation, deadlock, a lock that was not got in time.
                "40001" | "40P01" | "55P03" => Self::Conflict,
                // Classes: connection, resources (a full disk), operator intervention (a shutdown), errors of the system; and a
                // server that only reads, or a transaction that it ended or that has failed before.
                code if ["08", "53", "57", "58", "XX"].contains(&code.get(..2).unwrap_or_default()) => {
                    Self::Unusable
                }
                "25006" | "25P02" | "25P03" | "25P04" => Self::Unusable,
                _ => Self::Job,
            },
        };
        kind(LogError::unavailable(error))
    }
}

/// Whether the server ended a query because it took too long.
pub(super) fn took_too_long(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No server that writes can be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The tables cannot be read or made.
    #[error("cannot read or make its tables")]
    Tables(#[source] ServerError),
    /// Another process has them, or the server does not answer.
    #[error("its tables were locked, or the server did not answer, for {} seconds; see pg_locks and pg_stat_activity", longest.as_secs())]
    NoTurn {
        /// How long it was waited for.
        longest: Duration,
    },
    /// Written by another version.
    #[error("its schema version is {found}; this ingest-svc supports up to {known}. Use a newer ingest-svc")]
    Version {
        /// The database's.
        found: i32,
        /// The newest one that this code knows.
        known: i32,
    },
    /// `ringpad log copy` has begun, and has not ended.
    #[error(
        "a log is being copied to it, or a copy was interrupted: ingest-svc can start when `ringpad log copy` has completed it"
    )]
    Copying,
    /// The server is too old.
    #[error("the server is PostgreSQL {found}; 14 or newer is needed")]
    Server {
        /// Its major version.
        found: i32,
    },
    /// Texts would be changed.
    #[error("the database's encoding is {found}; UTF8 is needed: CREATE DATABASE … ENCODING 'UTF8'")]
    Encoding {
        /// The database's.
        found: String,
    },
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Tables(error.into())
    }
}

/// Why there is no connection: what each host answered.
#[derive(Debug, thiserror::Error)]
#[error("no server takes a connection that writes: {0}")]
pub struct ConnectError(pub(super) String);
