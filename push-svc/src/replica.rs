//! One replica: its parts, wired, and the order in which they end.
//!
//! Leaving: not ready any more → after the delay no new streams, and every pad is told to go, spread over the window → the
//! last streams end → the ports close → everything else stops and is joined.

use std::{sync::Arc, time::Duration};

use axum::Router;
use prometheus_client::registry::Registry;
use ringpad_bus::Bus;
use ringpad_runtime::{
    CancellationToken, Failure, admin,
    readiness::Readiness,
    serve::{Clients, HalfClose, Heads, Limits, PortMetrics, SMALL_HEAD, ServeMetrics, serve},
    traces::Traces,
};
use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    Listeners, Settings,
    admission::{Admission, AdmissionMetrics, token::PadTokens},
    capacity::HubCapacity,
    catch_up::{CatchUp, CatchUpMetrics},
    event_sources::EventSources,
    grpc::{self, GrpcEdge},
    hub::Hub,
    log_client::LogClient,
    pad_requests::{PadRequests, RequestMetrics},
    pad_stream::{PadStreams, StreamMetrics},
    page, settings,
    subscription::{Subscriber, SubscriptionMetrics},
    websocket::{self, WebSocketEdge},
};

/// The part of the process that holds it back while it leaves.
const HOLDER: &str = "push-svc";
/// How long after the window the last streams may take to end: the hub's linger, and a little.
const AFTER_WINDOW: Duration = Duration::from_secs(8);
/// How long closes and open requests may take once all streams have ended.
const GRACE: Duration = Duration::from_secs(1);
/// Connections of pads at a time, some 20 KiB each, and those of one address: the shops of a chain may share one.
const PADS: (usize, usize) = (50_000, 12_500);
/// Connections of operators, and those of one address.
const OPERATORS: (usize, usize) = (128, 64);
/// A part of the process: how it ended by itself, if it did.
type Part = Result<(), Failure>;

/// How a replica leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    /// How long it goes on as before, but not ready: a load balancer that tries no other replica after a 503 must have
    /// noticed before there is one.
    pub delay: Duration,
    /// Over how long its pads are then sent away.
    pub window: Duration,
}

/// A running replica.
pub(crate) struct Replica {
    hub: Hub,
    readiness: Readiness,
    /// The WebSockets.
    connections: TaskTracker,
    /// All else that runs.
    parts: JoinSet<Part>,
    stop: CancellationToken,
}

