//! The log in SQLite: all of its SQL is in this folder, and nothing outside uses the database crate.
//!
//! ```text
//! jobs ─► writer ─► commit ─► record, action, stores, quarantine, purge ─► SQLite ◄─── readers (a few connections)
//!           │       (one transaction, a savepoint for each job)               ▲
//!           └─ asks for ──────────────────────────────────────────────► checkpoint
//! ```
//!
//! The writer loads what a job needs, lets [`crate::call`] and [`crate::store`] decide, and stores the result. The file belongs to
//! one ingest-svc at a time; a lock on it ensures that.

mod action;
mod backup;
mod checkpoint;
mod commit;
mod connection;
mod error;
mod file;
mod open;
mod purge;
mod quarantine;
mod read;
mod readers;
mod record;
mod restore;
mod rows;
mod schema;
mod stores;
mod unreadable;
mod writer;

use std::{
    path::Path,
    sync::{Arc, mpsc::sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{
    job::Job,
    metrics::LogMetrics,
    outbox::{Committed, Outbox},
};
use crate::capacity::LogCapacity;
pub use backup::{BackupError, Contents, NewestEvent, back_up};
use checkpoint::{Checkpoints, Emptying};
pub use error::OpenError;
use file::LogFile;
pub(super) use readers::Connections;
pub use restore::{Existing, RestoreError, Restored, restore};
use writer::Writer;

/// An open database, with its threads running.
pub(super) struct Database {
    pub(super) epoch: Uuid,
    pub(super) jobs: mpsc::Sender<Job>,
    /// When something was last written that is on disk.
    pub(super) written: watch::Receiver<Option<Instant>>,
    pub(super) connections: Connections,
    pub(super) outbox: Arc<Outbox>,
    pub(super) fresh: mpsc::Receiver<Committed>,
    /// They end once the last sender of jobs is dropped.
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// Opens the log's file, or makes it.
pub(super) fn open(
    path: &Path,
    popup_ttl: Duration,
    capacity: &LogCapacity,
    metrics: &LogMetrics,
) -> Result<Database, OpenError> {
    let popup_ttl = popup_ttl.try_into().unwrap_or(jiff::SignedDuration::MAX);
    let file = Arc::new(LogFile::hold(path)?);
    let emptying = Arc::new(Emptying::default());
    let (writer, fresh) = Writer::open(&file, popup_ttl, capacity, metrics.clone(), Arc::clone(&emptying))?;
    let checkpointer = Checkpoints::open(Arc::clone(&file), emptying, metrics.clone())?;
    let connections = Connections::new(file, capacity.clone(), metrics);
    let (epoch, outbox, written) = (writer.epoch(), writer.outbox(), writer.written());
    let (jobs, receiver) = mpsc::channel(capacity.jobs);
    let (checkpoints, requests) = sync_channel(1);
    let threads = vec![
        spawn("log-writer", move || writer.run(receiver, &checkpoints))?,
        spawn("log-checkpoints", move || checkpointer.run(&requests))?,
    ];
    Ok(Database { epoch, jobs, written, connections, outbox, fresh, threads })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
pub(crate) mod tests;
