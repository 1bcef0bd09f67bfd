//! The checks of one stream of a pad, made as its messages come.

use std::collections::{BTreeSet, HashSet};

use ringpad_proto::v1::{Early, Update};
use tokio::time::Instant;

use super::ledger::{Ledger, StreamFault};

/// One stream of a pad, as it comes.
#[derive(Debug)]
pub(super) struct StreamCheck {
    ledger: Ledger,
    pad: usize,
    cursor: u64,
    passed_over: BTreeSet<u64>,
    /// The rings that it has brought, in their turn or ahead of it.
    rung: HashSet<String>,
}

impl StreamCheck {
    /// A stream that begins after `position`.
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
            self.wrong(StreamFault::OutOfOrder, format!("{position} came after {}", self.cursor));
        } else {
            self.wrong(StreamFault::Twice, format!("{position} came twice on a stream"));
        }
    }

    /// The stream brings a ring ahead of its turn.
    pub(super) fn early(&mut self, early: &Early) {
        let call = early.call.clone().unwrap_or_default();
        if call.revision <= self.cursor || !self.rung.insert(call.id.clone()) {
            self.wrong(StreamFault::Twice, format!("{} came early, and had been shown", call.id));
        }
        self.ledger.show_early(self.pad, call.id, Instant::now());
    }

    /// A heartbeat names the position that the stream should have.
    pub(super) fn heartbeat(&self, position: u64) {
        if position != self.cursor {
            self.wrong(
                StreamFault::Broken,
                format!("a heartbeat of {position} on a stream at {}", self.cursor),
            );
        }
    }

    fn wrong(&self, wrong: StreamFault, words: String) {
        self.ledger.wrong(self.pad, wrong, words);
    }
}

impl Drop for StreamCheck {
    fn drop(&mut self) {
        if !self.passed_over.is_empty() {
            self.wrong(StreamFault::Broken, format!("a stream passed over {:?}", self.passed_over));
        }
    }
}
