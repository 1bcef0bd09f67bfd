//! ingest-svc takes the number providers' call records (CDRs), logs them durably and publishes the events of their calls.
//!
//! ```text
//! number provider ──http──┐
//!                         ├─► Cdr ─► log ─────────► relay ─► bus
//! internal service ─grpc──┘  parse   commit          publish
//!                            once    + position      fanout
//! ```
//!
//! Contract: a CDR is answered when its commit is on disk, never before, and it never waits for the broker. Past
//! `cdr` there are no strings that might be phone numbers; `call` and `store` decide, without a database; all SQL is in
//! `log/sqlite` and `log/postgres`; the edges never see the broker.

mod bounds;
pub mod call;
mod capacity;
pub mod cdr;
pub mod customer;
mod grpc;
mod http;
pub mod log;
pub mod pad;
pub mod phone;
mod ready;
mod relay;
pub mod request;
mod retention;
pub mod settings;
mod shared;
pub mod source;
pub mod store;

use std::{ops::RangeInclusive, os::fd::AsFd, pin::pin, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use ringpad_bus::Bus;
use ringpad_runtime::{
    CancellationToken, ErrorChain, Failure,
    activation::PassedListeners,
    admin,
    backoff::Backoff,
    readiness::Readiness,
    serve::{Clients, HalfClose, Heads, Limits, ServeMetrics, serve},
    supervisor::Supervisor,
    traces::Traces,
};
use tokio::{net::TcpListener, time::timeout};

use capacity::Capacity;
use http::HttpMetrics;
use log::{OpenError, OpenLog};
use relay::{Relay, RelayMetrics};
use retention::{Retention, RetentionMetrics};
pub use settings::{Checked, Settings};
use shared::Shared;
use source::Sources;

/// How long open requests may take to finish when the service shuts down.
const GRACE: Duration = Duration::from_secs(5);
/// How long the relay may then take to publish the last events.
const LAST_RELAY: Duration = Duration::from_secs(5);

/// The pauses before the log of a new epoch is opened again after a failure.
const OPEN_AGAIN: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(1);

/// The sockets that the service listens on.
#[derive(Debug)]
pub struct Listeners {
    /// Number providers.
    pub http: TcpListener,
    /// Internal services and push-svc.
    pub grpc: TcpListener,
    /// Operators.
    pub admin: TcpListener,
}

impl Listeners {
    /// The names of the sockets that a service manager passes.
    pub const NAMES: [&str; 3] = ["http", "grpc", "admin"];

    /// Listens on the sockets that were passed, else where the settings say.
    ///
    /// # Errors
    /// An address cannot be listened on; or the socket that was passed for the internal gRPC needs a token.
    pub async fn bind(settings: &Settings, mut passed: PassedListeners) -> Result<Self, Failure> {
        let listeners = Self {
            http: passed.listen("http", ("INGEST_HTTP_ADDR", settings.ingest_http_addr)).await?,
            grpc: passed.listen("grpc", ("INGEST_GRPC_ADDR", settings.ingest_grpc_addr)).await?,
            admin: passed.listen("admin", ("INGEST_ADMIN_ADDR", settings.ingest_admin_addr)).await?,
        };
        let grpc = listeners.grpc.local_addr().map_err(|error| Failure::other("the internal gRPC", error))?;
        settings.check_token("the socket passed as grpc", grpc).map_err(Failure::setting)?;
        Ok(listeners)
    }

    /// The same sockets once more.
    fn duplicate(&self) -> std::io::Result<Self> {
        let again = |listener: &TcpListener| {
            TcpListener::from_std(listener.as_fd().try_clone_to_owned().map(std::net::TcpListener::from)?)
        };
        Ok(Self { http: again(&self.http)?, grpc: again(&self.grpc)?, admin: again(&self.admin)? })
    }
}

/// Serves until `shutdown`, then finishes what was accepted.
///
/// When the log begins a new epoch, everything but the sockets is started again with it: connections wait meanwhile.
///
/// # Errors
/// A log that cannot be opened; at the start, an exchange of another type under our name; later, a task that failed.
pub async fn run(
    Checked { settings, sources, bus }: Checked,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    if settings.ingest_config.is_none() {
        tracing::warn!(
            "INGEST_CONFIG is not set: anyone may send call records to the one source there is, bizcall"
        );
    }
    let traces = Traces::new("ingest-svc", &settings.traces)?;
    // Loads data that the first number of an unusual form would otherwise wait for.
    let warm = tokio::task::spawn_blocking(phone::warm_up).await;
    warm.map_err(|error| Failure::other("cannot start", error))?;
    let capacity = Capacity::default();
    let service = Service { settings, capacity, sources: Arc::new(sources), bus, traces: traces.clone() };
    service.run(listeners, shutdown).await.and(traces.close().await)
}

/// What is the same in all epochs.
struct Service {
    settings: Settings,
    capacity: Capacity,
    sources: Arc<Sources>,
    bus: Bus,
    traces: Traces,
}

impl Service {
    /// Serves one epoch of the log after the other.
    async fn run(&self, listeners: Listeners, shutdown: CancellationToken) -> Result<(), Failure> {
        let Some(opened) = shutdown.run_until_cancelled(self.open(&shutdown)).await else { return Ok(()) };
        let mut epoch = opened.map_err(|error| Failure::other("DATABASE_URL", error))?;
        loop {
            let sockets = listeners.duplicate().map_err(|error| Failure::other("the sockets", error))?;
            let mut served = pin!(self.serve(epoch, sockets, &shutdown));
            tokio::select! {
                ended = &mut served => ended?,
                () = shutdown.cancelled() => {
                    // Or they would accept connections that nobody serves.
                    drop(listeners);
                    return served.await;
                }
            }
            let Some(next) = shutdown.run_until_cancelled(self.open_again(&shutdown)).await else {
                return Ok(());
            };
            epoch = next;
        }
    }

    async fn open(&self, shutdown: &CancellationToken) -> Result<Epoch, OpenError> {
        let Settings { database_url, popup_ttl, .. } = &self.settings;
        let (over, mut registry) = (shutdown.child_token(), Registry::default());
        let opened = log::open(database_url, *popup_ttl, &self.capacity.log, &mut registry, over.clone());
        Ok(Epoch { log: opened.await?, over, registry })
    }

    /// Opens the log of the next epoch. Its server has only just been promoted, so a failure is no reason to end.
    async fn open_again(&self, shutdown: &CancellationToken) -> Epoch {
        let mut backoff = Backoff::new(OPEN_AGAIN);
        loop {
            match self.open(shutdown).await {
                Ok(epoch) => return epoch,
                Err(error) => {
                    tracing::warn!(error = %ErrorChain(&error), "cannot open the log in its new epoch; trying again");
                }
            }
            backoff.wait().await;
        }
    }

    /// Serves until `shutdown`, or until the epoch is over.
    async fn serve(
        &self,
        Epoch { log: OpenLog { log, outbox, fresh, tasks }, over, mut registry }: Epoch,
        listeners: Listeners,
        shutdown: &CancellationToken,
    ) -> Result<(), Failure> {
        let Self { settings, capacity, .. } = self;
        // The log and the relay end after the edges: the writer when the last handle on the log is dropped, and the relay when
        // the writer has ended and everything is published.
        let stop = over.child_token();
        let mut backend = Supervisor::new(stop.clone());
        for task in tasks.into_handles() {
            backend.spawn("log", task.join());
        }
        let relay = Relay {
            bus: self.bus.clone(),
            traces: self.traces.clone(),
            retry: settings.retry.clone(),
            popup_ttl: settings.popup_ttl,
            capacity: capacity.relay,
            log: log.reader().clone(),
            outbox,
            fresh,
            metrics: RelayMetrics::new(&mut registry),
        };
        let cut = CancellationToken::new();
        backend.try_spawn("relay", relay.run(cut.clone()));
        let shared = Shared { sources: Arc::clone(&self.sources), log, traces: self.traces.clone() };
        let served = match spawn_edges(settings, capacity, shared, listeners, registry, stop.clone()) {
            Ok(edges) => edges.join().await,
            Err(failure) => Err(failure),
        };
        stop.cancel();
        if over.is_cancelled() && !shutdown.is_cancelled() {
            // What is not published is of no use in the next epoch: pads get a snapshot.
            cut.cancel();
        }
        let left = leave(backend, cut).await;
        if let (Err(_), Err(failure)) = (&left, &served) {
            tracing::error!(%failure, "another task failed");
        }
        left.and(served)
    }
}

/// The log as it was opened, and what ends with it.
struct Epoch {
    log: OpenLog,
    /// Cancelled by the log when its database begins a new epoch, and at shutdown.
    over: CancellationToken,
    registry: Registry,
}

/// Starts the tasks with a handle on the log, which must end before the writer can.
fn spawn_edges(
    settings: &Settings,
    capacity: &Capacity,
    shared: Shared,
    listeners: Listeners,
    mut registry: Registry,
    stop: CancellationToken,
) -> Result<Supervisor, Failure> {
    let readiness = Readiness::default();
    readiness.hold("log", "starting");
    let (log, proxies) = (shared.log.clone(), shared.sources.proxies());
    let grpc = grpc::router(settings, shared.clone(), capacity.grpc, readiness.clone(), stop.clone())?;
    let answers = HttpMetrics::new(&mut registry);
    let connections = ServeMetrics::new(&mut registry);
    let retention = RetentionMetrics::new(&mut registry);
    let http = http::router(shared, answers, admin::health(readiness.clone()));
    let admin = admin::router(readiness.clone(), registry);
    let providers = Limits {
        head: capacity.http.head,
        proxies,
        heads: Heads::Lenient,
        ..Limits::new(capacity.connections.providers, Clients::Public)
    };
    let internal = Limits::new(capacity.connections.internal, Clients::Internal);
    let services = Limits { streams: &grpc::STREAMS, half_close: HalfClose::Disconnect, ..internal.clone() };
    let ports = [
        ("http", listeners.http, http, providers),
        ("grpc", listeners.grpc, grpc, services),
        ("admin", listeners.admin, admin, internal),
    ];
    let mut edges = Supervisor::new(stop.clone());
    for (name, listener, router, limits) in ports {
        edges.spawn(name, serve(listener, router, limits, connections.port(name), stop.clone(), GRACE));
    }
    edges.spawn("readiness", ready::watch(log.clone(), readiness, stop.clone()));
    let retention = Retention { log, retention: settings.retention, metrics: retention };
    edges.spawn("retention", retention.run(stop));
    Ok(edges)
}

/// Waits for the log, and for the relay to publish the last events. What it does not publish in time is published after the next
/// start, or, with PostgreSQL, another ingest-svc tells push-svc to read it.
async fn leave(backend: Supervisor, cut: CancellationToken) -> Result<(), Failure> {
    let mut left = pin!(backend.join());
    match timeout(LAST_RELAY, left.as_mut()).await {
        Ok(left) => left,
        Err(_) => {
            cut.cancel();
            left.await
        }
    }
}
