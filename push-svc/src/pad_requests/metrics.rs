//! Counts what pads do to calls.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tonic::Code;

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct RequestMetrics {
    actions: Family<[(&'static str, &'static str); 2], Counter>,
}

impl RequestMetrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let actions = Family::default();
        registry.register("actions", "What pads did to calls, by what the log said", actions.clone());
        Self { actions }
    }

    pub(super) fn action(&self, action: &'static str, outcome: Code) {
        let outcome = match outcome {
            Code::Ok => "done",
            Code::FailedPrecondition => "claimed_by_another",
            Code::InvalidArgument | Code::NotFound => "refused",
            _ => "failed",
        };
        self.actions.get_or_create(&[("action", action), ("outcome", outcome)]).inc();
    }
}
