//! One replica: wires its parts, and ends them in order.
//!
//! Leaving: not ready any more → after the delay no new streams, and every pad is sent away, spread over the window → the
//! last streams end → the ports close → all other tasks end and are joined.

use std::{sync::Arc, time::Duration};

use axum::Router;
use prometheus_client::registry::Registry;
use ringpad_bus::Bus;
use ringpad_runtime::{
    CancellationToken, Failure, admin,
    readiness::Readiness,
    serve::{Clients, HalfClose, Limits, ServeMetrics, serve},
    supervisor::Supervisor,
    traces::Traces,
};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::{
    Listeners, Settings,
    admission::{Admission, AdmissionMetrics},
    capacity::Capacity,
    catch_up::{CatchUp, CatchUpMetrics},
    event_sources::EventSources,
    grpc::{self, GrpcEdge},
    hub::Hub,
    log_client::LogClient,
    pad_requests::{PadRequests, RequestMetrics},
    pad_stream::{PadStreams, StreamMetrics},
    page,
    pairing::{Pairing, PairingMetrics},
    revocations::{Answered, Revocations},
    subscription::{Subscriber, SubscriptionMetrics},
    websocket::{self, WebSocketEdge},
};

/// The part of the process that holds it back while it leaves.
const HOLDER: &str = "push-svc";
/// Why a replica that drains is not ready.
const DRAINING: &str = "draining";
/// How long after the window the last streams may take to end: the hub's linger, and a little.
const AFTER_WINDOW: Duration = Duration::from_secs(8);
/// How long closes and open requests may take once all streams have ended.
const GRACE: Duration = Duration::from_secs(1);

/// How a replica leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    /// How long it works as before, but is not ready: a load balancer that tries no other replica after a 503 must notice that
    /// before the first 503.
    pub delay: Duration,
    /// The time over which its pads are then sent away.
    pub window: Duration,
}

