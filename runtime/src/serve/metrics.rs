//! What ports count about their connections.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::time::{Duration, Instant};

/// How often one thing is said in the log at most, however often it happens.
const WARNING: Duration = Duration::from_secs(10);

/// Counters of all ports of a process.
#[derive(Debug, Clone, Default)]
pub struct ServeMetrics {
    resets: Family<[(&'static str, &'static str); 1], Counter>,
    ended: Family<[(&'static str, String); 2], Counter>,
}

impl ServeMetrics {
    /// Counters that `registry` shows.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ringpad_http2_resets",
            "Calls that clients took back over HTTP/2, by port: deadlines, cancelled calls, closed streams",
            metrics.resets.clone(),
        );
        registry.register(
            "ringpad_http2_connections_ended",
            "HTTP/2 connections that we ended because of what the client sent, by port and HTTP/2's name of the reason",
            metrics.ended.clone(),
        );
        metrics
    }

    /// The counters of one port, which is named as in the logs: `grpc`.
    pub fn port(&self, name: &'static str) -> PortMetrics {
        PortMetrics {
            name,
            resets: self.resets.get_or_create_owned(&[("port", name)]),
            ended: self.ended.clone(),
            said: Arc::default(),
        }
    }
}

/// Counters of one port.
#[derive(Debug, Clone)]
pub struct PortMetrics {
    pub(super) name: &'static str,
    resets: Counter,
    ended: Family<[(&'static str, String); 2], Counter>,
    said: Arc<Mutex<Option<Instant>>>,
}

impl PortMetrics {
    pub(super) fn taken_back(&self, resets: u32) {
        if resets > 0 {
            self.resets.inc_by(resets.into());
        }
    }

    /// Counts an HTTP/2 connection that we ended, and says so, but not more often than every 10 s.
    pub(super) fn ended(&self, error: &h2::Error) {
        let reason = error.reason().map(|reason| format!("{reason:?}")).unwrap_or_default();
        self.ended.get_or_create_owned(&[("port", self.name.to_owned()), ("reason", reason)]).inc();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() > WARNING) {
            *said = Some(Instant::now());
            tracing::warn!(port = self.name, %error, "ended an HTTP/2 connection, and all calls on it");
        }
    }
}
