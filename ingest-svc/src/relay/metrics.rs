//! The relay's metrics.

use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

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
        let metrics = Self {
            published: Counter::default(),
            sent_again: Counter::default(),
            expired: Counter::default(),
            too_large: Counter::default(),
            connections: Counter::default(),
            waiting: Gauge::default(),
            waiting_bytes: Gauge::default(),
            confirm_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
        };
        let mut register =
            |name: &str, help: &str, metric: &Counter| registry.register(name, help, metric.clone());
        register(
            "ringpad_relay_published",
            "Events that the broker confirmed and routed",
            &metrics.published,
        );
        let again = "Events sent once more because they were not confirmed or found no queue";
        register("ringpad_relay_sent_again", again, &metrics.sent_again);
        let expired = "Events not published in time to pop up; hubs read them from the log";
        register("ringpad_relay_expired", expired, &metrics.expired);
        let too_large = "Events that are too large for the broker; hubs read them from the log";
        register("ringpad_relay_too_large", too_large, &metrics.too_large);
        register("ringpad_relay_connections", "Publisher connections made to the bus", &metrics.connections);
        let waiting = "Events in memory that wait for the bus";
        registry.register("ringpad_relay_waiting", waiting, metrics.waiting.clone());
        let bytes = "The bytes of the events in memory that wait for the bus";
        registry.register("ringpad_relay_waiting_bytes", bytes, metrics.waiting_bytes.clone());
        registry.register_with_unit(
            "ringpad_publish_confirm",
            "From publishing a message to its publisher confirm",
            Unit::Seconds,
            metrics.confirm_seconds.clone(),
        );
        metrics
    }
}
