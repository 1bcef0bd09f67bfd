//! What the jobs of one commit have done, apart from their answers. It takes effect once it is on disk.

use std::sync::Arc;

use ringpad_bus::Event;

use super::error::LogError;
use crate::{
    call::{Ingested, RecordOutcome, Status},
    cdr::Record,
    store::Upserted,
};

/// What one commit has done.
#[derive(Default)]
pub(super) struct Batch {
    /// The key of the first event; the others follow without a gap.
    pub(super) first_key: u64,
    pub(super) events: Vec<Event>,
    /// The ids of stores that push-svc is to ask the log about.
    pub(super) changed: Vec<String>,
    /// The sources of records, and what became of these.
    pub(super) logged: Vec<(Arc<str>, RecordOutcome)>,
    pub(super) quarantined: u64,
    /// Quarantined requests that were dropped for newer ones.
    pub(super) dropped: u64,
    /// Whether it has something that the database must write, and cannot leave out because nothing has changed.
    pub(super) writes: bool,
    /// Why the last jobs were not done, if so.
    pub(super) stop: Option<Stop>,
}

/// Why the rest of some jobs is not done.
pub(super) struct Stop {
    /// How many of them were done.
    pub(super) done: usize,
    pub(super) error: LogError,
}

impl Batch {
    /// The commit after this one has done this, too. Its events continue those of this one.
    pub(super) fn add(&mut self, later: Self) {
        if self.events.is_empty() {
            self.first_key = later.first_key;
        }
        self.events.extend(later.events);
        self.changed.extend(later.changed);
        self.logged.extend(later.logged);
        self.quarantined += later.quarantined;
        self.dropped += later.dropped;
        self.writes |= later.writes;
    }

    /// A record was logged.
    pub(super) fn record(
        &mut self,
        record: &Record,
        outcome: RecordOutcome,
        event: Option<Event>,
    ) -> Ingested {
        let ingested = outcome.ingested;
        self.writes |= ingested.status != Status::Duplicate;
        self.events.extend(event);
        self.logged.push((Arc::clone(&record.source), outcome));
        ingested
    }

    /// A pad's action was done.
    pub(super) fn action(&mut self, event: Option<Event>) {
        self.writes |= event.is_some();
        self.events.extend(event);
    }

    /// A store was made or replaced.
    pub(super) fn upserted(&mut self, id: &str, outcome: &Upserted) {
        if outcome.hints_pads() {
            self.changed.push(id.to_owned());
        }
    }

    /// The same, as a part of an import.
    pub(super) fn imported(&mut self, id: &str, outcome: &Upserted) {
        if outcome.hints_pads_after_import() {
            self.changed.push(id.to_owned());
        }
    }

    /// A store was deleted, if there was one.
    pub(super) fn deleted(&mut self, id: &str) {
        self.changed.push(id.to_owned());
    }

    /// A request was quarantined, and so many others were dropped for it.
    pub(super) fn quarantined(&mut self, dropped: u64) {
        self.quarantined += 1;
        self.dropped += dropped;
        self.writes = true;
    }
}
