//! The log in SQLite: all of its SQL is in this folder, and nothing outside uses the database crate.
//!
//! ```text
//! batch ─► commit ─► record, action, stores, quarantine, purge ─► SQLite ◄─── readers (a few connections)
//!            │       (one transaction)                              ▲
//!            └─ writer asks for ────────────────────────────► checkpoint
//! ```
//!
//! The writer loads what a job needs, lets [`crate::call`] and [`crate::store`] decide, and stores the result. The file belongs to
//! one ingest-svc at a time; a lock on it ensures that.

mod action;
mod backup;
mod checkpoint;
mod commit;
mod connection;
mod copy;
mod customers;
mod error;
mod file;
mod open;
mod pads;
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
};

use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{metrics::LogMetrics, unreadable::UnreadableRows};
use crate::capacity::LogCapacity;
pub use backup::{BackupError, Contents, NewestEvent, back_up};
use checkpoint::{Checkpoints, Emptying};
pub(super) use copy::Source;
pub use error::FileError;
use file::LogFile;
pub(super) use readers::Connections;
pub use restore::{Existing, RestoreError, Restored, restore};
pub use schema::Moved;
pub(super) use writer::Writer;

/// Opens the log's file, or makes it. The task moves what is committed into the file, and ends after the writer is dropped.
pub(super) fn open(
    path: &Path,
    popup_ttl: SignedDuration,
    capacity: &LogCapacity,
    metrics: &LogMetrics,
    registry: &mut Registry,
) -> Result<(Writer, Connections, JoinHandle<()>), FileError> {
    let file = Arc::new(LogFile::hold(path)?);
    let emptying = Arc::new(Emptying::default());
    let (checkpoints, requests) = sync_channel(1);
    let unreadable = UnreadableRows::new(metrics.unreadable_rows.clone());
    let writer =
        Writer::open(&file, popup_ttl, capacity, unreadable.clone(), Arc::clone(&emptying), checkpoints)?;
    let checkpointer = Checkpoints::open(Arc::clone(&file), emptying, capacity.wal_bytes, registry)?;
    let connections = Connections::new(file, *capacity, unreadable);
    let checkpointing = spawn_blocking(move || {
        // Without a name it only is harder to tell from the others.
        rustix::thread::set_name(c"log-checkpoints").ok();
        checkpointer.run(&requests);
    });
    Ok((writer, connections, checkpointing))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
pub(crate) mod tests;
