//! Supervises the replica's subscription to the bus: connects, feeds the hub, sees what was lost, and connects anew.
//!
//! A new queue, a publisher that was not known, a jump in a publisher's numbers: something may be lost in any store, so
//! all are compared with the log. Every reconnect is a gap, for a private queue dies with its connection; hence first
//! consume, then compare. Each ingest-svc sends an empty batch every second. If one of our log's is silent for 3 s, the
//! log is asked as well, whatever else comes over the bus (see [`publishers`]); if none of them is heard for
//! [`REBUILD`], the connection is built anew: its queue may not be bound to the exchange any more.

mod clock;
mod publishers;

use std::time::{Duration, SystemTime};

use ringpad_bus::{
    Backoff, Batch, Bus as Broker, ConnectError, Event, Lost, Received, Subscription, unix_milliseconds,
};
use ringpad_runtime::{CancellationToken, Failure, traces::Traces};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use publishers::{Heard, Publishers};

use self::{
    clock::{Clocks, Said},
    publishers::Hearing,
};
use crate::{
    catch_up::{Bus, CatchUp},
    hub::{Applied, Hub},
    metrics::{Consumed, Metrics},
    sources::Sources,
};

/// How long nobody of our log may be heard before the connection is built anew, at first; doubled each time that does not
/// help.
const REBUILD: Duration = Duration::from_secs(15);
/// And at most.
const REBUILD_MAX: Duration = Duration::from_secs(60);
/// The longest wait between two tries to connect.
const RECONNECT_MAX: Duration = Duration::from_secs(60);

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
        let mut publishers = Publishers::new(Instant::now());
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
            publishers.connected(Instant::now());
            match self.consume(subscription, &mut publishers, &mut rebuild, &mut backoff, &stop).await {
                Over::Stopped => return Ok(()),
                Over::Lost(lost) => {
                    tracing::warn!(%lost, "the bus is lost");
                    self.away();
                    sleep_unless(&stop, backoff.delay().min(RECONNECT_MAX)).await;
                }
                // The next connection is tried at once, and until it is there this replica has had its queue.
                Over::Silent => {
                    tracing::warn!("still no ingest-svc of our log on the bus; building the connection anew")
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
        publishers: &mut Publishers,
        rebuild: &mut Duration,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Over {
        let mut said = Hearing::TooEarly;
        let mut clocks = Clocks::default();
        let over = loop {
            let now = Instant::now();
            let hearing = publishers.hearing(now);
            if hearing != said {
                self.tell(hearing, said, publishers.hears_others(now));
                said = hearing;
            }
            self.metrics.silent_publishers(publishers.silent(now));
            let rebuild_at = publishers.quiet_since() + *rebuild;
            if rebuild_at <= now {
                *rebuild = (*rebuild * 2).min(REBUILD_MAX);
                break Over::Silent;
            }
            let look_again = publishers.next_change(now).map_or(rebuild_at, |change| change.min(rebuild_at));
            let next = tokio::select! {
                () = stop.cancelled() => break Over::Stopped,
                next = timeout_at(look_again, subscription.next()) => next,
            };
            match next {
                Ok(Ok(Received::Batch(batch))) => {
                    backoff.reset();
                    if let Heard::Ours { .. } = self.take(&batch, publishers) {
                        *rebuild = REBUILD;
                        self.compare_clocks(&batch, &mut clocks);
                    }
                    subscription.ack();
                }
                Ok(Ok(Received::Foreign { content_type })) => {
                    tracing::debug!(content_type, "a foreign message");
                    self.metrics.consumed(Consumed::Foreign);
                }
                Ok(Ok(Received::Poison { reason })) => {
                    tracing::warn!(%reason, "a message that is no batch; it is with the dead letters");
                    self.metrics.consumed(Consumed::Poison);
                }
                Ok(Err(lost)) => break Over::Lost(lost),
                Err(_) => {}
            }
        };
        subscription.close().await;
        over
    }

    /// Has the log asked once a second, or no more; and says why. `others`: messages of other logs come.
    fn tell(&self, hearing: Hearing, before: Hearing, others: bool) {
        match hearing {
            Hearing::All => {
                self.catch_up.bus(Bus::Speaks);
                if before != Hearing::TooEarly {
                    tracing::info!("every ingest-svc of our log is heard on the bus again");
                }
                return;
            }
            Hearing::TooEarly => {}
            Hearing::NotAll(silent) => tracing::warn!(
                silent,
                "an ingest-svc of our log is silent on the bus, though others are heard; asking the log as well"
            ),
            Hearing::Nobody if self.catch_up.log().is_none() => tracing::warn!(
                "the log has not said yet which one it is, so nothing on the bus can be relied on; asking it"
            ),
            Hearing::Nobody if others => tracing::warn!(
                "no ingest-svc of our log is heard on the bus, only others; has ours lost the broker? Asking the log instead"
            ),
            Hearing::Nobody => {
                tracing::warn!("nothing from the bus, not even a sign of life; asking the log instead")
            }
        }
        self.catch_up.bus(Bus::Silent);
    }

    fn take(&self, batch: &Batch, publishers: &mut Publishers) -> Heard {
        let now = Instant::now();
        let heard = publishers.hear(self.catch_up.log(), &batch.head, now);
        match heard {
            Heard::Ours { gap } => {
                self.metrics.consumed(Consumed::Batch);
                self.metrics.heard();
                self.apply(&batch.events, now);
                if gap {
                    self.catch_up.compare();
                }
            }
            Heard::OtherLog { new } => {
                self.metrics.consumed(Consumed::OtherLog);
                if new {
                    self.say_other_log(batch);
                    // Ours may have been made anew: its answer tells.
                    self.catch_up.compare();
                }
            }
            // Each of its events says its log.
            Heard::Unsaid => {
                self.metrics.consumed(Consumed::OlderVersion);
                self.apply(&batch.events, now);
            }
        }
        heard
    }

    /// By the signs of life, which come once a second.
    fn compare_clocks(&self, batch: &Batch, clocks: &mut Clocks) {
        let (Some(sent_at), true) = (batch.head.sent_at, batch.events.is_empty()) else { return };
        let (ahead, said) = clocks.hear(sent_at, unix_milliseconds(), Instant::now());
        let Some(milliseconds) = ahead else { return };
        self.metrics.clock_offset(milliseconds);
        match said {
            Said::Differ => tracing::warn!(
                milliseconds,
                "this clock is not ingest-svc's (ahead of it, below zero behind it), so popups end too early or too late; or messages take that long over the broker"
            ),
            Said::Agree => tracing::info!(milliseconds, "this clock agrees with ingest-svc's again"),
            Said::Nothing => {}
        }
    }

    fn say_other_log(&self, batch: &Batch) {
        let Some(origin) = batch.head.origin else { return };
        match self.catch_up.log() {
            None => {
                tracing::debug!(log = %origin.epoch, "a message of a log, before ours has said which one it is")
            }
            Some(ours) => tracing::warn!(
                log = %origin.epoch,
                %ours,
                "messages of another log on our exchange, which are passed over: another installation has the same \
                 AMQP_EXCHANGE, or an old ingest-svc was left running (or ours has a new log)"
            ),
        }
    }

    fn apply(&self, events: &[Event], now: Instant) {
        let came_at = SystemTime::now();
        for event in events {
            let applied = self.hub.apply(event, now);
            self.metrics.consumed(Consumed::Event(applied));
            let traceparent = event.receipt.as_ref().and_then(|receipt| receipt.traceparent.as_deref());
            if let (Some(traceparent), Applied::Live | Applied::Ahead) = (traceparent, applied) {
                self.traces.note("consume", traceparent, came_at, Vec::new());
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
