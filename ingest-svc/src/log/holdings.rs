//! How much each source has in the quarantine, and whose oldest request is dropped when it is full: the source's that has
//! most, so that no source pushes out what other ones have sent.

use std::{collections::BTreeMap, sync::Arc};

use crate::capacity::LogCapacity;

/// What each source has in the quarantine.
#[derive(Debug, Default)]
pub(super) struct Holdings(BTreeMap<Arc<str>, Holding>);

/// What one source has.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Holding {
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

impl FromIterator<(Arc<str>, Holding)> for Holdings {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Holding)>>(holdings: I) -> Self {
        Self(holdings.into_iter().collect())
    }
}

impl Holdings {
    /// A request with so many bytes was added.
    pub(super) fn add(&mut self, source: &Arc<str>, bytes: u64) {
        let holding = self.0.entry(Arc::clone(source)).or_default();
        *holding = Holding { requests: holding.requests + 1, bytes: holding.bytes + bytes };
    }

    /// A source's oldest request, of so many bytes, was removed; `None`: it had none, because the request that was counted last
    /// was rolled back. True: one was removed.
    pub(super) fn remove(&mut self, source: &str, bytes: Option<u64>) -> bool {
        match (bytes, self.0.get_mut(source)) {
            (Some(bytes), Some(holding)) => {
                holding.requests = holding.requests.saturating_sub(1);
                holding.bytes = holding.bytes.saturating_sub(bytes);
                true
            }
            _ => {
                self.0.remove(source);
                false
            }
        }
    }

    /// The source whose oldest request is to be dropped, if one is: of too many requests the source that has most of them,
    /// of too many bytes likewise.
    pub(super) fn too_much(&self, capacity: &LogCapacity) -> Option<Arc<str>> {
        self.largest(capacity.quarantine_requests, |holding| holding.requests)
            .or_else(|| self.largest(capacity.quarantine_bytes, |holding| holding.bytes))
    }

    /// The source that has most, if all have more than `bound` together.
    fn largest(&self, bound: u64, size: impl Fn(&Holding) -> u64) -> Option<Arc<str>> {
        let all: u64 = self.0.values().map(&size).sum();
        let (source, _) = self.0.iter().max_by_key(|(_, holding)| size(holding))?;
        (all > bound).then(|| Arc::clone(source))
    }
}
