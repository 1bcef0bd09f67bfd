//! The replica's subscription to the bus: connects, passes events to the hub, sees what was lost, and connects again.
//!
//! A new queue, an unknown publisher, a jump in a publisher's numbers: events of any store may be lost, so all stores are
//! compared with the log. Every reconnect is a gap, because a private queue ends with its connection; so the replica first
//! consumes and then compares. Each ingest-svc sends a canary every second. If an instance of our log is silent for 3 s, the
//! log is asked as well, even if other messages come (see [`publishers`]). If none of them is alive for [`REBUILD`], a new
//! connection is made: the queue may not be bound to the exchange any more.

mod clock;
mod metrics;
mod publishers;

use std::time::{Duration, SystemTime};

use ringpad_bus::{Batch, Bus, Event, Loss, ReceivedMessage, Subscription, unix_milliseconds};
use ringpad_runtime::{CancellationToken, ErrorChain, Failure, backoff::Backoff, traces::Traces};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use metrics::SubscriptionMetrics;
pub(crate) use publishers::{MessageSource, Publishers};

use self::{
    clock::{ClockChange, Clocks},
    metrics::MessageKind,
    publishers::Liveness,
};
use crate::{
    capacity::PublisherCapacity,
    catch_up::{BusState, CatchUp},
    event_sources::EventSources,
    hub::{ApplyOutcome, Hub},
};

/// How long no instance of our log may be alive before a new connection is made, at first; doubled each time that does not
/// help.
const REBUILD: Duration = Duration::from_secs(15);
/// And at most.
const REBUILD_MAX: Duration = Duration::from_secs(60);
/// The longest wait between two tries to connect.
const RECONNECT_MAX: Duration = Duration::from_secs(60);

/// Feeds the hub from the bus.
pub(crate) struct Subscriber {
    pub bus: Bus,
    pub hub: Hub,
    pub catch_up: CatchUp,
    pub sources: EventSources,
    pub capacity: PublisherCapacity,
    pub metrics: SubscriptionMetrics,
    pub traces: Traces,
}

impl Drop for Subscriber {
    /// Also after a panic: what does not come from the bus any more is read from the log.
    fn drop(&mut self) {
        self.catch_up.set_bus(BusState::Silent);
    }
}

/// Why a connection ended.
enum SubscriptionEnd {
    Stopped,
    Lost(Loss),
    Silent,
}

