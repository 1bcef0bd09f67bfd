//! What a running relay holds, and how its backlog is filled.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ringpad_bus::{Bus, Confirm, Event, Origin, Receipt};
use ringpad_runtime::{ErrorChain, backoff::RetrySettings, traces::Traces};
use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use super::{
    backlog::{Backlog, OutgoingMessage},
    metrics::RelayMetrics,
};
use crate::{
    capacity::RelayCapacity,
    log::{Committed, Extent, LogReader, Outbox, OutboxPage, PageSize},
};

/// How often a message is sent even without events, so that hubs can distinguish a quiet bus from a dead one.
pub(super) const CANARY: Duration = Duration::from_secs(1);

/// The relay, before it runs.
pub(crate) struct Relay {
    pub(crate) bus: Bus,
    pub(crate) traces: Traces,
    pub(crate) retry: RetrySettings,
    pub(crate) popup_ttl: Duration,
    pub(crate) capacity: RelayCapacity,
    pub(crate) log: LogReader,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) fresh: mpsc::Receiver<Committed>,
    pub(crate) metrics: RelayMetrics,
}

/// A running relay.
pub(super) struct RunningRelay {
    pub(super) relay: Relay,
    /// What each connection tells about this process.
    pub(super) origin: Origin,
    pub(super) backlog: Backlog,
    /// Messages that are not confirmed yet, oldest first.
    pub(super) unconfirmed: VecDeque<(OutgoingMessage, Confirm)>,
    pub(super) writer_ended: bool,
}

impl RunningRelay {
    /// Takes over a commit, or notes that the writer has ended.
    pub(super) fn take(&mut self, committed: Option<Committed>) {
        match committed {
            Some(committed) => {
                self.relay.outbox.taken(committed.size());
                self.backlog.take(committed);
            }
            None => self.writer_ended = true,
        }
    }

    /// Fills the backlog: with commits of the writer, hints about changed stores, and events that only the log has.
    pub(super) async fn refill(&mut self) {
        let newest = self.relay.outbox.newest();
        while self.backlog.has_room() {
            match self.relay.fresh.try_recv() {
                Ok(committed) => self.take(Some(committed)),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.take(None);
                    break;
                }
            }
        }
        for store_id in self.relay.outbox.take_changed() {
            self.hint(store_id);
        }
        if let Some(keys) = self.backlog.missing(newest) {
            self.read_log(keys).await;
        }
    }

    /// Queues a hint about a store.
    pub(super) fn hint(&mut self, store_id: String) {
        self.backlog.take_hint(hint(store_id, self.relay.log.epoch()), Instant::now());
    }

    async fn read_log(&mut self, keys: RangeInclusive<u64>) {
        let now = jiff::Timestamp::now().as_millisecond();
        let RelayCapacity { page_events, page_bytes, .. } = self.relay.capacity;
        let page = PageSize { events: page_events, bytes: page_bytes };
        let ttl = i64::try_from(self.relay.popup_ttl.as_millis()).unwrap_or(i64::MAX);
        match self.relay.log.outbox(*keys.start(), now.saturating_sub(ttl), page).await {
            Ok(OutboxPage { events, extent }) => {
                let epoch = self.relay.log.epoch();
                let events = events.into_iter().map(|stored| {
                    let age = Duration::from_millis(u64::try_from(now - stored.created).unwrap_or(0));
                    let event = Event {
                        store_id: stored.store_id,
                        epoch,
                        position: stored.position,
                        bytes: stored.bytes.into(),
                        receipt: Some(Receipt { at: stored.created, traceparent: None }),
                    };
                    (stored.key, age, event)
                });
                self.backlog.take_from_log(events.collect(), Instant::now());
                if extent == Extent::Whole {
                    self.backlog.skip_to(*keys.end());
                }
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "cannot read the outbox; trying again");
                sleep(self.relay.retry.backoff().delay()).await;
            }
        }
    }

    pub(super) fn note_progress(&self) {
        self.note_progress_with(None);
    }

    /// The same while a message is being sent, which is neither in the backlog nor unconfirmed.
    pub(super) fn note_progress_with(&self, sending: Option<&OutgoingMessage>) {
        let unconfirmed = || self.unconfirmed.iter().map(|(message, _)| message).chain(sending);
        let handled = self.backlog.handled(unconfirmed());
        self.relay.outbox.handled(handled);
        let metrics = &self.relay.metrics;
        metrics.waiting.set(i64::try_from(self.backlog.len()).unwrap_or(i64::MAX));
        metrics.waiting_bytes.set(i64::try_from(self.backlog.bytes()).unwrap_or(i64::MAX));
    }
}

/// The event that tells hubs to ask the log about a store.
fn hint(store_id: String, epoch: Uuid) -> Event {
    Event { store_id, epoch, position: 0, bytes: Bytes::new(), receipt: None }
}
