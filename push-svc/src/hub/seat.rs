//! A pad's place in the hub: what wakes its stream, and what ends it.

use std::sync::{Arc, OnceLock};

use tokio::{sync::Notify, time::Instant};

use crate::end::End;

/// One pad's stream, as the hub sees it. The stream waits on it; the hub writes to it.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    store: Arc<str>,
    pad: Arc<str>,
    session: Option<Box<str>>,
    wake: Notify,
    end: OnceLock<End>,
    leave_at: OnceLock<Instant>,
    /// What its snapshot calls the store.
    told: OnceLock<Arc<str>>,
    /// When the pad is to connect anew, because the store is called something else by now.
    renamed_at: OnceLock<Instant>,
}

impl Seat {
    pub(super) fn new(id: u64, store: Arc<str>, pad: Arc<str>, session: Option<Box<str>>) -> Self {
        Self {
            id,
            store,
            pad,
            session,
            wake: Notify::new(),
            end: OnceLock::new(),
            leave_at: OnceLock::new(),
            told: OnceLock::new(),
            renamed_at: OnceLock::new(),
        }
    }

    /// Later seats have higher numbers.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The store whose events it gets.
    pub(crate) fn store(&self) -> &Arc<str> {
        &self.store
    }

    /// Whether both are streams of one pad of one store.
    pub(super) fn shares_pad(&self, other: &Self) -> bool {
        self.pad == other.pad && self.store == other.store
    }

    /// Whether both are streams of one session. A session belongs to its pad: no pad ends another's stream.
    pub(super) fn shares_session(&self, other: &Self) -> bool {
        self.session.is_some() && self.session == other.session && self.shares_pad(other)
    }

    /// Resolves when there may be something to do. One waiter at a time; a wake-up without a waiter is kept.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Why the hub has ended the stream, if it has.
    pub(crate) fn ended(&self) -> Option<End> {
        self.end.get().cloned()
    }

    /// When the pad is to be sent away, if the replica is leaving or the store has a new name.
    pub(crate) fn leave_at(&self) -> Option<Instant> {
        [&self.leave_at, &self.renamed_at].into_iter().filter_map(OnceLock::get).min().copied()
    }

    /// How the stream ends if the pad does not go by itself.
    pub(crate) fn sent_away_for(&self) -> End {
        if self.leave_at.get().is_some() { End::Leaving } else { End::Renamed }
    }

    /// The snapshot that the pad gets calls the store so.
    pub(super) fn tell(&self, name: &Arc<str>) {
        self.told.get_or_init(|| name.clone());
    }

    /// Whether the pad is still to learn that this is the store's name.
    pub(super) fn is_unaware_of(&self, name: &str) -> bool {
        let told_another = self.told.get().is_some_and(|told| **told != *name);
        told_another && self.leave_at().is_none() && self.end.get().is_none()
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The first reason stands.
    pub(super) fn end(&self, end: End) {
        self.end.get_or_init(|| end);
        self.wake();
    }

    /// The replica leaves.
    pub(super) fn send_away(&self, at: Instant) {
        self.leave_at.get_or_init(|| at);
        self.wake();
    }

    /// The store has a new name.
    pub(super) fn send_for_the_new_name(&self, at: Instant) {
        self.renamed_at.get_or_init(|| at);
        self.wake();
    }
}
