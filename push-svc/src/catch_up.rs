//! Mends what the bus lost: the only task that asks the log on behalf of all stores, so one request at a time, for many
//! stores at once. What a returning pad has missed it asks for itself.
//!
//! Asks when something is amiss with a store (a gap that did not close, another epoch, a hint), when all stores must be
//! compared with the log, and once a second while the bus is away or anybody on it silent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ringpad_bus::Backoff;
use ringpad_proto::v1::StoreCursor;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    hub::Hub,
    log_client::{Events, LogClient, LogError},
    metrics::{Metrics, Reason},
};

/// How many stores are asked about in one request.
const STORES: usize = 500;
/// How many events an answer holds at most; what is beyond is asked for next.
const EVENTS: u32 = 500;
/// How often all stores are compared while the bus is silent or away, and old events are forgotten.
const TICK: Duration = Duration::from_secs(1);

/// What the bus has to say to the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// Grows each time that all stores must be compared.
    comparisons: u64,
    /// Whether the bus can be relied on.
    bus: Bus,
    /// Which log it is that answers, once it has. All must be compared when that changes, for until now the messages of
    /// that log were passed over.
    log: Option<Uuid>,
}

/// Whether the bus can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    /// Every ingest-svc of our log is heard.
    Speaks,
    /// One or all are not, or there is no connection.
    Silent,
}

/// A cloneable handle on the task.
#[derive(Debug, Clone)]
pub(crate) struct CatchUp(Arc<watch::Sender<Wanted>>);

impl CatchUp {
    /// The bus is taken as silent at first.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Wanted { comparisons: 0, bus: Bus::Silent, log: None })))
    }

    /// Something may be lost in any store: compare all with the log.
    pub(crate) fn compare(&self) {
        self.0.send_modify(|wanted| wanted.comparisons += 1);
    }

    /// Which log it is that answers; `None` until it has.
    pub(crate) fn log(&self) -> Option<Uuid> {
        self.0.borrow().log
    }

    /// The log has answered. Only this task's answers tell: one at a time, so none is older than the last.
    fn answered(&self, log: Uuid) {
        self.0.send_if_modified(|wanted| wanted.log.replace(log) != Some(log));
    }

    /// Says whether the bus can be relied on.
    pub(crate) fn bus(&self, bus: Bus) {
        self.0.send_if_modified(|wanted| std::mem::replace(&mut wanted.bus, bus) != bus);
    }

    /// Does the work until `stop`.
    pub(crate) async fn run(
        &self,
        hub: Hub,
        log: LogClient,
        metrics: Metrics,
        mut backoff: Backoff,
        stop: CancellationToken,
    ) {
        let mut wanted = self.0.subscribe();
        // What was wanted before this task began counts.
        wanted.mark_changed();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let task = Task { handle: self.clone(), hub, log, metrics };
        loop {
            let due = task.hub.next_due(Instant::now());
            let reason = tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => match changed {
                    Ok(()) => Reason::Compare,
                    Err(_) => return,
                },
                _ = tick.tick() => {
                    task.hub.sweep(Instant::now());
                    match wanted.borrow().bus {
                        Bus::Silent => Reason::Compare,
                        Bus::Speaks => continue,
                    }
                }
                () = task.hub.attention() => continue,
                () = until(due) => Reason::Amiss,
            };
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = task.ask(reason) => outcome,
            };
            task.metrics.catch_up(reason, &outcome);
            match outcome {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::debug!(%error, "cannot catch up from the log");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(backoff.delay().min(TICK)) => {}
                    }
                }
            }
        }
    }
}

struct Task {
    handle: CatchUp,
    hub: Hub,
    log: LogClient,
    metrics: Metrics,
}

impl Task {
    /// Asks the log and tells the hub. A comparison asks even if there is no store, so that it is known whether the log
    /// can be reached.
    async fn ask(&self, reason: Reason) -> Result<(), LogError> {
        let now = Instant::now();
        let mut cursors = match reason {
            Reason::Amiss => self.hub.due(now),
            Reason::Compare => self.hub.all(now),
        };
        if cursors.is_empty() && reason == Reason::Amiss {
            return Ok(());
        }
        loop {
            let rest = cursors.split_off(cursors.len().min(STORES));
            let asked = self.ask_about(&cursors).await;
            if asked.is_err() {
                self.hub.unanswered(&cursors);
                self.hub.unanswered(&rest);
            }
            asked?;
            if rest.is_empty() {
                return Ok(());
            }
            cursors = rest;
        }
    }

    async fn ask_about(&self, cursors: &[StoreCursor]) -> Result<(), LogError> {
        let Events { epoch, stores, cut } = self.log.events(cursors.to_vec(), EVENTS).await?;
        let now = Instant::now();
        let asked: HashMap<&str, u64> =
            cursors.iter().map(|cursor| (cursor.store_id.as_str(), cursor.after_position)).collect();
        for answer in &stores {
            let after = asked.get(answer.store_id.as_str()).copied().unwrap_or_default();
            self.hub.catch_up(epoch, after, answer, cut, now);
        }
        self.handle.answered(epoch);
        Ok(())
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
