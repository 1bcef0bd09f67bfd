//! Where number providers send call records: `GET` or `POST /v1/cdr/{source}[/{secret}]`.
//!
//! ```text
//! request ─► method 405 ─► source, secret 404 ─► address 403 ─► rate 429 ─► body 413, 415 ─► Record 422 ─► log 503 ─► 200
//! ```
//!
//! What is refused early has cost little: no body is read before the sender is let in. Every error is a problem of
//! RFC 9457. No URI is ever logged: it holds callers' numbers, and the secret.

mod body;
mod charset;
pub mod client;
mod content_encoding;
mod content_type;
pub mod parameters;
mod problem;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, Path, Request, State, rejection::PathRejection},
    http::{HeaderValue, Method, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::any,
};
use jiff::Timestamp;
use ringpad_runtime::traces::TRACEPARENT;

use crate::{
    Shared,
    cdr::{Faults, Record},
    log::{Ingested, LogError, Quarantined, RawBody, RawRequest, Status},
    metrics::HttpMetrics,
    source::{Refusal, Source},
};
pub(crate) use parameters::masked;
use problem::Problem;

/// Bytes of a body, and of a query, at most.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Where a fault of the body as a whole is noted.
const BODY: &str = "body";

/// Bytes of a request's head at most: the longest query, and the headers around it.
pub(crate) const HEAD_BYTES: usize = MAX_BYTES + 16 * 1024;

struct Edge {
    shared: Shared,
    metrics: HttpMetrics,
}

/// The edge's routes. Handlers need the peer's address, as `ConnectInfo<SocketAddr>`; without it a source with `allow`
/// lets nobody in.
pub(crate) fn router(shared: Shared, metrics: HttpMetrics) -> Router {
    Router::new()
        .route("/v1/cdr/{source}", any(at_source))
        .route("/v1/cdr/{source}/{secret}", any(at_secret))
        .fallback(async || Problem::NotFound)
        .with_state(Arc::new(Edge { shared, metrics }))
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

impl Edge {
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
        // By hand: axum's own 405 is no problem document, and its GET is HEAD as well, which must not ring a phone.
        if !matches!(*request.method(), Method::GET | Method::POST) {
            return Err(Problem::Method);
        }
        let source = self.shared.sources.get(source).ok_or(Problem::NotFound)?;
        admit(source, secret, &request)?;
        let (head, body) = request.into_parts();
        let request = |body| RawRequest {
            query: head.uri.query().unwrap_or_default().to_owned(),
            body,
            charset: content_type::charset(&head.headers),
        };
        let body = body::read(&head.headers, body).await;
        let received_at = Timestamp::now();
        let request = match body {
            Ok(body) => request(body),
            Err((problem, sent)) => {
                let request = request(RawBody::Unread(sent));
                return Err(self.set_aside(source, received_at, request, problem).await);
            }
        };
        let traceparent = head.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let mut ingest = self.shared.traces.begin("ingest", traceparent);
        ingest.set("source", source.name().to_string());
        let record = {
            let _parse = ingest.child("parse");
            read_record(source, &request, received_at)
        };
        match record {
            Ok(mut record) => {
                record.traceparent = ingest.traceparent();
                let _commit = ingest.child("commit");
                let logged = self.shared.log.ingest(record).await;
                logged.map(accepted).map_err(|error| unavailable(source, error))
            }
            Err(faults) => Err(self.set_aside(source, received_at, request, Problem::NotACdr(faults)).await),
        }
    }

    /// What is refused is kept, so that its call is not lost for a fault that can be mended.
    async fn set_aside(
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

/// Reads a record from a request, now or when it is replayed from the quarantine.
pub(crate) fn read_record(
    source: &Source,
    request: &RawRequest,
    received_at: Timestamp,
) -> Result<Record, Faults> {
    parameters::fields(source, request).and_then(|fields| Record::parse(fields, source, received_at))
}

fn unavailable(source: &Source, LogError::Unavailable(why): LogError) -> Problem {
    tracing::warn!(source = &**source.name(), %why, "the log cannot be written: a request was refused");
    Problem::Unavailable
}

fn admit(source: &Source, secret: Option<&str>, request: &Request) -> Result<(), Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let client = client::address(request.headers(), peer, source);
    source.admit(secret, client).map_err(|refusal| match refusal {
        Refusal::Secret => Problem::NotFound,
        Refusal::Address => {
            // DEBUG, for anybody can cause it, as often as they like.
            tracing::debug!(
                source = &**source.name(),
                ?client,
                "refused: the client's address is not allowed"
            );
            Problem::Forbidden
        }
        Refusal::Rate(wait) => Problem::TooMany(wait),
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
