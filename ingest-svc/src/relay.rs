//! The relay publishes what the log has committed, beside the answers.
//!
//! ```text
//! writer ─ fresh ─► backlog ─► window of messages ─► bus
//!    log ─ gaps ──►    ▲             │ confirmed and routed: handled
//!                      └─ put back ──┘ refused, no queue bound, connection lost
//! ```
//!
//! Contract: every event is published until the bus has confirmed *and* routed it, or until it is too old to pop
//! (`POPUP_TTL`); then hubs are told to fetch it from the log. Publishing goes in commit order, so a store's events
//! stay in order; a backlog rides many events to a message, so that a fresh ring behind it waits milliseconds. What was
//! out when a connection was lost is sent again: pads see an event once all the same, by its position. For an event that
//! the broker takes for too large, hubs are told to fetch it from the log.

mod backlog;
mod metrics;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use ringpad_bus::{Bus, Confirm, Event, Loss, Origin, PublishOutcome, Publisher, Receipt};
use ringpad_runtime::{
    CancellationToken, Failure,
    backoff::{Backoff, RetrySettings},
    traces::Traces,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};
use uuid::Uuid;

use crate::log::{Committed, Extent, LogReader, Outbox, OutboxPage, PageSize};
use backlog::{Backlog, Message, Next};
pub(crate) use metrics::RelayMetrics;

/// Messages that may wait for their confirm.
const WINDOW: usize = 32;

/// What is read from the log at a time.
const PAGE: PageSize = PageSize { events: 1_000, bytes: 8 * 1024 * 1024 };

/// How often a message goes out even if nothing rings, so that hubs can tell a quiet bus from a dead one.
const CANARY: Duration = Duration::from_secs(1);

/// The longest pause before events that found no queue are tried again: a replica may be back any moment.
const NO_ROUTE_PAUSE: Duration = Duration::from_secs(1);

/// See the module's text.
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

/// Why one connection's work ended.
enum End {
    /// The writer has ended, and everything is handled.
    Done,
    Lost(Loss),
}

impl Relay {
    /// Relays until the writer has ended and everything is handled, or `cut`.
    ///
    /// # Errors
    /// Before the first connection: the broker has another exchange under our name.
    pub(crate) async fn run(self, cut: CancellationToken) -> Result<(), Failure> {
        let backlog = Backlog::new(self.outbox.relayed(), self.popup_ttl);
        let origin = Origin { epoch: self.log.epoch(), instance: Uuid::new_v4() };
        let mut run = Run { relay: self, origin, backlog, out: VecDeque::new(), writer_ended: false };
        tokio::select! {
            ended = run.connections() => ended,
            () = cut.cancelled() => {
                tracing::warn!(waiting = run.backlog.len(), "leaving before everything is published; the log has it");
                Ok(())
            }
        }
    }
}

/// A running relay.
struct Run {
    relay: Relay,
    /// What each connection says of this process.
    origin: Origin,
    backlog: Backlog,
    /// Messages without an outcome, oldest first.
    out: VecDeque<(Message, Confirm)>,
    writer_ended: bool,
}

