//! The relay's metrics.

use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::metrics::{metric, metric_in};

/// Cloneable handles on the relay's metrics.
#[derive(Debug, Clone)]
pub(crate) struct RelayMetrics {
    pub(super) published: Counter,
    pub(super) sent_again: Counter,
    pub(super) expired: Counter,
    pub(super) too_large: Counter,
    pub(super) connections: Counter,
    pub(super) waiting: Gauge,
    pub(super) waiting_bytes: Gauge,
    pub(super) confirm_seconds: Histogram,
}

impl RelayMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        Self {
            published: metric(
                registry,
                "ringpad_relay_published",
                "Events that the broker confirmed and routed",
            ),
            sent_again: metric(
                registry,
                "ringpad_relay_sent_again",
                "Events sent once more because they were not confirmed or found no queue",
            ),
            expired: metric(
                registry,
                "ringpad_relay_expired",
                "Events not published in time to pop; hubs fetch them from the log",
            ),
            too_large: metric(
                registry,
                "ringpad_relay_too_large",
                "Events larger than the broker takes; hubs fetch them from the log",
            ),
            connections: metric(
                registry,
                "ringpad_relay_connections",
                "Publisher connections made to the bus",
            ),
            waiting: metric(registry, "ringpad_relay_waiting", "Events in memory that wait for the bus"),
            waiting_bytes: metric(registry, "ringpad_relay_waiting_bytes", "What they take, in bytes"),
            confirm_seconds: metric_in(
                registry,
                Unit::Seconds,
                "ringpad_publish_confirm",
                "From publishing a message to the broker's confirm",
                Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            ),
        }
    }
}
