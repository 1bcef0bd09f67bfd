//! The databases that a log can be kept in. Nothing else outside their folders names one.
//!
//! A database commits a batch of jobs, and answers queries. How it does that is its own: SQLite uses small statements, on
//! threads; PostgreSQL few round trips.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{
    batch::Batch,
    error::LogError,
    job::{Job, Probe},
    metrics::LogMetrics,
    outbox::Outbox,
    postgres, sqlite,
};
use crate::capacity::LogCapacity;

/// Where the log is kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several ingest-svc can share.
    Postgres(postgres::Servers),
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(Self::Postgres);
        }
        match text.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() && !path.contains('?') => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err(
                "sqlite:// and a path is expected, e.g. sqlite:///var/lib/ringpad/ringpad.db, or postgres://, e.g. \
                 postgres://user:password@host:5432/database"
                    .to_owned(),
            ),
        }
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is a file.
    #[error("cannot open the log {}", path.display())]
    Sqlite {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: sqlite::FileError,
    },
    /// It is a database of a server.
    #[error("cannot open the log {servers}")]
    Postgres {
        /// Which one.
        servers: postgres::Servers,
        /// What is wrong with it.
        source: postgres::PostgresError,
    },
}

/// An open database.
pub(super) struct OpenDatabase {
    pub(super) epoch: Uuid,
    pub(super) outbox: Arc<Outbox>,
    pub(super) writer: DatabaseWriter,
    pub(super) reader: DatabaseReader,
    /// What the database runs for itself. It ends after the writer is dropped.
    pub(super) tasks: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens the database, or makes it. `registry` is for metrics that only this one has.
    pub(super) async fn open(
        &self,
        popup_ttl: SignedDuration,
        capacity: &LogCapacity,
        metrics: &LogMetrics,
        registry: &mut Registry,
    ) -> Result<OpenDatabase, OpenError> {
        match self {
            Self::Sqlite(path) => {
                let (writer, reader, checkpoints) =
                    sqlite::open(path, popup_ttl, capacity, metrics, registry)
                        .map_err(|source| OpenError::Sqlite { path: path.clone(), source })?;
                Ok(OpenDatabase {
                    epoch: writer.epoch,
                    outbox: Arc::clone(&writer.outbox),
                    writer: DatabaseWriter::Sqlite(Box::new(writer)),
                    reader: DatabaseReader::Sqlite(reader),
                    tasks: vec![checkpoints],
                })
            }
            Self::Postgres(servers) => {
                let (writer, reader) = postgres::open(servers, popup_ttl, capacity, metrics)
                    .await
                    .map_err(|source| OpenError::Postgres { servers: servers.clone(), source })?;
                Ok(OpenDatabase {
                    epoch: writer.epoch(),
                    outbox: writer.outbox(),
                    writer: DatabaseWriter::Postgres(Box::new(writer)),
                    reader: DatabaseReader::Postgres(reader),
                    tasks: Vec::new(),
                })
            }
        }
    }
}

/// The half that writes. There is one for each open log.
pub(super) enum DatabaseWriter {
    Sqlite(Box<sqlite::Writer>),
    Postgres(Box<postgres::Writer>),
}

impl DatabaseWriter {
    /// Does all jobs, and keeps the outcome of each in it: SQLite in one transaction, PostgreSQL in one for each kind of job. A
    /// job that fails takes back only itself. PostgreSQL does not need `probe`: each of its probes renews the lease.
    ///
    /// # Errors
    /// The commit failed, or its outcome is unknown: every job is to be answered with the error.
    pub(super) async fn commit(&mut self, jobs: &mut [Job], probe: Probe) -> Result<Batch, LogError> {
        match self {
            Self::Sqlite(writer) => writer.commit(jobs, probe),
            Self::Postgres(writer) => writer.commit(jobs).await,
        }
    }

    /// What is to be done between two commits, after the answers.
    pub(super) fn maintain(&mut self) {
        match self {
            Self::Sqlite(writer) => writer.maintain(),
            Self::Postgres(_) => {}
        }
    }

    /// There is nothing more to commit.
    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(writer) => writer.close(),
            Self::Postgres(writer) => writer.close().await,
        }
    }

    /// Whether it blocks its thread.
    pub(super) fn blocks(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(_) => false,
        }
    }
}

/// The half that reads. A cloneable handle.
#[derive(Debug, Clone)]
pub(super) enum DatabaseReader {
    Sqlite(sqlite::Connections),
    Postgres(postgres::Connections),
}
