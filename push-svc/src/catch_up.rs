//! Reads from the log what the bus has lost: the only task that asks the log on behalf of all stores, so one request at a
//! time, for many stores together. A returning pad reads by itself what it has missed.
//!
//! It asks when a store needs it (a gap that did not close, another epoch, a hint), when all stores must be compared with
//! the log, and once a second while there is no bus or an instance of ingest-svc is silent on it.

mod metrics;

use std::{collections::HashMap, sync::Arc, time::Duration};

use ringpad_proto::v1::StoreCursor;
use ringpad_runtime::backoff::Backoff;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    capacity::CatchUpCapacity,
    hub::Hub,
    log_client::{Events, LogClient, LogClientError},
};
pub(crate) use metrics::CatchUpMetrics;
use metrics::CatchUpReason;

/// How often all stores are compared while the bus is not alive, and how often old events are forgotten.
const TICK: Duration = Duration::from_secs(1);

/// What the task must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    /// Grows each time that all stores must be compared.
    comparisons: u64,
    bus: BusState,
    /// The epoch of the log, once it has answered. When it changes, all stores must be compared, because until then the
    /// messages of that epoch were ignored.
    log: Option<Uuid>,
}

/// Whether the bus can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BusState {
    /// Every ingest-svc of our log is alive on it.
    Alive,
    /// One of them or all are silent, or there is no connection.
    Silent,
}

/// A cloneable handle on the task.
#[derive(Debug, Clone)]
pub(crate) struct CatchUp(Arc<watch::Sender<Needs>>);

impl CatchUp {
    /// The bus counts as silent at first.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Needs { comparisons: 0, bus: BusState::Silent, log: None })))
    }

    /// Events of any store may be lost: compare all with the log.
    pub(crate) fn compare(&self) {
        self.0.send_modify(|needs| needs.comparisons += 1);
    }

    /// The epoch of the log; `None` until it has answered.
    pub(crate) fn log(&self) -> Option<Uuid> {
        self.0.borrow().log
    }

    /// The log has answered. Only answers to this task count: it asks one request at a time, so none is older than the last.
    fn answered(&self, log: Uuid) {
        self.0.send_if_modified(|needs| needs.log.replace(log) != Some(log));
    }

    /// Sets whether the bus can be relied on.
    pub(crate) fn set_bus(&self, bus: BusState) {
        self.0.send_if_modified(|needs| std::mem::replace(&mut needs.bus, bus) != bus);
    }

    /// Runs the task until `stop`.
    pub(crate) async fn run(
        &self,
        hub: Hub,
        log: LogClient,
        capacity: CatchUpCapacity,
        metrics: CatchUpMetrics,
        mut backoff: Backoff,
        stop: CancellationToken,
    ) {
        let mut needs = self.0.subscribe();
        // Comparisons that were requested before this task began count, too.
        needs.mark_changed();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let task = Task { handle: self.clone(), hub, log, capacity, metrics };
        loop {
            let due = task.hub.next_catch_up(Instant::now());
            let reason = tokio::select! {
                () = stop.cancelled() => return,
                changed = needs.changed() => match changed {
                    Ok(()) => CatchUpReason::Compare,
                    Err(_) => return,
                },
                _ = tick.tick() => {
                    task.hub.sweep(Instant::now());
                    match needs.borrow().bus {
                        BusState::Silent => CatchUpReason::Compare,
                        BusState::Alive => continue,
                    }
                }
                () = task.hub.catch_up_needed() => continue,
                () = until(due) => CatchUpReason::Due,
            };
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = task.ask(reason) => outcome,
            };
            task.metrics.asked(reason, &outcome);
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
    capacity: CatchUpCapacity,
    metrics: CatchUpMetrics,
}

impl Task {
    /// Asks the log and passes its answer to the hub. A comparison asks even if there is no store, to see whether the log can
    /// be reached.
    async fn ask(&self, reason: CatchUpReason) -> Result<(), LogClientError> {
        let now = Instant::now();
        let mut cursors = match reason {
            CatchUpReason::Due => self.hub.due_for_catch_up(now),
            CatchUpReason::Compare => self.hub.all_cursors(now),
        };
        if cursors.is_empty() && reason == CatchUpReason::Due {
            return Ok(());
        }
        loop {
            let rest = cursors.split_off(cursors.len().min(self.capacity.stores));
            let asked = self.ask_about(&cursors).await;
            if asked.is_err() {
                self.hub.catch_up_failed(&cursors);
                self.hub.catch_up_failed(&rest);
            }
            asked?;
            if rest.is_empty() {
                return Ok(());
            }
            cursors = rest;
        }
    }

    async fn ask_about(&self, cursors: &[StoreCursor]) -> Result<(), LogClientError> {
        let Events { epoch, stores, completeness } =
            self.log.events(cursors.to_vec(), self.capacity.events).await?;
        let now = Instant::now();
        let asked: HashMap<&str, u64> =
            cursors.iter().map(|cursor| (cursor.store_id.as_str(), cursor.after_position)).collect();
        for answer in &stores {
            let after = asked.get(answer.store_id.as_str()).copied().unwrap_or_default();
            self.hub.catch_up(epoch, after, answer, completeness, now);
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
