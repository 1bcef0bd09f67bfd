//! What is measured when Prometheus asks, and not when something happens: a part that hangs cannot stop it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use tokio::sync::watch;

use super::super::outbox::Outbox;

/// How long the disk and the broker keep the log and the relay waiting.
#[derive(Debug)]
pub(crate) struct Waiting {
    began: Instant,
    written: watch::Receiver<Option<Instant>>,
    outbox: Arc<Outbox>,
}

impl Waiting {
    /// From now on; `written` says when a write was last on disk.
    pub(crate) fn new(written: watch::Receiver<Option<Instant>>, outbox: Arc<Outbox>) -> Self {
        Self { began: Instant::now(), written, outbox }
    }

    /// For how long nothing was written; without a write yet, since the start.
    fn unwritten(&self) -> Duration {
        self.written.borrow().unwrap_or(self.began).elapsed()
    }
}

impl Collector for Waiting {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        gauge(
            "ringpad_log_unwritten",
            "Time since a write last reached the log's disk; one is tried every second at least",
            Some(&Unit::Seconds),
            self.unwritten().as_secs_f64(),
        )?;
        gauge(
            "ringpad_outbox_events",
            "Events committed and not yet confirmed by the broker",
            None,
            self.outbox.waiting() as f64,
        )?;
        gauge(
            "ringpad_outbox_age",
            "Age of the oldest event that waits for the broker or its confirm; 0: none",
            Some(&Unit::Seconds),
            self.outbox.oldest_age(Instant::now()).unwrap_or_default().as_secs_f64(),
        )
    }
}
