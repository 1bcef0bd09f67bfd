//! Counts what comes from the bus.

use std::{
    sync::atomic::AtomicU64,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::hub::ApplyOutcome;

/// A message on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    /// A batch of our log.
    OurLog,
    /// A batch of another log.
    OtherLog,
    /// A batch that does not say which log it is from.
    OlderVersion,
    /// A message of another content type.
    Foreign,
    /// A message that cannot be decoded.
    Poison,
}

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionMetrics {
    messages: Family<[(&'static str, &'static str); 1], Counter>,
    events: Family<[(&'static str, &'static str); 1], Counter>,
    last_received: Gauge<f64, AtomicU64>,
    silent_publishers: Gauge,
    clock_offset: Gauge<f64, AtomicU64>,
}

impl SubscriptionMetrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            messages: Family::default(),
            events: Family::default(),
            last_received: Gauge::default(),
            silent_publishers: Gauge::default(),
            clock_offset: Gauge::default(),
        };
        registry.register("bus_messages", "Messages from the broker", metrics.messages.clone());
        registry.register("events", "Events from the broker, by what became of them", metrics.events.clone());
        registry.register(
            "bus_heard_timestamp_seconds",
            "When the bus last brought a message of our log, at least a canary; its silence is the time since then",
            metrics.last_received.clone(),
        );
        registry.register(
            "silent_publishers",
            "Instances of ingest-svc that sent messages, sent no goodbye, and have been silent for 3 s or more",
            metrics.silent_publishers.clone(),
        );
        registry.register_with_unit(
            "clock_offset",
            "By how much this clock is ahead of that of ingest-svc, less the delay of the fastest message",
            Unit::Seconds,
            metrics.clock_offset.clone(),
        );
        metrics
    }

    pub(super) fn message(&self, kind: MessageKind) {
        let kind = match kind {
            MessageKind::OurLog => "batch",
            MessageKind::OtherLog => "other_log",
            MessageKind::OlderVersion => "older_version",
            MessageKind::Foreign => "foreign",
            MessageKind::Poison => "poison",
        };
        self.messages.get_or_create(&[("kind", kind)]).inc();
    }

    pub(super) fn event(&self, outcome: ApplyOutcome) {
        let outcome = match outcome {
            ApplyOutcome::NotHeld => "not_held",
            ApplyOutcome::Live => "live",
            ApplyOutcome::Ahead => "ahead",
            ApplyOutcome::Duplicate => "duplicate",
            ApplyOutcome::OtherEpoch => "other_epoch",
            ApplyOutcome::Unreadable => "unreadable",
            ApplyOutcome::Hint => "hint",
        };
        self.events.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A message of our log has come.
    pub(super) fn received(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_received.set(now.as_secs_f64());
    }

    pub(super) fn silent_publishers(&self, count: usize) {
        self.silent_publishers.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn clock_offset(&self, milliseconds: i64) {
        self.clock_offset.set(milliseconds as f64 / 1_000.0);
    }
}
