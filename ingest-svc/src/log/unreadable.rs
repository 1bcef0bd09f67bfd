//! Rows that cannot be read are left out, counted, and reported once; the rest is shown. In a file that was damaged, or changed
//! by another program, one call or event is missing then, and not a whole store.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::counter::Counter;

/// Rows that are remembered as reported; further ones are only counted.
const REPORTED: usize = 1_000;

/// Counts and reports the rows that are left out. A cloneable handle.
#[derive(Debug, Clone, Default)]
pub(super) struct UnreadableRows {
    count: Counter,
    reported: Arc<Mutex<BTreeSet<(Kind, i64)>>>,
}

/// What a row holds that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A call as pads see it.
    Call,
    /// The merged records of a call.
    Facts,
    /// An event.
    Event,
    /// What was last reserved for a caller; the number is the store's key.
    Reservation,
}

impl UnreadableRows {
    pub(super) fn new(count: Counter) -> Self {
        Self { count, reported: Arc::default() }
    }

    /// This row is left out.
    pub(super) fn note(&self, kind: Kind, key: i64) {
        self.count.inc();
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < REPORTED && reported.insert((kind, key)) {
            tracing::error!(
                ?kind,
                key,
                "a row of the log cannot be read, and is left out; the rest is shown"
            );
        }
    }
}
