//! What the writer hands to the relay.
//!
//! The outbox proper is the `events` table: every event has a key, in commit order and without a gap, and
//! `meta.relayed` marks how far the relay has come. So that a fresh ring need not be read back, the writer also hands
//! over what it has just committed. That queue is bounded, in commits and in bytes; when it is full the hand-over is
//! dropped, and the relay, which sees the gap in the keys, reads the table.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use ringpad_bus::Event;
use tokio::sync::Notify;

/// Commits that may wait for the relay.
pub(super) const COMMITS: usize = 1_024;

/// Bytes of events in them; or one commit of more.
const BYTES: usize = 16 * 1024 * 1024;

/// The events of one commit.
#[derive(Debug)]
pub struct Committed {
    /// The key of the first event; the others follow without a gap.
    pub first_key: u64,
    /// When they were committed.
    pub at: Instant,
    /// In commit order.
    pub events: Vec<Event>,
}

impl Committed {
    /// The key of the last event.
    pub(crate) fn last_key(&self) -> u64 {
        self.first_key + self.events.len() as u64 - 1
    }

    /// What its events take, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.events.iter().map(Event::size).sum()
    }
}

/// The writer's and the relay's common ground.
#[derive(Debug)]
pub struct Outbox {
    newest: AtomicU64,
    relayed: AtomicU64,
    /// Bytes that the writer has handed over and the relay has not taken.
    handed_over: AtomicUsize,
    changed: Mutex<BTreeSet<String>>,
    nudge: Notify,
}

impl Outbox {
    /// An outbox whose newest event has the key `newest`, and whose events are handled up to `relayed`.
    pub(crate) fn new(newest: u64, relayed: u64) -> Self {
        Self {
            newest: AtomicU64::new(newest),
            relayed: AtomicU64::new(relayed),
            handed_over: AtomicUsize::new(0),
            changed: Mutex::default(),
            nudge: Notify::new(),
        }
    }

    /// Events are committed up to this key.
    pub(crate) fn committed(&self, newest: u64) {
        self.newest.store(newest, Ordering::Release);
    }

    /// Whether a commit of this size may be handed over; if so, it counts until [`Self::taken`].
    pub(crate) fn has_room(&self, size: usize) -> bool {
        let more = |before: usize| (before == 0 || before + size <= BYTES).then(|| before + size);
        self.handed_over.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// The relay has taken a commit of this size, or it was not handed over after all.
    pub(crate) fn taken(&self, size: usize) {
        self.handed_over.fetch_sub(size, Ordering::Relaxed);
    }

    /// The relay has something to do that no hand-over tells it.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Resolves after [`Self::nudge`]; one that nobody waited for counts for the next who does.
    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// A store was changed or deleted: push-svc is told to ask the log about it. Bounded by the number of stores.
    pub(crate) fn store_changed(&self, store_id: String) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(store_id);
        self.nudge();
    }

    /// Takes the stores that have changed since the last call.
    pub(crate) fn take_changed(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key of the newest committed event.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// The relay has handled every event up to this key. The writer notes it down with its next commit: a mark that is
    /// lost means that events are published twice, which hubs see by their positions.
    pub(crate) fn handled(&self, key: u64) {
        self.relayed.store(key, Ordering::Relaxed);
    }

    /// How far the relay has come.
    pub(crate) fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_handed_over_are_bounded() {
        let outbox = Outbox::new(0, 0);
        assert!(outbox.has_room(BYTES - 10));
        assert!(!outbox.has_room(11));
        assert!(outbox.has_room(10));
        outbox.taken(BYTES - 10);
        assert!(outbox.has_room(11));
        outbox.taken(21);
        assert!(outbox.has_room(2 * BYTES), "one commit of more");
        assert!(!outbox.has_room(1));
    }
}
