//! What the writer hands to the relay.
//!
//! The outbox proper is in the database: every event has a key, in commit order and without a gap, and a mark says how far the
//! relay has come. So that a fresh ring need not be read back, the writer also hands over what it has just committed. That queue
//! is bounded, in commits and in bytes; when it is full the hand-over is dropped, and the relay, which sees the gap in the keys,
//! reads the database.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ringpad_bus::Event;
use tokio::sync::Notify;

/// Times of commits that are remembered while their events wait; once they are full, later ones count as old as the last.
const TIMES: usize = 1_024;
/// Commits within so long of each other count as one.
const TOGETHER: Duration = Duration::from_millis(100);

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

/// How far the log and the relay have come, as event keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The newest event.
    pub(crate) newest: u64,
    /// Every event up to this one is handled.
    pub(crate) relayed: u64,
}

/// What the writer and the relay share.
#[derive(Debug)]
pub struct Outbox {
    newest: AtomicU64,
    relayed: AtomicU64,
    /// When the events were committed that are not handled, oldest first, each with the last key of those that were
    /// committed then or soon after.
    since: Mutex<VecDeque<(u64, Instant)>>,
    /// Bytes that the writer has handed over and the relay has not taken.
    handed_over: AtomicUsize,
    /// How many may be, or one commit with more.
    capacity_bytes: usize,
    changed: Mutex<BTreeSet<String>>,
    nudge: Notify,
}

impl Outbox {
    /// An outbox that takes so many bytes.
    pub(crate) fn new(Marks { newest, relayed }: Marks, capacity_bytes: usize) -> Self {
        Self {
            newest: AtomicU64::new(newest),
            relayed: AtomicU64::new(relayed),
            since: Mutex::new(VecDeque::from_iter((newest > relayed).then(|| (newest, Instant::now())))),
            handed_over: AtomicUsize::new(0),
            capacity_bytes,
            changed: Mutex::default(),
            nudge: Notify::new(),
        }
    }

    /// Events are committed up to this key.
    pub(crate) fn committed(&self, newest: u64) {
        let now = Instant::now();
        let mut since = lock(&self.since);
        let room = since.len() < TIMES;
        match since.back_mut() {
            Some((key, at)) if !room || now.duration_since(*at) < TOGETHER => *key = newest,
            _ if newest > self.relayed() => since.push_back((newest, now)),
            _ => {}
        }
        drop(since);
        self.newest.store(newest, Ordering::Release);
    }

    /// Events that are not handled.
    pub(crate) fn waiting(&self) -> u64 {
        self.newest().saturating_sub(self.relayed())
    }

    /// For how long the oldest event that is not handled has waited, since the start at most.
    pub(crate) fn oldest_age(&self, now: Instant) -> Option<Duration> {
        lock(&self.since).front().map(|(_, at)| now.saturating_duration_since(*at))
    }

    /// Whether a commit of this size may be handed over; if so, it counts until [`Self::taken`].
    pub(crate) fn has_room(&self, size: usize) -> bool {
        let more =
            |before: usize| (before == 0 || before + size <= self.capacity_bytes).then(|| before + size);
        self.handed_over.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// The relay has taken a commit of this size, or it was not handed over after all.
    pub(crate) fn taken(&self, size: usize) {
        self.handed_over.fetch_sub(size, Ordering::Relaxed);
    }

    /// Tells the relay that it has something to do that was not handed over.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Resolves after [`Self::nudge`]; a nudge for which nobody waited counts for the next wait.
    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// A store was changed or deleted: push-svc gets a hint to ask the log about it. There are at most as many
    /// as stores.
    pub(crate) fn store_changed(&self, store_id: String) {
        lock(&self.changed).insert(store_id);
        self.nudge();
    }

    /// Takes the stores that have changed since the last call.
    pub(crate) fn take_changed(&self) -> BTreeSet<String> {
        std::mem::take(&mut *lock(&self.changed))
    }

    /// The key of the newest committed event.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// The relay has handled every event up to this key. The writer notes it down with its next commit: a mark that is
    /// lost means that events are published twice, which hubs see by their positions.
    pub(crate) fn handled(&self, key: u64) {
        self.relayed.store(key, Ordering::Relaxed);
        let mut since = lock(&self.since);
        while since.pop_front_if(|(last, _)| *last <= key).is_some() {}
    }

    /// How far the relay has come.
    pub(crate) fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 1_000;

    fn outbox_at(newest: u64, relayed: u64) -> Outbox {
        Outbox::new(Marks { newest, relayed }, BYTES)
    }

    #[test]
    fn the_outbox_has_the_age_of_its_oldest_event() {
        let outbox = outbox_at(7, 7);
        let age = |outbox: &Outbox| outbox.oldest_age(Instant::now() + Duration::from_secs(5));
        assert_eq!((outbox.waiting(), age(&outbox)), (0, None));
        outbox.committed(8);
        outbox.committed(10);
        assert_eq!(outbox.waiting(), 3);
        assert!(age(&outbox) >= Some(Duration::from_secs(5)));
        outbox.handled(9);
        assert!(outbox.waiting() == 1 && age(&outbox).is_some());
        outbox.handled(10);
        assert_eq!((outbox.waiting(), age(&outbox)), (0, None));
        // What was left of the last time has waited since the start at least.
        assert!(age(&outbox_at(7, 3)) >= Some(Duration::from_secs(5)));
    }

    #[test]
    fn the_times_kept_during_a_long_outage_are_bounded() {
        let outbox = outbox_at(0, 0);
        for key in 1..=TIMES as u64 + 10 {
            let mut since = lock(&outbox.since);
            if let Some((_, at)) = since.back_mut() {
                *at -= TOGETHER;
            }
            drop(since);
            outbox.committed(key);
        }
        assert_eq!(lock(&outbox.since).len(), TIMES);
        outbox.handled(TIMES as u64 + 9);
        assert_eq!(lock(&outbox.since).len(), 1);
    }

    #[test]
    fn bytes_that_are_handed_over_are_bounded() {
        let outbox = outbox_at(0, 0);
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
