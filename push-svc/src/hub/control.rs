//! How the hub wakes and ends one stream.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{admission::token::Pad, stream_end::StreamEnd};

/// How long a pad may take to connect again for its store's new name. Long, because a name is not worth an interruption,
/// and another replica may not accept the pad at once.
const RENAMED_LINGER: Duration = Duration::from_secs(20);

/// The pad is asked to open its next stream and to leave this one.
#[derive(Debug, Clone)]
pub(crate) struct ReconnectRequest {
    /// When the pad is asked.
    pub ask_at: Instant,
    /// When this stream ends if the pad is still there.
    pub end_at: Instant,
    /// Why it ends then; also the reason for asking.
    pub end: StreamEnd,
}

/// One pad's stream, as the hub sees it. The stream waits on it; the hub writes to it.
#[derive(Debug)]
pub(crate) struct StreamControl {
    id: u64,
    store: Arc<str>,
    pad: Arc<str>,
    session: Option<Box<str>>,
    wake: Notify,
    end: OnceLock<StreamEnd>,
    leave: OnceLock<ReconnectRequest>,
    /// The name of the store in the pad's snapshot.
    announced_name: OnceLock<Arc<str>>,
    /// The store has another name now.
    renamed: OnceLock<ReconnectRequest>,
}

impl StreamControl {
    pub(super) fn new(id: u64, store: Arc<str>, pad: &Pad, session: Option<Box<str>>) -> Self {
        Self {
            id,
            store,
            pad: pad.id.clone(),
            session,
            wake: Notify::new(),
            end: OnceLock::new(),
            leave: OnceLock::new(),
            announced_name: OnceLock::new(),
            renamed: OnceLock::new(),
        }
    }

    /// Later streams have higher numbers.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The store whose events the stream gets.
    pub(crate) fn store(&self) -> &Arc<str> {
        &self.store
    }

    /// The pad's id.
    pub(super) fn pad(&self) -> &str {
        &self.pad
    }

    /// Whether both are streams of one pad of one store.
    pub(super) fn shares_pad(&self, other: &Self) -> bool {
        self.pad == other.pad && self.store == other.store
    }

    /// Whether both are streams of one session. A session belongs to its pad, so that no pad can end another pad's stream.
    pub(super) fn shares_session(&self, other: &Self) -> bool {
        self.session.is_some() && self.session == other.session && self.shares_pad(other)
    }

    /// Resolves when there may be something to send. One waiter at a time; a wake-up without a waiter is kept.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Why the hub has ended the stream, if it has.
    pub(crate) fn ended(&self) -> Option<StreamEnd> {
        self.end.get().cloned()
    }

    /// Whether the pad is to reconnect: because the replica is leaving, or else because the store has a new name.
    pub(crate) fn reconnect_request(&self) -> Option<&ReconnectRequest> {
        self.leave.get().or_else(|| self.renamed.get())
    }

    /// The pad's snapshot has this name of the store.
    pub(super) fn announce_name(&self, name: &Arc<str>) {
        self.announced_name.get_or_init(|| name.clone());
    }

    /// Whether the pad has another name of the store, and has not been asked to reconnect.
    pub(super) fn needs_name(&self, name: &str) -> bool {
        let has_another = self.announced_name.get().is_some_and(|announced| **announced != *name);
        has_another && self.reconnect_request().is_none() && self.end.get().is_none()
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the stream. The first reason stands.
    pub(super) fn end(&self, end: StreamEnd) {
        self.end.get_or_init(|| end);
        self.wake();
    }

    /// The replica leaves. The first request stands.
    pub(super) fn leave(&self, request: ReconnectRequest) {
        self.leave.get_or_init(|| request);
        self.wake();
    }

    /// The store has a new name, which only a new snapshot can tell the pad.
    pub(super) fn reconnect_for_name(&self, ask_at: Instant) {
        let end_at = ask_at + RENAMED_LINGER;
        self.renamed.get_or_init(|| ReconnectRequest { ask_at, end_at, end: StreamEnd::Renamed });
        self.wake();
    }
}
