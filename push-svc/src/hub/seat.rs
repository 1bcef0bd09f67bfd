//! A pad's place in the hub: what wakes its stream, and what ends it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::end::End;

/// How long a pad that is to come for its store's new name is given for it. Long: a name is worth no cut, and its next
/// stream may not be had at once.
const RENAMED_LINGER: Duration = Duration::from_secs(20);

/// That a pad is to open its next stream, and leave this one.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    /// When it is asked to.
    pub at: Instant,
    /// When this stream ends if it is still there.
    pub by: Instant,
    /// How it ends then, which also says what for.
    pub end: End,
}

/// One pad's stream, as the hub sees it. The stream waits on it; the hub writes to it.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    store: Arc<str>,
    pad: Arc<str>,
    session: Option<Box<str>>,
    wake: Notify,
    end: OnceLock<End>,
    leave: OnceLock<Errand>,
    /// What its snapshot calls the store.
    told: OnceLock<Arc<str>>,
    /// The pad is to connect anew, because the store is called something else by now.
    renamed: OnceLock<Errand>,
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
            leave: OnceLock::new(),
            told: OnceLock::new(),
            renamed: OnceLock::new(),
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

    /// What the pad is sent away for: that the replica is leaving, or else that the store has a new name.
    pub(crate) fn errand(&self) -> Option<&Errand> {
        self.leave.get().or_else(|| self.renamed.get())
    }

    /// The snapshot that the pad gets calls the store so.
    pub(super) fn tell(&self, name: &Arc<str>) {
        self.told.get_or_init(|| name.clone());
    }

    /// Whether the pad is still to learn that this is the store's name.
    pub(super) fn is_unaware_of(&self, name: &str) -> bool {
        let told_another = self.told.get().is_some_and(|told| **told != *name);
        told_another && self.errand().is_none() && self.end.get().is_none()
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The first reason stands.
    pub(super) fn end(&self, end: End) {
        self.end.get_or_init(|| end);
        self.wake();
    }

    /// The replica leaves, and its last streams end at `by`.
    pub(super) fn send_away(&self, at: Instant, by: Instant) {
        self.leave.get_or_init(|| Errand { at, by, end: End::Leaving });
        self.wake();
    }

    /// The store has a new name.
    pub(super) fn send_for_the_new_name(&self, at: Instant) {
        self.renamed.get_or_init(|| Errand { at, by: at + RENAMED_LINGER, end: End::Renamed });
        self.wake();
    }
}
