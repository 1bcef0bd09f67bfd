//! What ingest-svc counts and times. Names and units are Prometheus's; a registry belongs to one run, so that tests can
//! run several.

use std::{borrow::Cow, sync::Arc};

use axum::http::StatusCode;
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

use ringpad_runtime::serve::mend::Why;

/// What the HTTP edge counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpMetrics {
    answers: Family<Labels, Counter>,
    unreadable: Family<Reason, Counter>,
}

/// What the relay counts and times.
#[derive(Debug, Clone)]
pub(crate) struct RelayMetrics {
    pub(crate) published: Counter,
    pub(crate) sent_again: Counter,
    pub(crate) expired: Counter,
    pub(crate) too_large: Counter,
    pub(crate) connections: Counter,
    pub(crate) waiting: Gauge,
    pub(crate) waiting_bytes: Gauge,
    pub(crate) confirm_seconds: Histogram,
}

/// Sources come from the settings: they are few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: Arc<str>,
    status: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl HttpMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ringpad_http_answers",
            "Answers to number providers, by source (empty: none of ours) and HTTP status",
            metrics.answers.clone(),
        );
        registry.register(
            "ringpad_http_unreadable",
            "Requests of number providers whose head could not be read, by reason",
            metrics.unreadable.clone(),
        );
        metrics
    }

    /// A request's head could not be read.
    pub(crate) fn unreadable(&self, why: Why) {
        self.unreadable.get_or_create(&Reason { reason: why.name() }).inc();
    }

    /// A request was answered; `source` is absent if there is none of that name.
    pub(crate) fn answered(&self, source: Option<Arc<str>>, status: StatusCode) {
        let labels =
            Labels { source: source.unwrap_or_default(), status: status.as_u16().to_string().into() };
        self.answers.get_or_create(&labels).inc();
    }
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
        counter(
            "ringpad_relay_too_large",
            "Events larger than the broker takes; hubs fetch them from the log",
            &metrics.too_large,
        );
        counter("ringpad_relay_connections", "Publisher connections made to the bus", &metrics.connections);
        registry.register(
            "ringpad_relay_waiting",
            "Events in memory that wait for the bus",
            metrics.waiting.clone(),
        );
        registry.register(
            "ringpad_relay_waiting_bytes",
            "What they take, in bytes",
            metrics.waiting_bytes.clone(),
        );
        registry.register_with_unit(
            "ringpad_publish_confirm",
            "From publishing a message to the broker's confirm",
            Unit::Seconds,
            metrics.confirm_seconds.clone(),
        );
        metrics
    }
}
