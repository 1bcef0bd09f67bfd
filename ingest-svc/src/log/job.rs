//! The jobs of the writer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::LogError;
use crate::{
    call::{ActionOutcome, ActionRequest, Ingested},
    cdr::Record,
    request::Quarantined,
    store::{Assigned, Moving, StoreEntry, Upserted},
};

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, LogError>>;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Log a record.
    Ingest(Box<Record>, Answer<Ingested>),
    /// Do a pad's action.
    Act(Box<ActionRequest>, Answer<ActionOutcome>),
    /// Make or replace a store.
    Upsert(StoreEntry, Moving, Answer<Upserted>),
    /// Many stores, in a transaction of their own.
    Import(Box<Import>, Answer<Vec<Upserted>>),
    /// Remove a store; answers whether there was one.
    Delete(String, Answer<bool>),
    /// Keep a request that is not a CDR.
    Quarantine(Box<Quarantined>, Answer<()>),
    /// Remove requests from the quarantine.
    Release(Vec<u64>, Answer<()>),
    /// Delete a few calls and events from before this Unix second; answers whether there are more.
    Purge(i64, Answer<bool>),
    /// Write something, to see whether it can be done; unless that is known from what was written just now.
    Probe(Answer<()>),
}

/// Stores and their numbers in one transaction of an import at most, unless a store has more by itself: some ten milliseconds,
/// for which records wait.
pub(crate) const IMPORT: usize = 1_500;

/// A part of an import.
#[derive(Debug)]
pub(crate) struct Import {
    /// [`IMPORT`] rows at most, or one store.
    pub(crate) entries: Vec<StoreEntry>,
    pub(crate) moving: Moving,
    /// The numbers of all parts.
    pub(crate) assigned: Arc<Assigned>,
}

/// Bytes that a row of an import writes, about, in tables and indexes.
const ROW: usize = 1_500;

impl Job {
    /// Bytes that it writes, where they may be many.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Quarantine(request, _) => request.request.bytes(),
            Self::Import(import, _) => {
                import.entries.iter().map(|entry| (1 + entry.numbers.len()) * ROW).sum()
            }
            _ => 0,
        }
    }

    /// Answers it without having done it.
    pub(super) fn refuse(self, error: LogError) {
        match self {
            Self::Ingest(_, answer) => drop(answer.send(Err(error))),
            Self::Act(_, answer) => drop(answer.send(Err(error))),
            Self::Upsert(_, _, answer) => drop(answer.send(Err(error))),
            Self::Import(_, answer) => drop(answer.send(Err(error))),
            Self::Delete(_, answer) | Self::Purge(_, answer) => drop(answer.send(Err(error))),
            Self::Quarantine(_, answer) | Self::Release(_, answer) | Self::Probe(answer) => {
                drop(answer.send(Err(error)));
            }
        }
    }
}
