//! Whether old calls are deleted.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::clock::Doubt;

/// Whether old calls are deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct RetentionMetrics {
    waits: Family<Reason, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl RetentionMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ringpad_retention_waits",
            "1 while no old calls are deleted because the clock is not trusted, by reason",
            metrics.waits.clone(),
        );
        metrics.waits(None);
        metrics
    }

    /// Why no old calls are deleted, if they are not.
    pub(crate) fn waits(&self, why: Option<Doubt>) {
        for (doubt, reason) in [(Doubt::WasSet, "clock_set"), (Doubt::Ahead, "clock_ahead")] {
            self.waits.get_or_create(&Reason { reason }).set(i64::from(why == Some(doubt)));
        }
    }
}
