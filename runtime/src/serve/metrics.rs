//! Metrics of ports and their connections.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::time::{Duration, Instant};

/// Shortest time between two log lines about the same thing.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Counters of all ports of a process.
#[derive(Debug, Clone, Default)]
pub struct ServeMetrics {
    resets: Family<[(&'static str, &'static str); 1], Counter>,
    ended: Family<[(&'static str, String); 2], Counter>,
    refused: Family<[(&'static str, &'static str); 2], Counter>,
}

/// Why a connection, or a request through one of our proxies, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The port has as many connections as it takes.
    Port,
    /// The address has as many connections as one may have.
    Address,
    /// The address that one of our proxies names has as many open requests as one may have.
    Forwarded,
}

impl Refused {
    const ALL: [Self; 3] = [Self::Port, Self::Address, Self::Forwarded];

    fn reason(self) -> &'static str {
        match self {
            Self::Port => "port_full",
            Self::Address => "address_full",
            Self::Forwarded => "forwarded_full",
        }
    }
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
        registry.register(
            "ringpad_connections_refused",
            "Connections refused because there were too many, and requests through a proxy of ours because their client had \
             too many, by port and reason",
            metrics.refused.clone(),
        );
        metrics
    }

    /// The counters of one port, which is named as in the logs: `grpc`.
    pub fn port(&self, name: &'static str) -> PortMetrics {
        // All of them exist from the start, so that the first refusal is an increase.
        let refused = Refused::ALL
            .map(|why| self.refused.get_or_create_owned(&[("port", name), ("reason", why.reason())]));
        PortMetrics {
            name,
            resets: self.resets.get_or_create_owned(&[("port", name)]),
            ended: self.ended.clone(),
            refused,
            warned_of_ended: Arc::default(),
            warned_of_refused: Arc::default(),
        }
    }
}

/// Counters of one port.
#[derive(Debug, Clone)]
pub struct PortMetrics {
    pub(super) name: &'static str,
    resets: Counter,
    ended: Family<[(&'static str, String); 2], Counter>,
    refused: [Counter; Refused::ALL.len()],
    warned_of_ended: LastWarning,
    warned_of_refused: LastWarning,
}

/// When the last warning was logged.
type LastWarning = Arc<Mutex<Option<Instant>>>;

/// Whether another warning is due.
fn is_due(last: &LastWarning) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|at| at.elapsed() > WARNING_INTERVAL);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

impl PortMetrics {
    /// Counts calls that the client cancelled.
    pub(super) fn cancelled(&self, resets: u32) {
        if resets > 0 {
            self.resets.inc_by(resets.into());
        }
    }

    /// Counts an HTTP/2 connection that we ended, with a log line every 10 s at most.
    pub(super) fn ended(&self, error: &h2::Error) {
        let reason = error.reason().map(|reason| format!("{reason:?}")).unwrap_or_default();
        self.ended.get_or_create_owned(&[("port", self.name.to_owned()), ("reason", reason)]).inc();
        if is_due(&self.warned_of_ended) {
            tracing::warn!(port = self.name, %error, "ended an HTTP/2 connection, and all calls on it");
        }
    }

    /// Counts a refused connection or request, with a log line every 10 s at most.
    pub(super) fn refused(&self, why: Refused, client: IpAddr) {
        let [port_full, address_full, forwarded_full] = &self.refused;
        let counter = match why {
            Refused::Port => port_full,
            Refused::Address => address_full,
            Refused::Forwarded => forwarded_full,
        };
        counter.inc();
        if is_due(&self.warned_of_refused) {
            let (port, reason) = (self.name, why.reason());
            tracing::warn!(port, reason, %client, "refusing connections or requests: there are too many");
        }
    }
}
