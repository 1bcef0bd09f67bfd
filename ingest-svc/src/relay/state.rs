//! What a running relay holds, and how its backlog is filled.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ringpad_bus::{Bus, Event, Origin, Receipt};
use ringpad_runtime::{
    ErrorChain,
    backoff::{Backoff, RetrySettings},
    traces::Traces,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::ReusableBoxFuture;
use uuid::Uuid;

use super::{
    backlog::{Backlog, OutgoingMessage},
    metrics::RelayMetrics,
};
use crate::{
    capacity::RelayCapacity,
    log::{Committed, LogError, LogReader, Outbox, OutboxPage, PageSize},
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

/// The event keys that were asked for, and the log's answer.
pub(super) type Read = (RangeInclusive<u64>, Result<OutboxPage, LogError>);

/// A running relay.
pub(super) struct RunningRelay {
    pub(super) relay: Relay,
    /// What each connection tells about this process.
    pub(super) origin: Origin,
    pub(super) backlog: Backlog,
    /// Messages that are not confirmed yet, oldest first.
    pub(super) unconfirmed: VecDeque<OutgoingMessage>,
    pub(super) writer_ended: bool,
    /// The one query of the log that is under way. Publishing does not wait for it.
    pub(super) reading: Option<ReusableBoxFuture<'static, Read>>,
    /// Between queries that fail.
    pub(super) read_backoff: Backoff,
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
    pub(super) fn refill(&mut self) {
        // What is committed by now is in the queue, or was not handed over.
        let newest = self.relay.outbox.newest();
        while self.backlog.has_room() {
            match self.relay.fresh.try_recv() {
                Ok(committed) => self.take(Some(committed)),
                Err(none) => {
                    self.writer_ended = none == mpsc::error::TryRecvError::Disconnected;
                    self.backlog.miss(newest, Instant::now());
                    break;
                }
            }
        }
        for store_id in self.relay.outbox.take_changed() {
            self.hint(store_id);
        }
        if self.reading.is_none() {
            self.reading = self.read_log(Duration::ZERO);
        }
    }

    /// Queues a hint about a store.
    pub(super) fn hint(&mut self, store_id: String) {
        self.backlog.take_hint(hint(store_id, self.relay.log.epoch()), Instant::now());
    }

    /// A query of the events that did not come from the writer, after `delay`; `None` if there are none, or some of them wait.
    fn read_log(&mut self, delay: Duration) -> Option<ReusableBoxFuture<'static, Read>> {
        let (keys, oldest) = self.backlog.next_read(Instant::now())?;
        let log = self.relay.log.clone();
        let RelayCapacity { page_events, page_bytes, .. } = self.relay.capacity;
        let page = PageSize { events: page_events, bytes: page_bytes };
        let oldest = i64::try_from(oldest.as_millis()).unwrap_or(i64::MAX);
        // Before the delay, or events that become too old in it would be left out without a hint.
        let since = jiff::Timestamp::now().as_millisecond().saturating_sub(oldest);
        Some(ReusableBoxFuture::new(async move {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            let read = log.outbox(*keys.start(), since, page).await;
            (keys, read)
        }))
    }

    /// Takes over what was read.
    pub(super) fn take_read(&mut self, (keys, read): Read) {
        match read {
            Ok(OutboxPage { events, extent }) => {
                self.read_backoff.reset();
                let (epoch, now) = (self.relay.log.epoch(), jiff::Timestamp::now().as_millisecond());
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
                self.backlog.take_read(&keys, events.collect(), extent, Instant::now());
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "cannot read the outbox; trying again");
                let delay = self.read_backoff.delay();
                self.reading = self.read_log(delay);
            }
        }
    }

    pub(super) fn note_progress(&self) {
        self.note_progress_with(None);
    }

    /// The same while a message is being sent, which is neither in the backlog nor unconfirmed.
    pub(super) fn note_progress_with(&self, sending: Option<&OutgoingMessage>) {
        let unconfirmed = || self.unconfirmed.iter().chain(sending);
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

/// The result of the query that is under way.
pub(super) async fn read(reading: &mut Option<ReusableBoxFuture<'static, Read>>) -> Read {
    let Some(query) = reading else { return std::future::pending().await };
    let read = query.await;
    *reading = None;
    read
}
