//! What a replica counts. One registry a run, so that two replicas fit into one process.

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{hub::Applied, shares::Whose};

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

/// Why the log was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Something was amiss with some stores.
    Amiss,
    /// All stores were compared: a new queue, a publisher's numbers, a silent bus.
    Compare,
}

/// A message on the bus, or the event in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumed {
    /// An event, and what the hub made of it.
    Event(Applied),
    /// A batch of our log's.
    Batch,
    /// A batch of another log's.
    OtherLog,
    /// A batch that does not say whose it is.
    OlderVersion,
    /// A message of another content type.
    Foreign,
    /// A message that is no batch.
    Poison,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pads: Family<Labels<1>, Gauge>,
    ends: Family<Labels<2>, Counter>,
    messages: Family<Labels<1>, Counter>,
    events: Family<Labels<1>, Counter>,
    catch_ups: Family<Labels<2>, Counter>,
    actions: Family<Labels<2>, Counter>,
    turned_away: Family<Labels<1>, Counter>,
    heard: Gauge<f64, AtomicU64>,
    silent_publishers: Gauge,
    clock_offset: Gauge<f64, AtomicU64>,
    to_pad: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

impl Metrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            pads: Family::default(),
            ends: Family::default(),
            messages: Family::default(),
            events: Family::default(),
            catch_ups: Family::default(),
            actions: Family::default(),
            turned_away: Family::default(),
            heard: Gauge::default(),
            silent_publishers: Gauge::default(),
            clock_offset: Gauge::default(),
            to_pad: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 15))),
        };
        let registry = registry.sub_registry_with_prefix("ringpad_push");
        registry.register("pads", "Pads with a stream", metrics.pads.clone());
        registry.register(
            "stream_ends",
            "Streams that ended, and those that never began",
            metrics.ends.clone(),
        );
        registry.register("bus_messages", "Messages from the broker", metrics.messages.clone());
        registry.register("events", "Events from the broker, by what became of them", metrics.events.clone());
        registry.register("catch_ups", "Requests to the log for what was missed", metrics.catch_ups.clone());
        registry.register("actions", "What pads did to calls, by what the log said", metrics.actions.clone());
        registry.register(
            "requests_turned_away",
            "Single requests of pads beyond their share, by which one: of the pad at a time, of the pad, of its store",
            metrics.turned_away.clone(),
        );
        registry.register(
            "bus_heard_timestamp_seconds",
            "When the bus last brought a message of our log, a sign of life at least; its silence is the time since then",
            metrics.heard.clone(),
        );
        registry.register(
            "silent_publishers",
            "Processes of ingest-svc that were heard, did not say goodbye, and are silent for 3 s or more",
            metrics.silent_publishers.clone(),
        );
        registry.register_with_unit(
            "clock_offset",
            "By how much this clock is ahead of that of ingest-svc, less the way of the quickest message",
            Unit::Seconds,
            metrics.clock_offset.clone(),
        );
        registry.register_with_unit(
            "receipt_to_pad",
            "From a record's receipt at ingest-svc to its event being written to a pad that is up to date",
            Unit::Seconds,
            metrics.to_pad.clone(),
        );
        metrics
    }

    /// How many who published for our log are silent.
    pub(crate) fn silent_publishers(&self, count: usize) {
        self.silent_publishers.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// By how many milliseconds our clock is ahead of ingest-svc's.
    pub(crate) fn clock_offset(&self, milliseconds: i64) {
        self.clock_offset.set(milliseconds as f64 / 1_000.0);
    }

    /// The bus has brought a message of our log.
    pub(crate) fn heard(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.heard.set(now.as_secs_f64());
    }

    /// An event that has come over the bus is written to a pad.
    pub(crate) fn delivered(&self, transport: Transport, after: Duration) {
        self.to_pad.get_or_create(&[transport.label()]).observe(after.as_secs_f64());
    }

    /// A stream began.
    pub(crate) fn began(&self, transport: Transport) {
        self.pads.get_or_create(&[transport.label()]).inc();
    }

    /// A stream that had begun is over.
    pub(crate) fn ended(&self, transport: Transport) {
        self.pads.get_or_create(&[transport.label()]).dec();
    }

    /// Why a stream ended, or never began; see [`End::reason`](crate::end::End::reason), or `client` if the pad went.
    pub(crate) fn end(&self, transport: Transport, reason: &'static str) {
        self.ends.get_or_create(&[transport.label(), ("reason", reason)]).inc();
    }

    /// Something came from the broker.
    pub(crate) fn consumed(&self, consumed: Consumed) {
        let (family, label) = match consumed {
            Consumed::Batch => (&self.messages, ("kind", "batch")),
            Consumed::OtherLog => (&self.messages, ("kind", "other_log")),
            Consumed::OlderVersion => (&self.messages, ("kind", "older_version")),
            Consumed::Foreign => (&self.messages, ("kind", "foreign")),
            Consumed::Poison => (&self.messages, ("kind", "poison")),
            Consumed::Event(Applied::NotHeld) => (&self.events, ("outcome", "not_held")),
            Consumed::Event(Applied::Live) => (&self.events, ("outcome", "live")),
            Consumed::Event(Applied::Ahead) => (&self.events, ("outcome", "ahead")),
            Consumed::Event(Applied::Duplicate) => (&self.events, ("outcome", "duplicate")),
            Consumed::Event(Applied::Foreign) => (&self.events, ("outcome", "other_epoch")),
            Consumed::Event(Applied::Unreadable) => (&self.events, ("outcome", "unreadable")),
            Consumed::Event(Applied::Hint) => (&self.events, ("outcome", "hint")),
        };
        family.get_or_create(&[label]).inc();
    }

    /// A pad wanted something done to a call.
    pub(crate) fn acted(&self, action: &'static str, outcome: tonic::Code) {
        let outcome = match outcome {
            tonic::Code::Ok => "done",
            tonic::Code::FailedPrecondition => "claimed_by_another",
            tonic::Code::InvalidArgument | tonic::Code::NotFound => "refused",
            _ => "failed",
        };
        self.actions.get_or_create(&[("action", action), ("outcome", outcome)]).inc();
    }

    /// A pad has asked too much.
    pub(crate) fn turned_away(&self, whose: Whose) {
        let share = match whose {
            Whose::PadAtOnce => "pad_at_once",
            Whose::Pad => "pad",
            Whose::Store => "store",
        };
        self.turned_away.get_or_create(&[("share", share)]).inc();
    }

    /// The log was asked for what was missed.
    pub(crate) fn catch_up(&self, reason: Reason, outcome: &Result<(), crate::log_client::LogError>) {
        let reason = match reason {
            Reason::Amiss => "amiss",
            Reason::Compare => "compare",
        };
        let outcome = if outcome.is_ok() { "answered" } else { "failed" };
        self.catch_ups.get_or_create(&[("reason", reason), ("outcome", outcome)]).inc();
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
