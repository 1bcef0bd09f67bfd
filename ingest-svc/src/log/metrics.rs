//! What the log counts and times.

mod waiting;

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::call::{Ingested, NewCallReason, RecordOutcome, Status};
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
    pub(crate) unreadable_rows: Counter,
}

/// Sources come from the settings: they are few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: Arc<str>,
    status: &'static str,
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
            unreadable_rows: Counter::default(),
        };
        metrics.register_records(registry);
        metrics.register_database(registry);
        metrics
    }

    /// What became of what was sent.
    fn register_records(&self, registry: &mut Registry) {
        registry.register(
            "ringpad_records",
            "CDRs durably logged, by source and status",
            self.records.clone(),
        );
        registry.register(
            "ringpad_records_seq_reused",
            "Calls logged although there was one with their seq, by source and by what told them apart",
            self.seq_reused.clone(),
        );
        registry.register(
            "ringpad_records_late",
            "Rings that did not pop: by their source's clock they began more than 2 minutes ago, or will begin then",
            self.late.clone(),
        );
        registry.register(
            "ringpad_records_parameters_dropped",
            "CDRs logged without some of their parameters, which have no field and are too many",
            self.parameters_dropped.clone(),
        );
        registry.register(
            "ringpad_quarantined",
            "Requests that are not CDRs and were kept in the quarantine",
            self.quarantined.clone(),
        );
        registry.register(
            "ringpad_quarantine_dropped",
            "Quarantined requests dropped for newer ones, because there were too many",
            self.quarantine_dropped.clone(),
        );
    }

    /// How the database does.
    fn register_database(&self, registry: &mut Registry) {
        registry.register(
            "ringpad_log_batch_size",
            "Requests that shared one commit of the log",
            self.batch_size.clone(),
        );
        registry.register_with_unit(
            "ringpad_log_commit",
            "Time of one commit of the log, its statements included",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "ringpad_log_failed_commits",
            "Commits of the log that failed; their requests were refused",
            self.failed_commits.clone(),
        );
        registry.register(
            "ringpad_log_long_reads",
            "Queries of the log that were ended because they took too long",
            self.long_reads.clone(),
        );
        registry.register(
            "ringpad_log_unreadable_rows",
            "Times that a call or event in the log could not be read and was left out",
            self.unreadable_rows.clone(),
        );
    }

    /// A record of this source is in the log.
    pub(crate) fn logged(&self, source: Arc<str>, outcome: &RecordOutcome) {
        let RecordOutcome { ingested: Ingested { status, .. }, new_call, is_late, had_more } = *outcome;
        if let Some(reason) = new_call {
            let reason = match reason {
                NewCallReason::Number => "number",
                NewCallReason::Ended => "ended",
                NewCallReason::Apart => "apart",
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
        self.records.get_or_create(&Labels { source, status }).inc();
    }
}
