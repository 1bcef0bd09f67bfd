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
//! in order; if they have to be read from the log and it answers late, fresh ones do not wait for them. One message carries
//! many events of a backlog, so that a new ring waits only milliseconds for it. Messages that were
//! not confirmed when a connection was lost are sent again; pads show an event once, by its position. For an event that is too
//! large for the broker, a hint is published instead.

mod backlog;
mod connection;
mod metrics;
mod state;

use std::{collections::VecDeque, time::Duration};

use ringpad_bus::{Loss, Origin};
use ringpad_runtime::{CancellationToken, ErrorChain, Failure, backoff::Backoff};
use tokio::time::{interval, sleep};
use uuid::Uuid;

use backlog::Backlog;
use connection::ConnectionEnd;
pub(crate) use metrics::RelayMetrics;
pub(crate) use state::Relay;
use state::{CANARY, RunningRelay};

/// The longest pause before the log is read again after a failure: it has rings that nobody has seen yet.
const READ_PAUSE: Duration = Duration::from_secs(1);

impl Relay {
    /// Relays until the writer has ended and everything is handled, or until `cut`.
    ///
    /// # Errors
    /// Before the first connection: the broker has another exchange under our name.
    pub(crate) async fn run(self, cut: CancellationToken) -> Result<(), Failure> {
        let backlog = Backlog::new(self.outbox.relayed(), self.popup_ttl, self.capacity);
        let origin = Origin { epoch: self.log.epoch(), instance: Uuid::new_v4() };
        let longest = READ_PAUSE.min(self.retry.retry_max_interval);
        let mut running = RunningRelay {
            read_backoff: Backoff::new(self.retry.retry_initial_interval..=longest),
            relay: self,
            origin,
            backlog,
            unconfirmed: VecDeque::new(),
            writer_ended: false,
            reading: None,
        };
        tokio::select! {
            ended = running.connections() => ended,
            () = cut.cancelled() => {
                let waiting = running.backlog.len();
                if waiting > 0 {
                    tracing::warn!(waiting, "stopping before all events are published; push-svc will get the rest from the log");
                }
                Ok(())
            }
        }
    }
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
                    return Err(Failure::setting(error));
                }
                Err(error) => {
                    tracing::warn!(error = %ErrorChain(&error), "cannot publish to the bus; calls are still accepted")
                }
            }
            if self.wait_without_bus(backoff.delay()).await {
                return Ok(());
            }
        }
    }

    fn connection_lost(&mut self, lost: &Loss) {
        tracing::warn!(lost = %ErrorChain(lost), "the connection to the bus is lost; calls are still accepted");
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
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
