//! What every RingPad process does around its work: read settings, set up logging, listen, say whether it is alive and
//! ready, and leave in order. No domain type enters this crate.
//!
//! ```text
//! main ─► settings (exit 2) ─► telemetry ─► bind (exit 1) ─► run ─► signal ─► drain ─► exit 0
//! ```
//!
//! Nothing here is global but the subscriber of log lines, which only `main` installs: a test runs two replicas in one process.

pub mod activation;
pub mod admin;
pub mod backoff;
mod bearer;
pub mod fair;
pub mod forwarded;
pub mod grpc;
pub mod readiness;
pub mod serve;
pub mod settings;
pub mod shutdown;
pub mod supervisor;
pub mod telemetry;
pub mod traces;

use std::{
    fmt::Display,
    future::Future,
    io::{Write, stderr},
    process::ExitCode,
};

pub use bearer::bearer;
pub use shutdown::Hangup;
pub use tokio_util::sync::CancellationToken;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use settings::one_line;
use telemetry::LoggingSettings;

/// Why a process ends before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting, or something the operator set up, is wrong. Trying again cannot mend it: exit code 2.
    #[error("{0}")]
    Setting(String),
    /// Anything else, e.g. a port in use: exit code 1.
    #[error("{0}")]
    Other(String),
    /// Whoever read the output has gone, as `head` does when it has enough: no failure, exit code 0, and nothing is said.
    #[error("nobody reads the output any more")]
    Unread,
}

impl Failure {
    /// A failure of `what` for the reason `why`, e.g. `cannot listen on 0.0.0.0:8081: address in use`.
    pub fn other(what: impl Display, why: impl Display) -> Self {
        Self::Other(one_line(&format!("{what}: {why}")))
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setting(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::FAILURE,
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}

/// Runs a service from its settings to its exit code: sets up logging, listens to signals, and reports the failure
/// that ended it in one line.
pub fn run_service<F>(
    name: &str,
    logging: &LoggingSettings,
    hangup: Hangup,
    service: impl FnOnce(CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    telemetry::init(logging);
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return last_words(name, &Failure::other("cannot start the async runtime", error));
        }
    };
    let outcome = runtime.block_on(async {
        let shutdown =
            shutdown::on_signal(hangup).map_err(|error| Failure::other("cannot listen to signals", error))?;
        service(shutdown).await
    });
    match outcome {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(failure) => last_words(name, &failure),
    }
}

/// Says why a process ends, on standard error: its log may be switched off.
fn last_words(name: &str, failure: &Failure) -> ExitCode {
    if !matches!(failure, Failure::Unread) {
        // Nobody may be there to read it; the exit code says it too.
        writeln!(stderr(), "{name}: {failure}").ok();
    }
    failure.exit_code()
}

/// Each connection is a file, and the limit that a shell or a container sets is often 1,024; a process may raise it to
/// the hard limit by itself.
fn raise_file_limit() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
