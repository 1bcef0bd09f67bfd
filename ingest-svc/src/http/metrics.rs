//! The metrics of the HTTP edge.

use std::sync::Arc;

use axum::http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use ringpad_runtime::serve::lenient::HeadFault;

/// Cloneable handles on the edge's metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpMetrics {
    answers: Family<AnswerLabels, Counter>,
    unreadable: Family<ReasonLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    source: Arc<str>,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl HttpMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ringpad_http_answers",
            "Answers to number providers, by source (empty if unknown) and HTTP status",
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
    pub(super) fn unreadable(&self, fault: HeadFault) {
        self.unreadable.get_or_create(&ReasonLabel { reason: fault.name() }).inc();
    }

    /// A request was answered; `source` is absent if there is none of that name.
    pub(super) fn answered(&self, source: Option<Arc<str>>, status: StatusCode) {
        let labels = AnswerLabels { source: source.unwrap_or_default(), status: status.as_u16() };
        self.answers.get_or_create(&labels).inc();
    }
}
