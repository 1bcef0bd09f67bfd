//! What of the log cannot be read is left out, counted, and said once; the rest is shown. A file that was damaged, or changed
//! by another program, then costs a call or an event, and not its store.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::counter::Counter;

/// Rows that are remembered as said; of further ones there is only the count.
const SAID: usize = 1_000;

/// Notes what is left out. A cloneable handle.
#[derive(Debug, Clone, Default)]
pub(super) struct SetAside {
    count: Counter,
    said: Arc<Mutex<BTreeSet<(Kind, i64)>>>,
}

/// What cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A call as pads see it.
    Call,
    /// What a call's records have said.
    Facts,
    /// An event.
    Event,
    /// What was last reserved for a caller; the number is the store's key.
    Reservation,
}

impl SetAside {
    pub(super) fn new(count: Counter) -> Self {
        Self { count, said: Arc::default() }
    }

    /// This row is left out.
    pub(super) fn note(&self, kind: Kind, key: i64) {
        self.count.inc();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < SAID && said.insert((kind, key)) {
            tracing::error!(
                ?kind,
                key,
                "a row of the log cannot be read, and is left out; the rest is shown"
            );
        }
    }

    /// What was read, or `None` if it cannot be understood.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn readable<T>(
        &self,
        kind: Kind,
        key: i64,
        read: rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => {
                self.note(kind, key);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