impl Subscriber {
    /// Runs until `stop`.
    ///
    /// # Errors
    /// The very first connection finds a topology that only the operator can repair.
    pub(crate) async fn run(self, mut backoff: Backoff, stop: CancellationToken) -> Result<(), Failure> {
        let mut publishers = Publishers::new(self.capacity, Instant::now());
        let mut rebuild = REBUILD;
        let mut ever_connected = false;
        loop {
            let subscribed = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                subscribed = self.bus.subscribe() => subscribed,
            };
            let subscription = match subscribed {
                Ok(subscription) => subscription,
                Err(error) if error.is_fatal() && !ever_connected => {
                    return Err(Failure::setting(error));
                }
                Err(error) => {
                    self.queue_lost();
                    tracing::warn!(error = %ErrorChain(&error), "no connection to the broker; trying again");
                    sleep_unless(&stop, backoff.delay().min(RECONNECT_MAX)).await;
                    continue;
                }
            };
            ever_connected = true;
            tracing::info!(queue = subscription.queue(), "consuming");
            self.sources.queue_up();
            self.catch_up.compare();
            publishers.connected(Instant::now());
            match self.consume(subscription, &mut publishers, &mut rebuild, &mut backoff, &stop).await {
                SubscriptionEnd::Stopped => return Ok(()),
                SubscriptionEnd::Lost(lost) => {
                    tracing::warn!(lost = %ErrorChain(&lost), "the bus is lost");
                    self.queue_lost();
                    sleep_unless(&stop, backoff.delay().min(RECONNECT_MAX)).await;
                }
                // The next connection is tried at once, so this short time without a queue is not reported.
                SubscriptionEnd::Silent => {
                    tracing::warn!(
                        "still no ingest-svc of our log is alive on the bus; making a new connection"
                    )
                }
            }
        }
    }

    fn queue_lost(&self) {
        self.sources.queue_down();
        self.catch_up.set_bus(BusState::Silent);
    }

    async fn consume(
        &self,
        mut subscription: Subscription,
        publishers: &mut Publishers,
        rebuild: &mut Duration,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> SubscriptionEnd {
        let mut liveness = Liveness::TooEarly;
        let mut clocks = Clocks::default();
        let end = loop {
            let now = Instant::now();
            self.follow_liveness(&mut liveness, publishers, now);
            self.metrics.silent_publishers(publishers.silent_count(now));
            let rebuild_at = publishers.silent_since() + *rebuild;
            if rebuild_at <= now {
                *rebuild = (*rebuild * 2).min(REBUILD_MAX);
                break SubscriptionEnd::Silent;
            }
            let check_again = publishers.next_change(now).map_or(rebuild_at, |change| change.min(rebuild_at));
            let next = tokio::select! {
                () = stop.cancelled() => break SubscriptionEnd::Stopped,
                next = timeout_at(check_again, subscription.next()) => next,
            };
            match next {
                Ok(Ok(ReceivedMessage::Batch(batch))) => {
                    backoff.reset();
                    if let MessageSource::OurLog { .. } = self.take(&batch, publishers) {
                        *rebuild = REBUILD;
                        self.compare_clocks(&batch, &mut clocks);
                    }
                    subscription.ack();
                }
                Ok(Ok(ReceivedMessage::Foreign { content_type })) => {
                    tracing::debug!(content_type, "a foreign message");
                    self.metrics.message(MessageKind::Foreign);
                }
                Ok(Ok(ReceivedMessage::Poison { reason })) => {
                    tracing::warn!(%reason, "a message cannot be decoded; it is now a dead letter");
                    self.metrics.message(MessageKind::Poison);
                }
                Ok(Err(lost)) => return SubscriptionEnd::Lost(lost),
                Err(_) => {}
            }
        };
        subscription.close().await;
        end
    }

    /// If the publishers' liveness is not the `last` one any more, sets whether the log is asked once a second, and logs why.
    fn follow_liveness(&self, last: &mut Liveness, publishers: &mut Publishers, now: Instant) {
        let liveness = publishers.liveness(now);
        let before = std::mem::replace(last, liveness);
        match liveness {
            unchanged if unchanged == before => return,
            Liveness::AllAlive => {
                self.catch_up.set_bus(BusState::Alive);
                if before != Liveness::TooEarly {
                    tracing::info!("every ingest-svc of our log is alive on the bus again");
                }
                return;
            }
            Liveness::TooEarly => {}
            Liveness::SomeSilent(silent) => tracing::warn!(
                silent,
                "an ingest-svc of our log is silent on the bus, but others are not; asking the log as well"
            ),
            Liveness::NoneAlive if self.catch_up.log().is_none() => tracing::warn!(
                "the log has not answered yet, so its messages on the bus cannot be distinguished from those of other logs; asking it"
            ),
            Liveness::NoneAlive if publishers.receives_others(now) => tracing::warn!(
                "no ingest-svc of our log is alive on the bus, only others; has ours lost the broker? Asking the log instead"
            ),
            Liveness::NoneAlive => {
                tracing::warn!("nothing comes from the bus, not even a canary; asking the log instead")
            }
        }
        self.catch_up.set_bus(BusState::Silent);
    }

    fn take(&self, batch: &Batch, publishers: &mut Publishers) -> MessageSource {
        let now = Instant::now();
        let source = publishers.receive(self.catch_up.log(), &batch.head, now);
        match source {
            MessageSource::OurLog { gap } => {
                self.metrics.message(MessageKind::OurLog);
                self.metrics.received();
                self.apply(&batch.events, now);
                if gap {
                    self.catch_up.compare();
                }
            }
            MessageSource::OtherLog { new } => {
                self.metrics.message(MessageKind::OtherLog);
                if new {
                    self.warn_other_log(batch);
                    // Our log may have been replaced: its answer decides.
                    self.catch_up.compare();
                }
            }
            // Each of its events has its epoch.
            MessageSource::OlderVersion => {
                self.metrics.message(MessageKind::OlderVersion);
                self.apply(&batch.events, now);
            }
        }
        source
    }

    /// Uses only canaries, which come once a second.
    fn compare_clocks(&self, batch: &Batch, clocks: &mut Clocks) {
        let (Some(sent_at), true) = (batch.head.sent_at, batch.events.is_empty()) else { return };
        let offset = clocks.receive(unix_milliseconds().saturating_sub(sent_at), Instant::now());
        let Some((milliseconds, change)) = offset else { return };
        self.metrics.clock_offset(milliseconds);
        match change {
            Some(ClockChange::Differ) => tracing::warn!(
                milliseconds,
                "this clock differs from ingest-svc's (positive: it is ahead), so popups end too early or too late; or messages take that long over the broker"
            ),
            Some(ClockChange::Agree) => {
                tracing::info!(milliseconds, "this clock agrees with ingest-svc's again");
            }
            None => {}
        }
    }

    fn warn_other_log(&self, batch: &Batch) {
        let Some(origin) = batch.head.origin else { return };
        match self.catch_up.log() {
            None => tracing::debug!(log = %origin.epoch, "a message of a log, before ours has answered"),
            Some(ours) => tracing::warn!(
                log = %origin.epoch,
                %ours,
                "messages of another log on our exchange are ignored: another installation has the same AMQP_EXCHANGE, \
                 or an old ingest-svc was left running (or ours has a new log)"
            ),
        }
    }

    fn apply(&self, events: &[Event], now: Instant) {
        let received_at = SystemTime::now();
        for event in events {
            let outcome = self.hub.apply(event, now);
            self.metrics.event(outcome);
            let traceparent = event.receipt.as_ref().and_then(|receipt| receipt.traceparent.as_deref());
            if let (Some(traceparent), ApplyOutcome::Live | ApplyOutcome::Ahead) = (traceparent, outcome) {
                self.traces.note("consume", traceparent, received_at, Vec::new());
            }
        }
    }
}

async fn sleep_unless(stop: &CancellationToken, length: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(length) => {}
    }
}
