//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::readiness::Readiness;

/// `/livez`, which answers while the process can answer at all, and `/readyz`, whose 503 says why in words.
pub fn health(readiness: Readiness) -> Router {
    let ready = move || async move {
        match readiness.reason() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
        }
    };
    Router::new().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(ready))
}

/// Everything an admin port serves: [`health`] and `/metrics` in OpenMetrics text.
pub fn router(readiness: Readiness, registry: Registry) -> Router {
    let registry = Arc::new(registry);
    health(readiness).route("/metrics", get(move || async move { metrics(&registry) }))
}

fn metrics(registry: &Registry) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n"))
            .into_response(),
    }
}
