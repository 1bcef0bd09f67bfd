//! What ingest-svc counts and times. Names and units are Prometheus's; a registry belongs to one run, so that tests can
//! run several.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::log::Status;

/// What the log counts.
#[derive(Debug, Clone)]
pub(crate) struct LogMetrics {
    records: Family<StatusLabel, Counter>,
    pub(crate) batch_size: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) failed_commits: Counter,
}

/// What the relay counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct RelayMetrics {
    pub(crate) published: Counter,
    pub(crate) sent_again: Counter,
    pub(crate) expired: Counter,
    pub(crate) connections: Counter,
    pub(crate) waiting: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

impl LogMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            records: Family::default(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 14)),
            failed_commits: Counter::default(),
        };
        registry.register("ringpad_records", "CDRs durably logged, by status", metrics.records.clone());
        registry.register(
            "ringpad_log_batch_size",
            "Requests that shared one commit of the log",
            metrics.batch_size.clone(),
        );
        registry.register_with_unit(
            "ringpad_log_commit",
            "Time of one commit of the log, its statements included",
            Unit::Seconds,
            metrics.commit_seconds.clone(),
        );
        registry.register(
            "ringpad_log_failed_commits",
            "Commits of the log that failed; their requests were refused",
            metrics.failed_commits.clone(),
        );
        metrics
    }

    pub(crate) fn logged(&self, status: Status) {
        let status = match status {
            Status::Accepted => "accepted",
            Status::Duplicate => "duplicate",
            Status::Unrouted => "unrouted",
        };
        self.records.get_or_create(&StatusLabel { status }).inc();
    }
}

impl RelayMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut counter =
            |name: &str, help: &str, metric: &Counter| registry.register(name, help, metric.clone());
        counter("ringpad_relay_published", "Events that the broker confirmed and routed", &metrics.published);
        counter(
            "ringpad_relay_sent_again",
            "Events sent once more because they were not confirmed or found no queue",
            &metrics.sent_again,
        );
        counter(
            "ringpad_relay_expired",
            "Events not published in time to pop; hubs fetch them from the log",
            &metrics.expired,
        );
        counter("ringpad_relay_connections", "Publisher connections made to the bus", &metrics.connections);
        registry.register(
            "ringpad_relay_waiting",
            "Events in memory that wait for the bus",
            metrics.waiting.clone(),
        );
        metrics
    }
}
