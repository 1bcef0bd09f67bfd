//! `ringpad pad`: a pad in the terminal.
//!
//! ```text
//! connector (gRPC-Web, WebSocket or gRPC) ─► stream ─► progress (each position once) ─► screen (lines, or JSON)
//!   ▲                                          │
//!   └────── back-off ◄── lost, silent, gap ────┘
//! ```
//!
//! It does what `docs/protocol.md` asks of a pad: it comes back with its position, waits between two tries with full jitter,
//! takes a stream for dead after 2.5 heartbeat intervals, and opens the next stream before it closes this one when it is
//! asked to reconnect.

mod client;
mod connector;
mod progress;
mod screen;
mod stream;
mod stream_error;
mod websocket;

use clap::{Arg, Args, ValueEnum};
use ringpad_runtime::{CancellationToken, Failure};

use crate::{
    endpoint::Endpoint,
    secret::{Flag, Secret},
};

use self::{client::PadClient, connector::Connector, screen::Screen};

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
    /// The transport to push-svc.
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

/// The transports that push-svc serves pads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// What browsers use.
    GrpcWeb,
    /// What browsers use behind a proxy that holds back streamed HTTP.
    Websocket,
    /// Native gRPC, over HTTP/2 without TLS.
    Grpc,
}

/// Shows the store's calls until `shutdown`.
///
/// # Errors
/// push-svc refused the pad for a reason that does not pass with time, or the output is no longer read.
pub(crate) async fn run(args: PadArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    let connector = Connector::new(args.transport, args.url, args.token.required()?)?;
    let screen = if args.json { Screen::json() } else { Screen::people() };
    shutdown.run_until_cancelled(PadClient::new(connector, screen).run()).await.unwrap_or(Ok(()))
}