impl Run {
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
                        End::Done => return Ok(()),
                        End::Lost(lost) => self.heed(&lost),
                    }
                }
                Err(error) if error.is_fatal() && !connected_before => {
                    return Err(Failure::Setting(error.to_string()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot publish to the bus; calls are accepted all the same")
                }
            }
            if self.wait_without_bus(backoff.delay()).await {
                return Ok(());
            }
        }
    }

    /// A connection is lost.
    fn heed(&mut self, lost: &Loss) {
        tracing::warn!(%lost, "the bus is away; calls are accepted all the same");
        if let Loss::TooLarge { limit } = lost {
            self.backlog.limit_messages(*limit);
        }
    }

    /// Waits for the next try to connect; true if there is nothing left to connect for.
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

    /// Takes over a commit, or learns that the writer has ended.
    fn take(&mut self, committed: Option<Committed>) {
        match committed {
            Some(committed) => {
                self.relay.outbox.taken(committed.size());
                self.backlog.take(committed);
            }
            None => self.writer_ended = true,
        }
    }

    /// Publishes over one connection until it is lost. What is then without an outcome goes back into the backlog.
    async fn publish(&mut self, publisher: Publisher) -> End {
        let end = self.publish_until_lost(publisher).await;
        let unconfirmed: Vec<_> = self.out.drain(..).collect();
        for (message, _) in unconfirmed.into_iter().rev() {
            self.put_back(message);
        }
        end
    }

    async fn publish_until_lost(&mut self, mut publisher: Publisher) -> End {
        let mut canary = interval(CANARY);
        canary.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let lost = publisher.lost();
        tokio::pin!(lost);
        let mut pause_until = None;
        loop {
            self.refill().await;
            if pause_until.is_none_or(|until| until <= Instant::now())
                && let Err(lost) = self.send_waiting(&mut publisher).await
            {
                return End::Lost(lost);
            }
            self.note_progress();
            if self.is_done() {
                self.leave(publisher).await;
                return End::Done;
            }
            let resume = pause_until.unwrap_or_else(Instant::now);
            tokio::select! {
                outcome = first_outcome(&mut self.out), if !self.out.is_empty() => match self.settle(outcome).await {
                    Ok(pause) => pause_until = pause.map(|pause| Instant::now() + pause),
                    Err(lost) => return End::Lost(lost),
                },
                committed = self.relay.fresh.recv(), if !self.writer_ended && self.backlog.has_room() => {
                    self.take(committed);
                }
                () = self.relay.outbox.nudged() => {}
                _ = canary.tick() => {
                    match publisher.send(&[], self.relay.popup_ttl).await {
                        Ok(confirm) => self.out.push_back((Message::default(), confirm)),
                        Err(lost) => return End::Lost(lost),
                    }
                }
                () = sleep_until(resume.into()), if pause_until.is_some() => pause_until = None,
                lost = &mut lost => return End::Lost(lost),
            }
        }
    }

    /// Whether nothing more will come, and everything that came is published.
    fn is_done(&self) -> bool {
        let all_in_memory = self.backlog.missing(self.relay.outbox.newest()).is_none();
        self.writer_ended && self.out.is_empty() && self.backlog.len() == 0 && all_in_memory
    }

    /// Everything is published: hubs need not miss this process from now on. Should they not hear it, they ask the log for a
    /// while, which costs little.
    async fn leave(&self, mut publisher: Publisher) {
        match publisher.say_goodbye(self.relay.popup_ttl).await {
            // Closing in order lets the broker take it first.
            Ok(confirm) => drop(confirm),
            Err(lost) => tracing::debug!(%lost, "cannot say goodbye on the bus"),
        }
        publisher.close().await;
    }

    /// Sends what waits, as far as the window allows.
    async fn send_waiting(&mut self, publisher: &mut Publisher) -> Result<(), Loss> {
        while self.out.len() < WINDOW {
            let Next { message, expired, too_large } = self.backlog.next_message(Instant::now());
            self.relay.metrics.expired.inc_by(expired.len() as u64);
            self.relay.metrics.too_large.inc_by(too_large);
            for store_id in BTreeSet::from_iter(expired) {
                self.hint(store_id);
            }
            let Some(mut message) = message else { break };
            message.sent_at = Some(SystemTime::now());
            match self.send(publisher, &message).await {
                Ok(confirm) => self.out.push_back((message, confirm)),
                Err(lost) => {
                    // It is younger than everything that is out, and that goes back after it, in front of it.
                    self.put_back(message);
                    return Err(lost);
                }
            }
        }
        Ok(())
    }

    /// Sends a message. A broker that is short of memory lets that wait, for minutes at times, which must be seen.
    async fn send(&self, publisher: &mut Publisher, message: &Message) -> Result<Confirm, Loss> {
        let sending = publisher.send(&message.events, self.relay.popup_ttl);
        tokio::pin!(sending);
        let mut tick = interval(CANARY);
        tick.tick().await;
        loop {
            tokio::select! {
                sent = &mut sending => return sent,
                _ = tick.tick() => self.note_progress_with(Some(message)),
            }
        }
    }

    /// Takes the outcome of the oldest message. If it was not routed, waits for all the others that are out, so that
    /// what goes back stays in order; says how long to pause then.
    async fn settle(&mut self, outcome: Result<PublishOutcome, Loss>) -> Result<Option<Duration>, Loss> {
        let routed = outcome?;
        let Some((message, _)) = self.out.pop_front() else { return Ok(None) };
        if routed == PublishOutcome::Delivered {
            self.count_published(&message);
            return Ok(None);
        }
        let mut unrouted = vec![message];
        while !self.out.is_empty() {
            let outcome = first_outcome(&mut self.out).await;
            let Some((message, _)) = self.out.pop_front() else { break };
            match outcome {
                Ok(PublishOutcome::Delivered) => self.count_published(&message),
                Ok(PublishOutcome::NoRoute | PublishOutcome::Refused) | Err(_) => unrouted.push(message),
            }
        }
        if unrouted.iter().all(|message| message.events.is_empty()) {
            // Only canaries: nothing has to wait.
            return Ok(None);
        }
        unrouted.into_iter().rev().for_each(|message| self.put_back(message));
        let longest = NO_ROUTE_PAUSE.min(self.relay.retry.retry_max_interval);
        Ok(Some(Backoff::new(longest, longest).delay()))
    }

    fn count_published(&self, message: &Message) {
        self.relay.metrics.published.inc_by(message.events.len() as u64);
        let Some(sent_at) = message.sent_at else { return };
        self.relay.metrics.confirm_seconds.observe(sent_at.elapsed().unwrap_or_default().as_secs_f64());
        if self.relay.traces.are_on() {
            let receipts = message.events.iter().filter_map(|event| event.receipt.as_ref());
            for traceparent in receipts.filter_map(|receipt| receipt.traceparent.as_deref()) {
                self.relay.traces.note("publish", traceparent, sent_at, Vec::new());
            }
        }
    }

    fn put_back(&mut self, message: Message) {
        self.relay.metrics.sent_again.inc_by(message.events.len() as u64);
        self.backlog.put_back(message);
    }

    /// Takes in what the writer has handed over, hints about changed stores, and what only the log has.
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

    /// Tells hubs to ask the log about a store.
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

    /// The same while a message is being sent, which is neither out nor waiting.
    fn note_progress_with(&self, sending: Option<&Message>) {
        let out = || self.out.iter().map(|(message, _)| message).chain(sending);
        let handled = self.backlog.handled(out());
        self.relay.outbox.handled(handled);
        let metrics = &self.relay.metrics;
        metrics.waiting.set(i64::try_from(self.backlog.len()).unwrap_or(i64::MAX));
        metrics.waiting_bytes.set(i64::try_from(self.backlog.bytes()).unwrap_or(i64::MAX));
    }
}

/// What tells hubs to ask the log about a store.
fn hint(store_id: String, epoch: Uuid) -> Event {
    Event { store_id, epoch, position: 0, bytes: Bytes::new(), receipt: None }
}

/// The outcome of the oldest message that is out, which stays there.
async fn first_outcome(out: &mut VecDeque<(Message, Confirm)>) -> Result<PublishOutcome, Loss> {
    match out.front_mut() {
        Some((_, confirm)) => confirm.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
