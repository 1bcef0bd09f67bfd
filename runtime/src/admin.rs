//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};
use tokio::runtime::Handle;

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
pub fn router(readiness: Readiness, mut registry: Registry) -> Router {
    let tasks = Gauge::<i64>::default();
    registry.register("ringpad_tasks", "Tasks of the async runtime that have not ended", tasks.clone());
    let registry = Arc::new(registry);
    let metrics = move || async move {
        let alive = Handle::current().metrics().num_alive_tasks();
        tasks.set(i64::try_from(alive).unwrap_or(i64::MAX));
        metrics(&registry)
    };
    health(readiness).route("/metrics", get(metrics))
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
