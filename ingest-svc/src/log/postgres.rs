//! The log in PostgreSQL, which several ingest-svc can share: all of its SQL is in this folder, and nothing outside uses its client.
//!
//! ```text
//! jobs ─► writer ─► load ─► working (the rules, in memory) ─► save ─► PostgreSQL ◄─── readers (a few connections)
//!           └─────► stores, quarantine, purge ────────────────────────────┘
//! ```
//!
//! A batch takes three round trips, however many jobs it has: load, lock and load the rest, write and commit. No statement is prepared,
//! and nothing is set for longer than a transaction, so that it works behind PgBouncer. What a batch reads and writes are functions in
//! the database (`batch.sql`), whose plans the server keeps. Nothing is announced with NOTIFY: that would
//! have all commits wait for each other.

mod copy;
mod customers;
mod error;
mod load;
mod locks;
mod owner;
mod pads;
mod purge;
mod quarantine;
mod read;
mod readers;
mod rows;
mod save;
mod schema;
mod stores;
mod target;
mod working;
mod writer;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use super::{
    metrics::LogMetrics,
    outbox::{Marks, Outbox},
    unreadable::UnreadableRows,
};
use crate::capacity::LogCapacity;
pub use copy::TargetError;
pub(super) use copy::{State, Target};
pub use error::OpenError as PostgresError;
use owner::CurrentOwner;
use purge::Sweep;
pub(super) use readers::Connections;
use readers::Shared;
pub use target::Servers;
pub(super) use writer::Writer;

/// Opens the log, or makes its tables.
pub(super) async fn open(
    servers: &Servers,
    popup_ttl: jiff::SignedDuration,
    capacity: &LogCapacity,
    metrics: &LogMetrics,
) -> Result<(Writer, Connections), PostgresError> {
    let session = servers.connect().await?;
    let log = schema::migrate(&session, schema::LONGEST).await?;
    let epoch = log.epoch(session.timeline.number);
    let unreadable = UnreadableRows::new(metrics.unreadable_rows.clone());
    // Each start is a new owner: what an earlier one has left is taken over like another's.
    let outbox = Arc::new(Outbox::new(Marks { newest: 0, relayed: 0 }, capacity.outbox_bytes));
    let owner = Arc::new(CurrentOwner::default());
    let shared =
        Shared { servers: servers.clone(), log, epoch, owner: Arc::clone(&owner), idle: Mutex::default() };
    let reader =
        Connections { shared: Arc::new(shared), capacity: *capacity, unreadable: unreadable.clone() };
    let writer = Writer {
        servers: servers.clone(),
        session: Some(session),
        log,
        epoch,
        owner: None,
        newest: 0,
        probed: false,
        shared_owner: owner,
        outbox,
        popup_ttl,
        capacity: *capacity,
        unreadable,
        sweep: Sweep::default(),
        may_be_committed: false,
        unsettled: BTreeSet::new(),
    };
    Ok((writer, reader))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
pub(super) mod tests;
