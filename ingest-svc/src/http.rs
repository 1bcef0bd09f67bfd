//! Where number providers send call records: `GET` or `POST /v1/cdr/{source}[/{secret}]`.
//!
//! ```text
//! request ─► method 405 ─► source, secret 404 ─► address 403 ─► rate 429 ─► body 413, 415 ─► Record 422 ─► log 503 ─► 200
//! ```
//!
//! No body is read before the sender is admitted, so that a refused request costs little. Every error is a problem document
//! of RFC 9457. No URI is ever logged, because it contains callers' numbers and the secret.

mod body;
mod content_encoding;
mod content_type;
mod metrics;
mod problem;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, Path, Request, State, rejection::PathRejection},
    http::{HeaderValue, Method, header::CONTENT_TYPE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use jiff::Timestamp;
use ringpad_runtime::{ErrorChain, forwarded::client, serve::lenient::UnreadableHead, traces::TRACEPARENT};

use crate::{
    call::{Ingested, Status},
    cdr::Faults,
    log::LogError,
    request::{Quarantined, RawBody, RawRequest},
    shared::Shared,
    source::{AdmissionError, Source},
};
pub(crate) use metrics::HttpMetrics;
use problem::Problem;

struct Edge {
    shared: Shared,
    metrics: HttpMetrics,
}

/// The edge's routes, and those of `health`. Handlers need the peer's address as `ConnectInfo<SocketAddr>`; without it a source
/// with `allow` admits no client.
pub(crate) fn router(shared: Shared, metrics: HttpMetrics, health: Router) -> Router {
    let edge = Arc::new(Edge { shared, metrics });
    Router::new()
        .route("/v1/cdr/{source}", any(at_source))
        .route("/v1/cdr/{source}/{secret}", any(at_secret))
        .fallback(elsewhere)
        .with_state(Arc::clone(&edge))
        .merge(health.layer(from_fn_with_state(edge, only_readable)))
}

async fn at_source(
    State(edge): State<Arc<Edge>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(source) = path.map_err(|_| Problem::NotFound)?;
    edge.counted(&source, None, request).await
}

async fn at_secret(
    State(edge): State<Arc<Edge>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path((source, secret)) = path.map_err(|_| Problem::NotFound)?;
    edge.counted(&source, Some(&secret), request).await
}

/// There is no such path, or the request's head could not be read, and its path is not known.
async fn elsewhere(State(edge): State<Arc<Edge>>, request: Request) -> Problem {
    edge.unreadable(&request).unwrap_or(Problem::NotFound)
}

/// For paths whose handlers do not see whether the request could be read.
async fn only_readable(
    State(edge): State<Arc<Edge>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match edge.unreadable(&request) {
        Some(problem) => Err(problem),
        None => Ok(next.run(request).await),
    }
}

impl Edge {
    /// The problem of a request whose head could not be read and that belongs to no source.
    fn unreadable(&self, request: &Request) -> Option<Problem> {
        let UnreadableHead { fault, .. } = request.extensions().get()?;
        self.metrics.unreadable(*fault);
        let problem = Problem::Unreadable(*fault);
        self.metrics.answered(None, problem.status());
        Some(problem)
    }

    async fn counted(
        &self,
        source: &str,
        secret: Option<&str>,
        request: Request,
    ) -> Result<Response, Problem> {
        let outcome = self.answer(source, secret, request).await;
        let known = self.shared.sources.get(source).map(|source| Arc::clone(source.name()));
        self.metrics.answered(known, outcome.as_ref().map_or_else(Problem::status, Response::status));
        outcome
    }

    async fn answer(
        &self,
        source: &str,
        secret: Option<&str>,
        request: Request,
    ) -> Result<Response, Problem> {
        if let Some(UnreadableHead { fault, .. }) = request.extensions().get() {
            self.metrics.unreadable(*fault);
        }
        // axum's own 405 is not a problem document, and its GET includes HEAD, which must not make a call ring. Some senders write
        // methods in lower case, which has no other meaning.
        if ![Method::GET, Method::POST].iter().any(|method| has_name(request.method(), method)) {
            return Err(self.other_method(source, secret, request).await);
        }
        let source = self.shared.sources.get(source).ok_or(Problem::NotFound)?;
        admit(source, secret, &request)?;
        let traceparent = request.headers().get(TRACEPARENT).cloned();
        let received = receive(request).await;
        let received_at = Timestamp::now();
        let request = match received {
            Ok(request) => request,
            Err((problem, sent)) => return Err(self.quarantine(source, received_at, sent, problem).await),
        };
        let traceparent = traceparent.as_ref().and_then(|value| value.to_str().ok());
        let mut ingest = self.shared.traces.begin("ingest", traceparent);
        ingest.set("source", source.name().to_string());
        let record = {
            let _parse = ingest.child("parse");
            request.record(source, received_at)
        };
        match record {
            Ok(mut record) => {
                record.traceparent = ingest.traceparent();
                let _commit = ingest.child("commit");
                let logged = self.shared.log.ingest(record).await;
                logged.map(accepted).map_err(|error| unavailable(source, error))
            }
            Err(faults) => Err(self.quarantine(source, received_at, request, Problem::NotACdr(faults)).await),
        }
    }

    /// A record that was sent with another method is kept, if its sender would have been admitted. By their meaning, some
    /// methods do not carry one.
    async fn other_method(&self, source: &str, secret: Option<&str>, request: Request) -> Problem {
        let carries_none =
            [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::CONNECT].contains(request.method());
        match self.shared.sources.get(source).filter(|_| !carries_none) {
            Some(source) if admit(source, secret, &request).is_ok() => {
                let sent = receive(request).await.unwrap_or_else(|(_, sent)| sent);
                self.quarantine(source, Timestamp::now(), sent, Problem::Method).await
            }
            _ => Problem::Method,
        }
    }

    /// Keeps a refused request in the quarantine, so that its call is not lost because of a fault that can be repaired.
    async fn quarantine(
        &self,
        source: &Source,
        received_at: Timestamp,
        request: RawRequest,
        problem: Problem,
    ) -> Problem {
        let faults = Faults(problem.faults());
        tracing::debug!(source = &**source.name(), %faults, "refused: not a call record");
        let source_name = Arc::clone(source.name());
        let quarantined = Quarantined { source: source_name, received_at, request, faults: faults.0 };
        match self.shared.log.quarantine(quarantined).await {
            Ok(()) => problem,
            Err(error) => unavailable(source, error),
        }
    }
}

fn has_name(method: &Method, name: &Method) -> bool {
    method.as_str().eq_ignore_ascii_case(name.as_str())
}

/// An unreadable head without its path, which may contain a secret.
fn without_path(head: &Bytes) -> Bytes {
    let blank = |byte: &u8| *byte == b' ';
    let Some(method) = head.iter().position(blank) else { return head.clone() };
    let path = head[method..].iter().position(|byte| !blank(byte)).map_or(head.len(), |at| method + at);
    let length = head[path..].iter().position(|byte| b" ?\r\n".contains(byte));
    let rest = length.map_or(head.len(), |length| path + length);
    [&head[..path], &head[rest..]].concat().into()
}

/// Receives a request. The error has the problem, and the request as far as it was received.
async fn receive(mut request: Request) -> Result<RawRequest, (Problem, RawRequest)> {
    if let Some(UnreadableHead { fault, head }) = request.extensions_mut().remove() {
        let sent = RawBody::Unread(without_path(&head));
        let sent = RawRequest { query: String::new(), body: sent, charset: None };
        return Err((Problem::Unreadable(fault), sent));
    }
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body).await;
    let received = |body| RawRequest {
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
        charset: content_type::charset(&head.headers),
    };
    body.map(received).map_err(|(problem, sent)| (problem, received(RawBody::Unread(sent))))
}

fn unavailable(source: &Source, error: LogError) -> Problem {
    let error = ErrorChain(&error);
    tracing::warn!(source = &**source.name(), %error, "the log cannot be written; a record was answered 503");
    Problem::Unavailable
}

fn admit(source: &Source, secret: Option<&str>, request: &Request) -> Result<(), Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let client = peer.and_then(|peer| client(request.headers(), peer, |address| source.trusts(address)));
    source.admit(secret, client).map_err(|error| match error {
        AdmissionError::Secret => Problem::NotFound,
        AdmissionError::Address => {
            // At DEBUG, because anybody can cause it any number of times.
            tracing::debug!(
                source = &**source.name(),
                ?client,
                "refused: the client's address is not allowed"
            );
            Problem::Forbidden
        }
        AdmissionError::Rate(wait) => Problem::TooMany(wait),
    })
}

fn accepted(Ingested { call_id, status }: Ingested) -> Response {
    let status = match status {
        Status::Accepted => "accepted",
        Status::Duplicate => "duplicate",
        Status::Unrouted => "unrouted",
    };
    let body = format!(r#"{{"call_id":"{call_id}","status":"{status}"}}"#);
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