/// A running replica.
pub(crate) struct Replica {
    hub: Hub,
    readiness: Readiness,
    /// One task for each WebSocket.
    connections: TaskTracker,
    /// Tells all tasks to end.
    stop: CancellationToken,
    /// All tasks but the WebSockets. Its own token is cancelled when the first of them ends.
    supervisor: Supervisor,
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
        let capacity = Capacity::default();
        let hub = Hub::new(capacity.hub);
        let (urls, token) = (settings.ingest_url.clone(), settings.internal_token.clone());
        let log = LogClient::new(urls, token, sources.clone(), capacity.log, metrics);
        let edge = edge(settings, capacity, &hub, &log, &traces, metrics);
        let catch_up = CatchUp::new();
        let subscriber = Subscriber {
            bus,
            hub: hub.clone(),
            catch_up: catch_up.clone(),
            sources,
            capacity: capacity.publishers,
            metrics: SubscriptionMetrics::new(metrics),
            traces,
        };
        let catch_up_metrics = CatchUpMetrics::new(metrics);
        let mut replica = Self {
            hub: hub.clone(),
            readiness,
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            supervisor: Supervisor::new(CancellationToken::new()),
        };
        let admission = edge.admission.clone();
        let answered = Answered::new(&mut registry);
        replica.serve(settings, capacity, edge, listeners, registry)?;
        let revocations = Revocations { hub: hub.clone(), log: log.clone(), admission, answered };
        let until = replica.stop.clone();
        replica.supervisor.spawn("revocations", async move { revocations.run(until).await });
        let (backoff, stop) = (settings.retry.backoff(), replica.stop.clone());
        let (watched, until) = (log.clone(), stop.clone());
        replica.supervisor.spawn("instances of ingest-svc", async move { watched.watch(until).await });
        replica.supervisor.try_spawn("subscription", subscriber.run(backoff.clone(), stop.clone()));
        replica.supervisor.spawn("catch-up", async move {
            catch_up.run(hub, log, capacity.catch_up, catch_up_metrics, backoff, stop).await;
        });
        Ok(replica)
    }

    /// Both ports.
    fn serve(
        &mut self,
        settings: &Settings,
        capacity: Capacity,
        edge: GrpcEdge,
        listeners: Listeners,
        mut registry: Registry,
    ) -> Result<(), Failure> {
        let stop = self.stop.clone();
        let grpc = grpc::router(&edge, capacity.requests.bytes, self.readiness.clone(), stop.clone())?;
        let page = grpc::before(&edge.admission, page::router(settings.pad_token_url.as_ref()));
        let websocket = WebSocketEdge {
            admission: edge.admission,
            streams: edge.streams,
            connections: self.connections.clone(),
            stop: stop.clone(),
        };
        let router = Router::new()
            .merge(grpc)
            .merge(websocket::router(websocket))
            .merge(admin::health(self.readiness.clone()))
            .merge(page);
        let connections = ServeMetrics::new(&mut registry);
        let limits = |connections| Limits {
            proxies: settings.push_trusted_proxies.0.clone(),
            streams: &ringpad_runtime::grpc::REFLECTIONS,
            ..Limits::new(connections, Clients::Public)
        };
        let pads = Limits { half_close: HalfClose::Disconnect, ..limits(capacity.connections.pads) };
        let admin = admin::router(self.readiness.clone(), registry);
        let operators = limits(capacity.connections.admin);
        let ports = [("pads", listeners.pads, router, pads), ("admin", listeners.admin, admin, operators)];
        for (name, listener, router, limits) in ports {
            let served = serve(listener, router, limits, connections.port(name), stop.clone(), GRACE);
            self.supervisor.spawn(name, served);
        }
        Ok(())
    }

    /// Runs until `shutdown` and the drain behind it, or until a task ends. One that ends during the drain does not end the
    /// drain: until they have another replica, pads are better off with what still works here.
    pub(crate) async fn run(self, drain: Drain, shutdown: CancellationToken) -> Result<(), Failure> {
        let task_ended = self.supervisor.stop();
        tokio::select! {
            () = shutdown.cancelled() => self.drain(drain).await,
            () = task_ended.cancelled() => {}
        }
        // From now on tasks end because they are told to.
        task_ended.cancel();
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
        self.supervisor.join().await
    }

    /// Sends the pads away.
    async fn drain(&self, Drain { delay, window }: Drain) {
        if !delay.is_zero() {
            self.readiness.hold(HOLDER, DRAINING);
            // With a task less, pads are sent away at once.
            self.supervisor.stop().run_until_cancelled(sleep(delay)).await;
        }
        self.hub.leave(window, tokio::time::Instant::now());
        // Last, so that without a delay nobody reads that it drains and then gets a stream all the same.
        self.readiness.hold(HOLDER, DRAINING);
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

fn edge(
    settings: &Settings,
    capacity: Capacity,
    hub: &Hub,
    log: &LogClient,
    traces: &Traces,
    metrics: &mut Registry,
) -> GrpcEdge {
    let tokens = settings.pad_token_secret.clone();
    let origins = settings.pad_allowed_origins.clone();
    let admission =
        Arc::new(Admission::new(tokens, origins, capacity.requests, AdmissionMetrics::new(metrics)));
    let requests =
        PadRequests { admission: admission.clone(), log: log.clone(), metrics: RequestMetrics::new(metrics) };
    let streams = PadStreams::new(
        admission.clone(),
        hub.clone(),
        log.clone(),
        StreamMetrics::new(metrics),
        traces.clone(),
        settings.heartbeat_interval,
        capacity.streams,
    );
    let pairing = Pairing::new(
        admission.clone(),
        log.clone(),
        capacity.pairing,
        settings.push_trusted_proxies.clone(),
        PairingMetrics::new(metrics),
    );
    GrpcEdge {
        admission,
        streams: Arc::new(streams),
        requests: Arc::new(requests),
        pairing: Arc::new(pairing),
    }
}
