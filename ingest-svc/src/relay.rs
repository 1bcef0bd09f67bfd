//! The relay publishes the events that the log has committed. Answers to number providers do not wait for it.
//!
//! ```text
//! writer ─ fresh ─► backlog ─► window of messages ─► bus
//!    log ─ gaps ──►    ▲             │ confirmed and routed: handled
//!                      └─ put back ──┘ refused, no queue bound, connection lost
//! ```
//!
//! Contract: every event is published until the bus has confirmed *and* routed it, or until it is too old to pop up
//! (`POPUP_TTL`); then a hint tells hubs to read it from the log. Events are published in commit order, so a store's events stay
//! in order. One message carries many events of a backlog, so that a new ring waits only milliseconds for it. Messages that were
//! not confirmed when a connection was lost are sent again; pads show an event once, by its position. For an event that is too
//! large for the broker, a hint is published instead.

mod backlog;
mod connection;
mod metrics;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ringpad_bus::{Bus, Confirm, Event, Loss, Origin, Receipt};
use ringpad_runtime::{CancellationToken, Failure, backoff::RetrySettings, traces::Traces};
use tokio::{
    sync::mpsc,
    time::{interval, sleep},
};
use uuid::Uuid;

use crate::log::{Committed, Extent, LogReader, Outbox, OutboxPage, PageSize};
use backlog::{Backlog, OutgoingMessage};
pub(crate) use metrics::RelayMetrics;

/// How much is read from the log at a time.
const PAGE: PageSize = PageSize { events: 1_000, bytes: 8 * 1024 * 1024 };

/// How often a message is sent even without events, so that hubs can distinguish a quiet bus from a dead one.
const CANARY: Duration = Duration::from_secs(1);

/// The relay, before it runs.
pub(crate) struct Relay {
    pub(crate) bus: Bus,
    pub(crate) traces: Traces,
    pub(crate) retry: RetrySettings,
    pub(crate) popup_ttl: Duration,
    pub(crate) log: LogReader,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) fresh: mpsc::Receiver<Committed>,
    pub(crate) metrics: RelayMetrics,
}

/// Why publishing over a connection ended.
enum ConnectionEnd {
    /// The writer has ended, and everything is handled.
    Finished,
    Lost(Loss),
}

impl Relay {
    /// Relays until the writer has ended and everything is handled, or until `cut`.
    ///
    /// # Errors
    /// Before the first connection: the broker has another exchange under our name.
    pub(crate) async fn run(self, cut: CancellationToken) -> Result<(), Failure> {
        let backlog = Backlog::new(self.outbox.relayed(), self.popup_ttl);
        let origin = Origin { epoch: self.log.epoch(), instance: Uuid::new_v4() };
        let mut running =
            RunningRelay { relay: self, origin, backlog, unconfirmed: VecDeque::new(), writer_ended: false };
        tokio::select! {
            ended = running.connections() => ended,
            () = cut.cancelled() => {
                tracing::warn!(waiting = running.backlog.len(), "leaving before everything is published; the rest is in the log");
                Ok(())
            }
        }
    }
}

/// A running relay.
struct RunningRelay {
    relay: Relay,
    /// What each connection tells about this process.
    origin: Origin,
    backlog: Backlog,
    /// Messages that are not confirmed yet, oldest first.
    unconfirmed: VecDeque<(OutgoingMessage, Confirm)>,
    writer_ended: bool,
}

impl RunningRelay {
    async fn connections(&mut self) -> Result<(), Failure> {
        let mut backoff = self.relay.retry.backoff();
        let mut connected_before = false;
        loop {
            match self.relay.bus.publisher(self.origin).await {
                Ok(publisher) => {
                    tracing::info!(publisher = %publisher.id(), "publishing to the bus");
                    self.relay.metrics.connections.inc();
                    connected_before = true;
                    backoff.reset();
                    match self.publish(publisher).await {
                        ConnectionEnd::Finished => return Ok(()),
                        ConnectionEnd::Lost(lost) => self.connection_lost(&lost),
                    }
                }
                Err(error) if error.is_fatal() && !connected_before => {
                    return Err(Failure::Setting(error.to_string()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot publish to the bus; calls are still accepted")
                }
            }
            if self.wait_without_bus(backoff.delay()).await {
                return Ok(());
            }
        }
    }

    fn connection_lost(&mut self, lost: &Loss) {
        tracing::warn!(%lost, "the connection to the bus is lost; calls are still accepted");
        if let Loss::TooLarge { limit } = lost {
            self.backlog.limit_messages(*limit);
        }
    }

    /// Waits for the next try to connect; true if nothing is left to be published.
    async fn wait_without_bus(&mut self, delay: Duration) -> bool {
        let next_try = sleep(delay);
        tokio::pin!(next_try);
        let mut tick = interval(CANARY);
        loop {
            if self.writer_ended && self.backlog.len() == 0 {
                self.note_progress();
                return true;
            }
            tokio::select! {
                () = &mut next_try => return false,
                _ = tick.tick() => self.note_progress(),
                committed = self.relay.fresh.recv(), if !self.writer_ended && self.backlog.has_room() => {
                    self.take(committed);
                }
            }
        }
    }

    /// Takes over a commit, or notes that the writer has ended.
    fn take(&mut self, committed: Option<Committed>) {
        match committed {
            Some(committed) => {
                self.relay.outbox.taken(committed.size());
                self.backlog.take(committed);
            }
            None => self.writer_ended = true,
        }
    }

    /// Fills the backlog: with commits of the writer, hints about changed stores, and events that only the log has.
    async fn refill(&mut self) {
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
        if let Some(from) = self.backlog.missing(newest) {
            self.read_log(from, newest).await;
        }
    }

    /// Queues a hint about a store.
    fn hint(&mut self, store_id: String) {
        self.backlog.take_hint(hint(store_id, self.relay.log.epoch()), Instant::now());
    }

    async fn read_log(&mut self, from: u64, newest: u64) {
        let now = jiff::Timestamp::now().as_millisecond();
        let ttl = i64::try_from(self.relay.popup_ttl.as_millis()).unwrap_or(i64::MAX);
        match self.relay.log.outbox(from, now.saturating_sub(ttl), PAGE).await {
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
                    self.backlog.skip_to(newest);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the outbox; trying again");
                sleep(self.relay.retry.backoff().delay()).await;
            }
        }
    }

    fn note_progress(&self) {
        self.note_progress_with(None);
    }

    /// The same while a message is being sent, which is neither in the backlog nor unconfirmed.
    fn note_progress_with(&self, sending: Option<&OutgoingMessage>) {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
