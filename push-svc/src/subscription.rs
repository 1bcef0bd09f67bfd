//! Supervises the replica's subscription to the bus: connects, feeds the hub, sees what was lost, and connects anew.
//!
//! A new queue, a publisher that was not known, a jump in a publisher's numbers: something may be lost in any store, so
//! all are compared with the log. Every reconnect is a gap, for a private queue dies with its connection; hence first
//! consume, then compare. ingest-svc sends an empty batch every second, so a bus that brings nothing for
//! [`SILENT`] is taken as broken and the log is asked instead; after [`REBUILD`] the connection is built anew.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, SystemTime},
};

use ringpad_bus::{Backoff, Batch, Bus as Broker, ConnectError, Lost, Received, Subscription};
use ringpad_runtime::{CancellationToken, Failure, traces::Traces};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::{
    catch_up::{Bus, CatchUp},
    hub::{Applied, Hub},
    metrics::{Consumed, Metrics},
    sources::Sources,
};

/// How long the bus may bring nothing before the log is asked as well.
const SILENT: Duration = Duration::from_secs(3);
/// How long it may bring nothing before the connection is built anew, at first; doubled each time that does not help.
const REBUILD: Duration = Duration::from_secs(15);
/// And at most.
const REBUILD_MAX: Duration = Duration::from_secs(60);
/// The longest wait between two tries to connect.
const RECONNECT_MAX: Duration = Duration::from_secs(60);
/// How many publishers' numbers are remembered. Beyond it all are forgotten, which costs a comparison.
const PUBLISHERS: usize = 64;

/// Feeds the hub from the bus.
pub(crate) struct Supervisor {
    /// Where events come from.
    pub broker: Broker,
    /// Where they go.
    pub hub: Hub,
    /// Who asks the log when some are missing.
    pub catch_up: CatchUp,
    /// Who wants to know whether there is a queue.
    pub sources: Sources,
    /// What is counted.
    pub metrics: Metrics,
    /// What is traced.
    pub traces: Traces,
}

/// Why a connection was given up.
enum Over {
    Stopped,
    Lost(Lost),
    Silent,
}

