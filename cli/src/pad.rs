//! `ringpad pad`: a pad in the terminal.
//!
//! ```text
//! door (gRPC-Web, WebSocket or gRPC) ─► feed ─► progress (each position once) ─► screen (lines for people, or JSON)
//!   ▲                                    │
//!   └── back-off ◄── lost, silent, gap ──┘
//! ```
//!
//! It keeps to what the contract asks of a pad: it comes back with its position, backs off with full jitter, takes a
//! stream for dead after 2.5 heartbeat intervals, and when told to reconnect opens the next stream before it closes
//! this one.

mod door;
mod feed;
mod progress;
mod screen;
mod visit;
mod websocket;

use clap::{Arg, Args, ValueEnum};
use ringpad_runtime::{CancellationToken, Failure};

use crate::{
    endpoint::Endpoint,
    secret::{Flag, Secret},
};

use self::{door::Door, screen::Screen, visit::Visit};

/// A pad in the terminal: shows a store's calls as they come, until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct PadArgs {
    #[command(flatten)]
    token: Secret<PadToken>,
    /// Where push-svc serves pads; http only.
    #[arg(long, default_value = "http://127.0.0.1:8081", value_parser = Endpoint::parse)]
    url: Endpoint,
    /// Print each message of the stream as one line of JSON; by default lines for people.
    #[arg(long)]
    json: bool,
    /// How to talk to push-svc.
    #[arg(long, value_enum, default_value_t = Transport::GrpcWeb)]
    transport: Transport,
}

#[derive(Debug)]
struct PadToken;

impl Flag for PadToken {
    const LONG: &str = "token";
    const ENV: &str = "PAD_TOKEN";

    fn describe(argument: Arg) -> Arg {
        argument.help("The pad's token, e.g. from `ringpad token`").value_name("TOKEN").required(true)
    }
}

/// The ways push-svc serves a pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// What browsers use.
    GrpcWeb,
    /// What browsers use behind a proxy that buffers.
    Websocket,
    /// Native gRPC, over HTTP/2 without TLS.
    Grpc,
}

/// Shows the store's calls until `shutdown`.
///
/// # Errors
/// push-svc turned the pad away for a reason that time does not mend, or nobody reads the output any more.
pub(crate) async fn run(args: PadArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    let door = Door::new(args.transport, args.url, args.token.required()?)?;
    let screen = if args.json { Screen::json() } else { Screen::people() };
    shutdown.run_until_cancelled(Visit::new(door, screen).stay()).await.unwrap_or(Ok(()))
}