impl Replica {
    /// Wires the parts and starts them.
    pub(crate) fn start(
        settings: &Settings,
        bus: Bus,
        listeners: Listeners,
        traces: Traces,
    ) -> Result<Self, Failure> {
        let readiness = Readiness::default();
        let sources = EventSources::new(readiness.clone());
        let mut registry = Registry::default();
        let metrics = registry.sub_registry_with_prefix("ringpad_push");
        let hub = Hub::new(HubCapacity::default());
        let log = log_client(settings, sources.clone())?;
        let edge = edge(settings, &hub, &log, &traces, metrics)?;
        let catch_up = CatchUp::new();
        let subscriber = Subscriber {
            bus,
            hub: hub.clone(),
            catch_up: catch_up.clone(),
            sources,
            metrics: SubscriptionMetrics::new(metrics),
            traces,
        };
        let catch_up_metrics = CatchUpMetrics::new(metrics);
        let mut replica = Self {
            hub: hub.clone(),
            readiness,
            connections: TaskTracker::new(),
            parts: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        replica.serve(settings, edge, listeners, registry)?;
        let (backoff, stop) = (settings.retry.backoff(), replica.stop.clone());
        replica.parts.spawn(async move {
            catch_up.run(hub, log, catch_up_metrics, backoff, stop).await;
            Ok(())
        });
        replica.parts.spawn(subscriber.run(settings.retry.backoff(), replica.stop.clone()));
        Ok(replica)
    }

    /// Both ports.
    fn serve(
        &mut self,
        settings: &Settings,
        edge: GrpcEdge,
        listeners: Listeners,
        mut registry: Registry,
    ) -> Result<(), Failure> {
        let grpc = grpc::router(&edge, self.readiness.clone(), self.stop.clone())?;
        let page = grpc::before(&edge.admission, page::router(settings.pad_token_url.as_ref()));
        let websocket = WebSocketEdge {
            admission: edge.admission,
            streams: edge.streams,
            connections: self.connections.clone(),
            stop: self.stop.clone(),
        };
        let router = Router::new()
            .merge(grpc)
            .merge(websocket::router(websocket))
            .merge(admin::health(self.readiness.clone()))
            .merge(page);
        let connections = ServeMetrics::new(&mut registry);
        let limits = |(connections, per_address), half_close| Limits {
            head: SMALL_HEAD,
            connections,
            per_address,
            proxies: settings.push_trusted_proxies.0.clone(),
            clients: Clients::Public,
            streams: &ringpad_runtime::grpc::REFLECTIONS,
            half_close,
            heads: Heads::Strict,
        };
        self.listen(listeners.pads, router, limits(PADS, HalfClose::Disconnect), connections.port("pads"));
        let admin = admin::router(self.readiness.clone(), registry);
        self.listen(listeners.admin, admin, limits(OPERATORS, HalfClose::Allow), connections.port("admin"));
        Ok(())
    }

    fn listen(
        &mut self,
        listener: tokio::net::TcpListener,
        router: Router,
        limits: Limits,
        metrics: PortMetrics,
    ) {
        let stop = self.stop.clone();
        self.parts.spawn(async move {
            serve(listener, router, limits, metrics, stop, GRACE).await;
            Ok(())
        });
    }

    /// Runs until `shutdown`, or until a part ends by itself, which ends all.
    pub(crate) async fn run(mut self, drain: Drain, shutdown: CancellationToken) -> Result<(), Failure> {
        let outcome = tokio::select! {
            () = shutdown.cancelled() => {
                self.drain(drain).await;
                Ok(())
            }
            ended = self.parts.join_next() => Err(ended_early(ended)),
        };
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
        while let Some(ended) = self.parts.join_next().await {
            if let Err(failure) = ended.unwrap_or_else(|panic| Err(died(&panic))) {
                tracing::error!(%failure, "while stopping");
            }
        }
        outcome
    }

    /// Sends the pads away.
    async fn drain(&self, Drain { delay, window }: Drain) {
        if !delay.is_zero() {
            self.readiness.hold(HOLDER, "leaving");
            sleep(delay).await;
        }
        self.hub.leave(window, tokio::time::Instant::now());
        // Last, so that without a delay nobody reads that it is leaving and then gets a stream all the same.
        self.readiness.hold(HOLDER, "leaving");
        if timeout(window + AFTER_WINDOW, self.hub.all_streams_ended()).await.is_err() {
            tracing::warn!("some pads did not go in time");
        }
        // The last WebSockets are still being told why.
        self.connections.close();
        if timeout(GRACE, self.connections.wait()).await.is_err() {
            tracing::debug!(connections = self.connections.len(), "cutting WebSockets that did not close");
        }
    }
}

fn log_client(settings: &Settings, sources: EventSources) -> Result<LogClient, Failure> {
    let bearer = match &settings.internal_token {
        None => None,
        Some(token) => Some(
            settings::authorization(token)
                .ok_or_else(|| wrong("INTERNAL_TOKEN", &"printable ASCII is expected"))?,
        ),
    };
    Ok(LogClient::new(settings.ingest_url.clone(), bearer, sources))
}

fn edge(
    settings: &Settings,
    hub: &Hub,
    log: &LogClient,
    traces: &Traces,
    metrics: &mut Registry,
) -> Result<GrpcEdge, Failure> {
    let tokens = PadTokens::new(&settings.pad_token_secret).map_err(|why| wrong("PAD_TOKEN_SECRET", &why))?;
    let origins = settings.pad_allowed_origins.clone();
    let admission = Arc::new(Admission::new(tokens, origins, AdmissionMetrics::new(metrics)));
    let requests =
        PadRequests { admission: admission.clone(), log: log.clone(), metrics: RequestMetrics::new(metrics) };
    let streams = PadStreams::new(
        admission.clone(),
        hub.clone(),
        log.clone(),
        StreamMetrics::new(metrics),
        traces.clone(),
        settings.heartbeat_interval,
    );
    Ok(GrpcEdge { admission, streams: Arc::new(streams), requests: Arc::new(requests) })
}

fn wrong(setting: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::Setting(format!("{setting}: {why}"))
}

fn ended_early(ended: Option<Result<Part, JoinError>>) -> Failure {
    match ended {
        Some(Ok(Err(failure))) => failure,
        Some(Err(panic)) => died(&panic),
        Some(Ok(Ok(()))) | None => Failure::Other("a part of the process ended by itself".to_owned()),
    }
}

fn died(panic: &JoinError) -> Failure {
    Failure::other("a part of the process died", panic)
}
