//! `ringpad dev`: all of RingPad in one process, on this machine's loopback only.
//!
//! ```text
//! curl ─► ingest-svc ─► bus (in-process, or RabbitMQ) ─┬─► push-svc 1 ─► pads
//!             log                                      └─► push-svc 2 ─► pads
//! ```
//!
//! The services are the very ones that run apart; here are only their settings, their order and the welcome. Nothing
//! of the environment but `AMQP_URL` and what belongs to it changes them, so that `dev` does the same everywhere.

mod place;
mod ports;
mod services;
mod stores;
mod welcome;

use std::path::PathBuf;

use clap::{Args, Parser};
use ringpad_bus::{BrokerAddress, Bus, BusSettings};
use ringpad_runtime::{CancellationToken, Failure, settings::try_read_from};

use self::{place::Place, ports::Ports, services::Services};

/// Runs all of RingPad in one process, on loopback only: to see it work. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Keep the log and the tokens' key in this directory; by default they are gone in the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Add this to every port: 8080 (HTTP), 50051 (gRPC), 8081 and 8082 (pads), 9464 to 9466 (admin).
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=15_484))]
    port_offset: u16,
    /// RabbitMQ to use instead of the in-process bus; with the other AMQP_… settings of the services.
    #[arg(long, env = "AMQP_URL", hide_env_values = true, value_name = "URL")]
    amqp_url: Option<BrokerAddress>,
}

/// Runs everything until `shutdown`.
///
/// # Errors
/// A port is taken, a setting of the bus is wrong, or a service ended.
pub(crate) async fn run(args: DevArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    let bus = args.amqp_url.map_or_else(|| Ok(Bus::in_process()), rabbitmq)?;
    let (ports, listeners) = Ports::bind(args.port_offset).await?;
    let place = Place::open(args.data.as_deref())?;
    let mut services = Services::start(&ports, listeners, &place, &bus)?;
    let outcome = tokio::select! {
        failure = services.first_end() => Err(failure),
        welcomed = welcome::when_ready(&ports, &place) => welcomed,
        () = shutdown.cancelled() => Ok(()),
    };
    let outcome = match outcome {
        Ok(()) => tokio::select! {
            failure = services.first_end() => Err(failure),
            () = shutdown.cancelled() => Ok(()),
        },
        Err(failure) => Err(failure),
    };
    let left = services.leave().await;
    outcome.and(left)
}

/// The settings of the broker, as the services take them.
#[derive(Debug, Parser)]
struct Broker {
    #[command(flatten)]
    bus: BusSettings,
}

/// RabbitMQ at `address`; what else there is to say of it comes from the environment.
fn rabbitmq(address: BrokerAddress) -> Result<Bus, Failure> {
    let broker = try_read_from::<Broker>(["ringpad dev"]);
    let Broker { mut bus } = broker.map_err(|error| {
        // The address has been read before; of the other settings none is secret.
        let text = error.to_string();
        let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::Setting(format!("from the environment: {why}"))
    })?;
    bus.amqp_url = address;
    bus.bus().map_err(Failure::Setting)
}
