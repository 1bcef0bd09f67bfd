//! The lines that a process logs: text for people, JSON for machines, on standard error. Levels: ERROR, somebody must act; WARN, something is
//! wrong and is being handled; INFO, a state that an operator wants to know; DEBUG, each step.

use std::io;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What lines to log, and in which form.
#[derive(Debug, Clone, Args)]
pub struct LoggingSettings {
    /// `text` for people, `json` for machines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What to log, in the form of `tracing`'s `EnvFilter`, e.g. `info,ingest_svc=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_parser = filter)]
    pub rust_log: String,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Installs the subscriber of log lines for the whole process. Only a `main` calls it; a second call changes nothing.
pub fn init(settings: &LoggingSettings) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.rust_log))
        .with_writer(io::stderr)
        // Such errors are written to standard error too, and if that is closed, e.g. with its terminal, logging would panic.
        .log_internal_errors(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    let installed = match settings.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("logging was set up before");
    }
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("a log filter is expected, e.g. info,ingest_svc=debug ({error})")),
    }
}
