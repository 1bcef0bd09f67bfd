//! Counts what tablets ask, and how it is answered.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tonic::{Code, Status};

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct PairingMetrics {
    requests: Family<[(&'static str, &'static str); 2], Counter>,
}

impl PairingMetrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let requests = Family::default();
        registry.register(
            "pairing_requests",
            "Requests of tablets that become pads, and of pads that approve them, by their gRPC status",
            requests.clone(),
        );
        Self { requests }
    }

    /// Counts an answer, and passes it on.
    pub(crate) fn answered<T>(
        &self,
        call: &'static str,
        answer: Result<T, Status>,
    ) -> Result<tonic::Response<T>, Status> {
        let code = match answer.as_ref().map_or_else(Status::code, |_| Code::Ok) {
            Code::Ok => "ok",
            Code::InvalidArgument => "invalid_argument",
            Code::NotFound => "not_found",
            Code::PermissionDenied => "permission_denied",
            Code::ResourceExhausted => "resource_exhausted",
            Code::Unauthenticated => "unauthenticated",
            Code::Unavailable => "unavailable",
            _ => "other",
        };
        self.requests.get_or_create(&[("call", call), ("code", code)]).inc();
        answer.map(tonic::Response::new)
    }
}
