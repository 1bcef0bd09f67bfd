//! What ingest-svc counts and times. Names and units are Prometheus's; a registry belongs to one run, so that tests can
//! run several.

mod waiting;

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

use crate::{
    log::{Another, Status},
    retention::Doubt,
};
pub(crate) use waiting::Waiting;

/// What the log counts.
#[derive(Debug, Clone)]
pub(crate) struct LogMetrics {
    records: Family<Labels, Counter>,
    seq_reused: Family<SeqReused, Counter>,
    late: Family<OfSource, Counter>,
    parameters_dropped: Family<OfSource, Counter>,
    pub(crate) quarantined: Counter,
    pub(crate) quarantine_dropped: Counter,
    pub(crate) batch_size: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) failed_commits: Counter,
    pub(crate) long_reads: Counter,
    pub(crate) wal_bytes: Gauge,
    pub(crate) unreadable_rows: Counter,
}

/// What the HTTP edge counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpMetrics {
    answers: Family<Labels, Counter>,
    unreadable: Family<Reason, Counter>,
}

/// Whether old calls are deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct RetentionMetrics {
    waits: Family<Reason, Gauge>,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SeqReused {
    source: Arc<str>,
    reason: &'static str,
}

/// What is counted of a record that is in the log.
pub(crate) struct Counted {
    pub(crate) source: Arc<str>,
    pub(crate) status: Status,
    /// Of the first record of a call: why it is not of the one that had its `seq` before.
    pub(crate) another: Option<Another>,
    /// Whether some of its parameters were dropped.
    pub(crate) had_more: bool,
    /// Whether its call rings, and does not pop for its age.
    pub(crate) is_late: bool,
}

impl LogMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            records: Family::default(),
            seq_reused: Family::default(),
            late: Family::default(),
            parameters_dropped: Family::default(),
            quarantined: Counter::default(),
            quarantine_dropped: Counter::default(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 14)),
            failed_commits: Counter::default(),
            long_reads: Counter::default(),
            wal_bytes: Gauge::default(),
            unreadable_rows: Counter::default(),
        };
        registry.register(
            "ringpad_records",
            "CDRs durably logged, by source and status",
            metrics.records.clone(),
        );
        registry.register(
            "ringpad_records_seq_reused",
            "Calls logged although there was one with their seq, by source and by what told them apart",
            metrics.seq_reused.clone(),
        );
        registry.register(
            "ringpad_records_late",
            "Rings that did not pop: by their source's clock they began more than 2 minutes ago, or will begin then",
            metrics.late.clone(),
        );
        registry.register(
            "ringpad_records_parameters_dropped",
            "CDRs logged without some of their parameters, which are none of ours and too many",
            metrics.parameters_dropped.clone(),
        );
        registry.register(
            "ringpad_quarantined",
            "Requests that were no CDRs, set aside",
            metrics.quarantined.clone(),
        );
        registry.register(
            "ringpad_quarantine_dropped",
            "Quarantined requests dropped for newer ones, because there were too many",
            metrics.quarantine_dropped.clone(),
        );
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
        registry.register(
            "ringpad_log_long_reads",
            "Queries of the log that were ended because they took too long",
            metrics.long_reads.clone(),
        );
        registry.register_with_unit(
            "ringpad_log_wal",
            "Size of the log's write-ahead log on disk",
            Unit::Bytes,
            metrics.wal_bytes.clone(),
        );
        registry.register(
            "ringpad_log_unreadable_rows",
            "Times that a call or event in the log could not be read and was left out",
            metrics.unreadable_rows.clone(),
        );
        metrics
    }

    /// A record is in the log.
    pub(crate) fn logged(&self, Counted { source, status, another, had_more, is_late }: Counted) {
        if let Some(another) = another {
            let reason = match another {
                Another::Number => "number",
                Another::Ended => "ended",
                Another::Apart => "apart",
            };
            self.seq_reused.get_or_create(&SeqReused { source: Arc::clone(&source), reason }).inc();
        }
        if is_late {
            self.late.get_or_create(&OfSource { source: Arc::clone(&source) }).inc();
        }
        if had_more {
            self.parameters_dropped.get_or_create(&OfSource { source: Arc::clone(&source) }).inc();
        }
        let status = match status {
            Status::Accepted => "accepted",
            Status::Duplicate => "duplicate",
            Status::Unrouted => "unrouted",
        };
        self.records.get_or_create(&Labels { source, status: status.into() }).inc();
    }
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

impl RetentionMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ringpad_retention_waits",
            "1 while no old calls are deleted because the clock is not believed, by reason",
            metrics.waits.clone(),
        );
        metrics.waits(None);
        metrics
    }

    /// Why no old calls are deleted, if they are not.
    pub(crate) fn waits(&self, why: Option<Doubt>) {
        for (doubt, reason) in [(Doubt::Jumped, "clock_set"), (Doubt::Ahead, "clock_ahead")] {
            self.waits.get_or_create(&Reason { reason }).set(i64::from(why == Some(doubt)));
        }
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
