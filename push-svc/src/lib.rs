//! push-svc streams a store's events to the pads that are connected to this replica.
//!
//! ```text
//!  bus ─► subscription ─┐              ┌─ grpc (gRPC and gRPC-Web) ─► pad
//!                       ├─► hub ◄─ pad_stream
//!  log ─► catch_up ─────┘       ▲      └─ websocket ────────────────► pad
//!   └───────► log_client ───────┘ (snapshot, events that a returning pad missed)
//! ```
//!
//! Contract: a pad gets each of its store's positions exactly once and in order, even if the bus loses, repeats or
//! swaps; a replica stores nothing that is not also in the log, and can be killed at any moment. The edges never see the broker; the hub knows no
//! HTTP. Nothing is global: two replicas run in one process.

pub mod admission;
mod capacity;
mod catch_up;
mod clock;
mod event_sources;
pub mod first_message;
mod grpc;
mod hub;
mod log_client;
mod pad_requests;
mod pad_stream;
mod page;
mod pairing;
mod replica;
mod revocations;
pub mod settings;
mod stream_end;
mod subscription;
mod websocket;

use ringpad_runtime::{CancellationToken, Failure, activation::PassedListeners, traces::Traces};
use tokio::net::TcpListener;

use replica::{Drain, Replica};
pub use settings::{Checked, Settings};

/// Where a replica listens.
#[derive(Debug)]
pub struct Listeners {
    /// For pads: `PUSH_ADDR`.
    pub pads: TcpListener,
    /// For the operator: `PUSH_ADMIN_ADDR`.
    pub admin: TcpListener,
}

impl Listeners {
    /// The names of the sockets that a service manager passes.
    pub const NAMES: [&str; 2] = ["pads", "admin"];

    /// Listens on the sockets that were passed, else where the settings say.
    ///
    /// # Errors
    /// An address cannot be listened on, e.g. because its port is in use.
    pub async fn bind(settings: &Settings, mut passed: PassedListeners) -> Result<Self, Failure> {
        Ok(Self {
            pads: passed.listen("pads", ("PUSH_ADDR", settings.push_addr)).await?,
            admin: passed.listen("admin", ("PUSH_ADMIN_ADDR", settings.push_admin_addr)).await?,
        })
    }
}

/// Runs one replica until `shutdown`, then, after `DRAIN_DELAY`, sends its pads away over `DRAIN_WINDOW` and returns.
///
/// # Errors
/// At the start, an exchange of another type under our name; later, a task that failed.
pub async fn run(
    Checked { settings, bus }: Checked,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let traces = Traces::new("push-svc", &settings.traces)?;
    let replica = Replica::start(&settings, bus, listeners, traces.clone())?;
    let drain = Drain { delay: settings.drain_delay.unwrap_or_default(), window: settings.drain_window };
    let outcome = replica.run(drain, shutdown).await;
    outcome.and(traces.close().await)
}
