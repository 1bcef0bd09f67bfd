//! The settings of ingest-svc: an environment variable each, or the same flag in kebab case.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use ringpad_bus::{Bus, BusSettings};
use ringpad_runtime::{
    Failure, backoff::RetrySettings, settings::duration, telemetry::LoggingSettings, traces::TraceSettings,
};
use secrecy::SecretString;

use crate::{log::Database, source::Sources};

/// Takes number providers' call records, logs them durably and publishes them to push-svc.
#[derive(Debug, Clone, Parser)]
#[command(name = "ingest-svc", version)]
pub struct Settings {
    /// Where number providers send call records: HTTP, public. Not used when a socket is passed as `http` (`LISTEN_FDNAMES`);
    /// so with `grpc` and `admin`.
    #[arg(long, env = "INGEST_HTTP_ADDR", default_value = "0.0.0.0:8080", value_parser = address)]
    pub ingest_http_addr: SocketAddr,
    /// Where internal services and push-svc call: gRPC.
    #[arg(long, env = "INGEST_GRPC_ADDR", default_value = "127.0.0.1:50051", value_parser = address)]
    pub ingest_grpc_addr: SocketAddr,
    /// Where `/metrics` is served.
    #[arg(long, env = "INGEST_ADMIN_ADDR", default_value = "127.0.0.1:9464", value_parser = address)]
    pub ingest_admin_addr: SocketAddr,
    /// The log: `sqlite://` and a path, or `postgres://user:password@host/database`.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://ringpad.db", hide_env_values = true)]
    pub database_url: Database,
    /// A TOML file of sources. Without it there is one source `bizcall` that anyone may send to.
    #[arg(long, env = "INGEST_CONFIG")]
    pub ingest_config: Option<PathBuf>,
    /// Bearer token of the internal gRPC; required when `INGEST_GRPC_ADDR` is not loopback.
    #[arg(long, env = "INTERNAL_TOKEN", hide_env_values = true, value_parser = secret)]
    pub internal_token: Option<SecretString>,
    /// How long a popup is shown after a ring.
    #[arg(long, env = "POPUP_TTL", default_value = "30s", value_parser = duration)]
    pub popup_ttl: Duration,
    /// Calls older than this are deleted.
    #[arg(long, env = "RETENTION", default_value = "90d", value_parser = duration)]
    pub retention: Duration,
    /// The exchange.
    #[command(flatten)]
    pub bus: BusSettings,
    /// Trying again.
    #[command(flatten)]
    pub retry: RetrySettings,
    /// The process's own log lines.
    #[command(flatten)]
    pub logging: LoggingSettings,
    /// Where traces go.
    #[command(flatten)]
    pub traces: TraceSettings,
}

/// Settings that have been checked, and what was made of them.
#[derive(Debug)]
pub struct Checked {
    /// The settings themselves.
    pub settings: Settings,
    /// The sources of `INGEST_CONFIG`.
    pub sources: Sources,
    /// The broker; tests and `ringpad dev` put one in its place that runs in the process.
    pub bus: Bus,
}

impl Settings {
    /// Checks what no single setting shows, and reads the files that the settings name.
    ///
    /// # Errors
    /// [`Failure::Setting`]: one line that names the setting and what would be right.
    pub fn check(self) -> Result<Checked, Failure> {
        let bus = self.bus.bus().map_err(Failure::setting)?;
        self.check_token("INGEST_GRPC_ADDR", self.ingest_grpc_addr).map_err(Failure::setting)?;
        let sources = Sources::read(self.ingest_config.as_deref()).map_err(Failure::setting)?;
        Ok(Checked { settings: self, sources, bus })
    }

    /// Beyond loopback the internal gRPC needs a token. `place` is what says that it is at `address`.
    pub(crate) fn check_token(&self, place: &str, address: SocketAddr) -> Result<(), String> {
        if address.ip().is_loopback() || self.internal_token.is_some() {
            return Ok(());
        }
        Err(format!(
            "INTERNAL_TOKEN (or --internal-token): required, because {place} {address} is not loopback"
        ))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are expected, e.g. 127.0.0.1:8080".to_owned())
}

fn secret(text: &str) -> Result<SecretString, String> {
    let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    printable
        .then(|| SecretString::from(text))
        .ok_or_else(|| "printable ASCII without spaces is expected".to_owned())
}
