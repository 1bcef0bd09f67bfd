//! `ringpad dev`: all of RingPad in one process, on this machine's loopback only.
//!
//! ```text
//! curl ─► ingest-svc ─► bus (in-process, or RabbitMQ) ─┬─► push-svc 1 ─► pads
//!             log                                      └─► push-svc 2 ─► pads
//! ```
//!
//! The services are the same that run as programs of their own; only their settings, their order and the welcome text are
//! here. Of the environment only `AMQP_URL` and the other settings of the bus are used, so that `dev` is the same everywhere.

mod data_directory;
mod ports;
mod services;
mod stores;
mod welcome;

use std::path::PathBuf;

use clap::{Args, Parser};
use ringpad_bus::{BrokerAddress, Bus, BusSettings};
use ringpad_runtime::{CancellationToken, Failure, settings::try_read_from};

use self::{data_directory::DataDirectory, ports::Ports, services::Services};

/// Runs all of RingPad in one process, on loopback only, to try it out. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Keep the log and the key of pad tokens in this directory; by default they are removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Add this to every port: 8080 (HTTP), 50051 (gRPC), 8081 and 8082 (pads), 9464 to 9466 (admin).
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=15_484))]
    port_offset: u16,
    /// RabbitMQ, to be used instead of the in-process bus; the services' other AMQP_… settings apply too.
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
    let data = DataDirectory::open(args.data.as_deref())?;
    let mut services = Services::start(&ports, listeners, &data, &bus)?;
    let outcome = tokio::select! {
        failure = services.first_end() => Err(failure),
        welcomed = welcome::when_ready(&ports, &data) => welcomed,
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

/// RabbitMQ at `address`; its other settings come from the environment.
fn rabbitmq(address: BrokerAddress) -> Result<Bus, Failure> {
    let broker = try_read_from::<Broker>(["ringpad dev"]);
    let Broker { mut bus } = broker.map_err(|error| {
        // The address, which holds a password, was read before; none of the other settings is secret.
        let text = error.to_string();
        let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::setting(format!("from the environment: {why}"))
    })?;
    bus.amqp_url = address;
    bus.bus().map_err(Failure::setting)
}
