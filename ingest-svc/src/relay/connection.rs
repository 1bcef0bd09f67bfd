//! Publishing over one connection to the bus, with a window of unconfirmed messages.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use ringpad_bus::{Loss, PublishOutcome, Publisher};
use ringpad_runtime::{ErrorChain, backoff::Backoff};
use tokio::time::{MissedTickBehavior, interval, interval_at, sleep_until};

use super::{
    backlog::{NextMessage, OutgoingMessage},
    state::{CANARY, RunningRelay, read},
};

/// The longest pause before events that found no queue are sent again: a replica may connect at any moment.
const NO_ROUTE_PAUSE: Duration = Duration::from_secs(1);

/// Why publishing over a connection ended.
pub(super) enum ConnectionEnd {
    /// The writer has ended, and everything is handled.
    Finished,
    Lost(Loss),
}

impl RunningRelay {
    /// Publishes over one connection until it is lost. Messages without a confirm then go back into the backlog.
    pub(super) async fn publish(&mut self, publisher: Publisher) -> ConnectionEnd {
        let end = self.publish_until_lost(publisher).await;
        while let Some(message) = self.unconfirmed.pop_back() {
            self.put_back(message);
        }
        end
    }

    async fn publish_until_lost(&mut self, mut publisher: Publisher) -> ConnectionEnd {
        let mut canary = interval(CANARY);
        canary.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause_until = None;
        self.backlog.begin_connection(Instant::now());
        loop {
            self.refill();
            if pause_until.is_none_or(|until| until <= Instant::now())
                && let Err(lost) = self.send_waiting(&mut publisher).await
            {
                return ConnectionEnd::Lost(lost);
            }
            self.note_progress();
            if self.is_done() {
                self.leave(publisher).await;
                return ConnectionEnd::Finished;
            }
            let now = Instant::now();
            let held_until = self.backlog.held_until(now);
            let (resume, release) = (pause_until.unwrap_or(now), held_until.unwrap_or(now));
            tokio::select! {
                // Also if nothing is unconfirmed: it notices the loss of the connection.
                outcome = publisher.outcome() => match self.settle(outcome, &mut publisher).await {
                    Ok(pause) => pause_until = pause.map(|pause| Instant::now() + pause),
                    Err(lost) => return ConnectionEnd::Lost(lost),
                },
                committed = self.relay.fresh.recv(), if !self.writer_ended && self.backlog.has_room() => {
                    self.take(committed);
                }
                () = self.relay.outbox.nudged() => {}
                page = read(&mut self.reading), if self.reading.is_some() => self.take_read(page),
                _ = canary.tick() => {
                    match publisher.send(&[], self.relay.popup_ttl).await {
                        Ok(()) => self.unconfirmed.push_back(OutgoingMessage::default()),
                        Err(lost) => return ConnectionEnd::Lost(lost),
                    }
                }
                () = sleep_until(resume.into()), if pause_until.is_some() => pause_until = None,
                () = sleep_until(release.into()), if held_until.is_some() => {}
            }
        }
    }

    /// Whether the writer has ended and everything is published.
    fn is_done(&self) -> bool {
        self.writer_ended && self.unconfirmed.is_empty() && self.backlog.is_empty(self.relay.outbox.newest())
    }

    /// Everything is published, so hubs need not expect more from this process. Without this message they would ask the log
    /// for a while, which costs little.
    async fn leave(&self, mut publisher: Publisher) {
        if let Err(lost) = publisher.say_goodbye(self.relay.popup_ttl).await {
            tracing::debug!(lost = %ErrorChain(&lost), "cannot send the goodbye message");
        }
        publisher.close().await;
    }

    /// Sends waiting events, as far as the window allows.
    async fn send_waiting(&mut self, publisher: &mut Publisher) -> Result<(), Loss> {
        while self.unconfirmed.len() < self.relay.capacity.unconfirmed {
            let NextMessage { message, expired, too_large } = self.backlog.next_message(Instant::now());
            self.relay.metrics.expired.inc_by(expired.len() as u64);
            self.relay.metrics.too_large.inc_by(too_large);
            for store_id in BTreeSet::from_iter(expired) {
                self.hint(store_id);
            }
            let Some(mut message) = message else { break };
            message.sent_at = Some(SystemTime::now());
            match self.send(publisher, &message).await {
                Ok(()) => self.unconfirmed.push_back(message),
                Err(lost) => {
                    // Unconfirmed messages are older, and are put back after it, so before it in the backlog.
                    self.put_back(message);
                    return Err(lost);
                }
            }
        }
        Ok(())
    }

    /// Sends a message. A broker that is short of memory can delay that for minutes, while the metrics must stay current.
    async fn send(&self, publisher: &mut Publisher, message: &OutgoingMessage) -> Result<(), Loss> {
        let sending = publisher.send(&message.events, self.relay.popup_ttl);
        tokio::pin!(sending);
        // The first tick of `interval` waits for the timer's next millisecond, and the message with it.
        let mut tick = interval_at(tokio::time::Instant::now() + CANARY, CANARY);
        loop {
            tokio::select! {
                sent = &mut sending => return sent,
                _ = tick.tick() => self.note_progress_with(Some(message)),
            }
        }
    }

    /// Handles the outcome of the oldest message. If it was not routed, waits for all other unconfirmed messages, so that those
    /// that are put back stay in order; returns how long to pause then.
    async fn settle(
        &mut self,
        outcome: Result<PublishOutcome, Loss>,
        publisher: &mut Publisher,
    ) -> Result<Option<Duration>, Loss> {
        let routed = outcome?;
        let Some(message) = self.unconfirmed.pop_front() else { return Ok(None) };
        if routed == PublishOutcome::Delivered {
            self.count_published(&message);
            return Ok(None);
        }
        let mut unrouted = vec![message];
        while let Some(message) = self.unconfirmed.pop_front() {
            match publisher.outcome().await {
                Ok(PublishOutcome::Delivered) => self.count_published(&message),
                Ok(PublishOutcome::NoRoute | PublishOutcome::Refused) | Err(_) => unrouted.push(message),
            }
        }
        if unrouted.iter().all(|message| message.events.is_empty()) {
            // There were only canaries.
            return Ok(None);
        }
        unrouted.into_iter().rev().for_each(|message| self.put_back(message));
        let longest = NO_ROUTE_PAUSE.min(self.relay.retry.retry_max_interval);
        Ok(Some(Backoff::new(longest..=longest).delay()))
    }

    fn count_published(&self, message: &OutgoingMessage) {
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

    fn put_back(&mut self, message: OutgoingMessage) {
        self.relay.metrics.sent_again.inc_by(message.events.len() as u64);
        self.backlog.put_back(message);
    }
}
