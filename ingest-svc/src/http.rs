//! Where number providers send call records: `GET` or `POST /v1/cdr/{source}[/{secret}]`.
//!
//! ```text
//! request ─► method 405 ─► source, secret 404 ─► address 403 ─► rate 429 ─► body 413, 415 ─► Record 422 ─► log 503 ─► 200
//! ```
//!
//! What is refused early has cost little: no body is read before the sender is let in. Every error is a problem of
//! RFC 9457. No URI is ever logged: it holds callers' numbers, and the secret.

pub mod body;
pub mod client;
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

use crate::{
    cdr::{Faults, Record},
    log::{Ingested, Log, LogError, Status},
    source::{Refusal, Source, Sources},
};
use body::Body;
use problem::Problem;

/// Bytes of a body, and of a query, at most.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Bytes of a request's head at most: the longest query, and the headers around it.
pub(crate) const HEAD_BYTES: usize = MAX_BYTES + 16 * 1024;

struct Edge {
    sources: Arc<Sources>,
    log: Log,
}

/// The edge's routes. Handlers need the peer's address, as `ConnectInfo<SocketAddr>`; without it a source with `allow`
/// lets nobody in.
pub(crate) fn router(sources: Arc<Sources>, log: Log) -> Router {
    Router::new()
        .route("/v1/cdr/{source}", any(at_source))
        .route("/v1/cdr/{source}/{secret}", any(at_secret))
        .fallback(async || Problem::NotFound)
        .with_state(Arc::new(Edge { sources, log }))
}

async fn at_source(
    State(edge): State<Arc<Edge>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(source) = path.map_err(|_| Problem::NotFound)?;
    edge.answer(&source, None, request).await
}

async fn at_secret(
    State(edge): State<Arc<Edge>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path((source, secret)) = path.map_err(|_| Problem::NotFound)?;
    edge.answer(&source, Some(&secret), request).await
}

impl Edge {
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
        let source = self.sources.get(source).ok_or(Problem::NotFound)?;
        admit(source, secret, &request)?;
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        let body = Body::read(head.headers.get(CONTENT_TYPE), body).await?;
        let record = parameters::fields(source, query, &body)
            .and_then(|fields| Record::parse(fields, source, Timestamp::now()))
            .map_err(|faults| not_a_cdr(source, faults))?;
        self.log.ingest(record).await.map(accepted).map_err(|LogError::Unavailable(why)| {
            tracing::warn!(source = &**source.name(), %why, "the log cannot be written: a record was refused");
            Problem::Unavailable
        })
    }
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

fn not_a_cdr(source: &Source, faults: Faults) -> Problem {
    tracing::debug!(source = &**source.name(), %faults, "refused");
    Problem::NotACdr(faults)
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
