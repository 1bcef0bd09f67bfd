//! Counts the streams of pads, and times what they are sent.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// How a pad is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Native gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// The WebSocket fallback.
    WebSocket,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct StreamMetrics {
    open: Family<Labels<1>, Gauge>,
    ends: Family<Labels<2>, Counter>,
    receipt_to_pad: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

impl StreamMetrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            open: Family::default(),
            ends: Family::default(),
            receipt_to_pad: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 15))
            }),
        };
        registry.register("pads", "Pads with a stream", metrics.open.clone());
        registry.register(
            "stream_ends",
            "Streams that ended, and those that never began",
            metrics.ends.clone(),
        );
        registry.register_with_unit(
            "receipt_to_pad",
            "From a record's receipt at ingest-svc to its event being written to a pad that is up to date",
            Unit::Seconds,
            metrics.receipt_to_pad.clone(),
        );
        metrics
    }

    /// A stream has begun.
    pub(super) fn began(&self, transport: Transport) {
        self.open.get_or_create(&[transport.label()]).inc();
    }

    /// A stream that had begun has ended.
    pub(super) fn ended(&self, transport: Transport, reason: &'static str) {
        self.open.get_or_create(&[transport.label()]).dec();
        self.count_end(transport, reason);
    }

    /// A stream has ended, or was refused. The reason is that of a [`StreamEnd`](crate::stream_end::StreamEnd), or `client`
    /// if the pad closed it.
    pub(super) fn count_end(&self, transport: Transport, reason: &'static str) {
        self.ends.get_or_create(&[transport.label(), ("reason", reason)]).inc();
    }

    /// An event that came over the bus is handed to the transport.
    pub(super) fn delivered(&self, transport: Transport, after: Duration) {
        self.receipt_to_pad.get_or_create(&[transport.label()]).observe(after.as_secs_f64());
    }
}

impl Transport {
    fn label(self) -> (&'static str, &'static str) {
        let transport = match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc_web",
            Self::WebSocket => "websocket",
        };
        ("transport", transport)
    }
}
