//! The checks of one stream of a pad, made as its messages come.

use std::collections::{BTreeSet, HashSet};

use ringpad_proto::v1::{Early, Update};
use tokio::time::Instant;

use super::ledger::{Ledger, Wrong};

/// One stream of a pad, as it comes.
#[derive(Debug)]
pub(super) struct Wire {
    ledger: Ledger,
    pad: usize,
    cursor: u64,
    passed_over: BTreeSet<u64>,
    /// Rings that it has shown, in their turn or ahead of it.
    rung: HashSet<String>,
}

impl Wire {
    /// A stream that begins behind `position`.
    pub(super) fn new(ledger: &Ledger, pad: usize, position: u64) -> Self {
        let (passed_over, rung) = (BTreeSet::new(), HashSet::new());
        Self { ledger: ledger.clone(), pad, cursor: position, passed_over, rung }
    }

    /// The stream brings an update.
    pub(super) fn update(&mut self, update: &Update) {
        let position = update.position;
        self.rung.extend(update.call.as_ref().map(|call| call.id.clone()));
        if position > self.cursor {
            self.passed_over.extend(self.cursor + 1..position);
            self.cursor = position;
        } else if self.passed_over.remove(&position) {
            self.wrong(Wrong::OutOfOrder, format!("{position} came after {}", self.cursor));
        } else {
            self.wrong(Wrong::Twice, format!("{position} came twice on a stream"));
        }
    }

    /// The stream shows a ring ahead of its turn.
    pub(super) fn early(&mut self, early: &Early) {
        let call = early.call.clone().unwrap_or_default();
        if call.revision <= self.cursor || !self.rung.insert(call.id.clone()) {
            self.wrong(Wrong::Twice, format!("{} came early, and had been shown", call.id));
        }
        self.ledger.show_early(self.pad, call.id, Instant::now());
    }

    /// A heartbeat tells how far the stream should be.
    pub(super) fn heartbeat(&self, position: u64) {
        if position != self.cursor {
            self.wrong(Wrong::Broken, format!("a heartbeat of {position} on a stream at {}", self.cursor));
        }
    }

    fn wrong(&self, wrong: Wrong, words: String) {
        self.ledger.wrong(self.pad, wrong, words);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.passed_over.is_empty() {
            self.wrong(Wrong::Broken, format!("a stream passed over {:?}", self.passed_over));
        }
    }
}
