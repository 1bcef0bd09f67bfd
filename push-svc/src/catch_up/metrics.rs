//! Counts what the log is asked for live events.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Why the log is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CatchUpReason {
    /// Some stores need it.
    Due,
    /// All stores are compared: a new queue, a jump in a publisher's numbers, a silent bus.
    Compare,
}

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct CatchUpMetrics {
    catch_ups: Family<[(&'static str, &'static str); 2], Counter>,
}

impl CatchUpMetrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let catch_ups = Family::default();
        registry.register("catch_ups", "Requests to the log for what was missed", catch_ups.clone());
        Self { catch_ups }
    }

    /// The log was asked, and answered or did not.
    pub(super) fn asked<E>(&self, reason: CatchUpReason, outcome: &Result<(), E>) {
        let reason = match reason {
            CatchUpReason::Due => "needs_catch_up",
            CatchUpReason::Compare => "compare",
        };
        let outcome = if outcome.is_ok() { "answered" } else { "failed" };
        self.catch_ups.get_or_create(&[("reason", reason), ("outcome", outcome)]).inc();
    }
}