impl Supervisor {
    /// Runs until `stop`.
    ///
    /// # Errors
    /// The very first connection finds a topology that only the operator can mend.
    pub(crate) async fn run(self, mut backoff: Backoff, stop: CancellationToken) -> Result<(), Failure> {
        let mut numbers = Numbers::default();
        let mut rebuild = REBUILD;
        let mut ever_connected = false;
        loop {
            let subscribed = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                subscribed = self.broker.subscribe() => subscribed,
            };
            let subscription = match subscribed {
                Ok(subscription) => subscription,
                Err(error) if error.is_fatal() && !ever_connected => {
                    return Err(Failure::Setting(error.to_string()));
                }
                Err(error) => {
                    self.away();
                    say(&error);
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = sleep(backoff.delay().min(RECONNECT_MAX)) => {}
                    }
                    continue;
                }
            };
            ever_connected = true;
            tracing::info!(queue = subscription.queue(), "consuming");
            self.sources.queue_up();
            self.catch_up.compare();
            match self.consume(subscription, &mut numbers, &mut rebuild, &mut backoff, &stop).await {
                Over::Stopped => return Ok(()),
                Over::Lost(lost) => {
                    tracing::warn!(%lost, "the bus is lost");
                    self.away();
                    sleep_unless(&stop, backoff.delay().min(RECONNECT_MAX)).await;
                }
                // The next connection is tried at once, and until it is there this replica has had its queue.
                Over::Silent => {
                    tracing::warn!("nothing from the bus, not even a canary; building the connection anew")
                }
            }
        }
    }

    /// There is no queue.
    fn away(&self) {
        self.sources.queue_down();
        self.catch_up.bus(Bus::Silent);
    }

    async fn consume(
        &self,
        mut subscription: Subscription,
        numbers: &mut Numbers,
        rebuild: &mut Duration,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Over {
        let mut heard = Instant::now();
        let mut bus = Bus::Speaks;
        let over = loop {
            let limit = match bus {
                Bus::Speaks => heard + SILENT,
                Bus::Silent => heard + *rebuild,
            };
            let next = tokio::select! {
                () = stop.cancelled() => break Over::Stopped,
                next = timeout_at(limit, subscription.next()) => next,
            };
            match (next, bus) {
                (Ok(Ok(Received::Batch(batch))), _) => {
                    heard = Instant::now();
                    bus = Bus::Speaks;
                    self.catch_up.bus(bus);
                    *rebuild = REBUILD;
                    backoff.reset();
                    self.take(batch, numbers);
                    subscription.ack();
                }
                (Ok(Ok(Received::Foreign { content_type })), _) => {
                    tracing::debug!(content_type, "a foreign message");
                    self.metrics.consumed(Consumed::Foreign);
                }
                (Ok(Ok(Received::Poison { reason })), _) => {
                    tracing::warn!(%reason, "a message that is no batch; it is with the dead letters");
                    self.metrics.consumed(Consumed::Poison);
                }
                (Ok(Err(lost)), _) => break Over::Lost(lost),
                (Err(_), Bus::Speaks) => {
                    bus = Bus::Silent;
                    self.catch_up.bus(bus);
                    tracing::warn!("nothing from the bus, not even a canary; asking the log instead");
                }
                (Err(_), Bus::Silent) => {
                    *rebuild = (*rebuild * 2).min(REBUILD_MAX);
                    break Over::Silent;
                }
            }
        };
        subscription.close().await;
        over
    }

    fn take(&self, batch: Batch, numbers: &mut Numbers) {
        self.metrics.consumed(Consumed::Batch);
        self.metrics.heard();
        let (now, came_at) = (Instant::now(), SystemTime::now());
        for event in &batch.events {
            let applied = self.hub.apply(event, now);
            self.metrics.consumed(Consumed::Event(applied));
            let traceparent = event.receipt.as_ref().and_then(|receipt| receipt.traceparent.as_deref());
            if let (Some(traceparent), Applied::Live | Applied::Ahead) = (traceparent, applied) {
                self.traces.note("consume", traceparent, came_at, Vec::new());
            }
        }
        if numbers.jumps(batch.publisher, batch.number) {
            self.catch_up.compare();
        }
    }
}

/// The last number of each publisher.
#[derive(Default)]
pub(crate) struct Numbers(HashMap<Uuid, u64>);

impl Numbers {
    /// Whether something before this batch may be lost: its publisher is new, or its number is not the next one.
    pub(crate) fn jumps(&mut self, publisher: Uuid, number: u64) -> bool {
        if self.0.len() >= PUBLISHERS && !self.0.contains_key(&publisher) {
            self.0.clear();
        }
        match self.0.entry(publisher) {
            Entry::Vacant(entry) => {
                entry.insert(number);
                true
            }
            Entry::Occupied(mut last) => {
                let jumps = number > *last.get() + 1;
                let highest = number.max(*last.get());
                last.insert(highest);
                jumps
            }
        }
    }
}

fn say(error: &ConnectError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "no connection to the broker; trying again");
}

async fn sleep_unless(stop: &CancellationToken, length: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(length) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_publisher_and_a_jump_are_losses() {
        let mut numbers = Numbers::default();
        let [one, other] = [Uuid::new_v4(), Uuid::new_v4()];
        assert!(numbers.jumps(one, 1));
        assert!(!numbers.jumps(one, 2));
        assert!(!numbers.jumps(one, 2), "delivered again");
        assert!(numbers.jumps(other, 1));
        assert!(numbers.jumps(one, 4));
        assert!(!numbers.jumps(one, 5));
    }

    #[test]
    fn publishers_do_not_add_up() {
        let mut numbers = Numbers::default();
        for _ in 0..1_000 {
            assert!(numbers.jumps(Uuid::new_v4(), 1));
        }
        assert!(numbers.0.len() <= PUBLISHERS);
    }
}
