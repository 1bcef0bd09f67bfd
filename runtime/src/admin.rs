//! `/livez`, `/readyz` and `/metrics`.

mod exposition;
mod process;

use std::sync::Arc;

use axum::{
    Router,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio::runtime::Handle;

use self::{exposition::Exposition, process::ProcessMetrics};
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

/// Everything an admin port serves: [`health`], and `/metrics` in the text format that is asked for.
pub fn router(readiness: Readiness, mut registry: Registry) -> Router {
    let tasks = Gauge::<i64>::default();
    registry.register("ringpad_tasks", "Tasks of the async runtime that have not ended", tasks.clone());
    // All our programs are built together, and have one version.
    let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("arch", std::env::consts::ARCH)]);
    registry.register("ringpad_build", "What was built: its version, and for which processor", build);
    registry.register_collector(Box::new(ProcessMetrics));
    let registry = Arc::new(registry);
    let metrics = move |headers: HeaderMap| async move {
        let alive = Handle::current().metrics().num_alive_tasks();
        tasks.set(i64::try_from(alive).unwrap_or(i64::MAX));
        metrics(&registry, Exposition::wanted(&headers))
    };
    health(readiness).route("/metrics", get(metrics))
}

fn metrics(registry: &Registry, exposition: Exposition) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => {
            let headers = [(CONTENT_TYPE, exposition.content_type()), (VARY, "accept")];
            (headers, exposition.of(text)).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n"))
            .into_response(),
    }
}
