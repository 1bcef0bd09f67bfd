//! Runs a process from its settings to its exit code.

use std::{
    future::Future,
    io::{Write, stderr},
    process::ExitCode,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::{
    error_chain::ErrorChain,
    failure::Failure,
    settings::one_line,
    shutdown::{self, Hangup},
    telemetry::{self, LoggingSettings},
};

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
            return report(name, &Failure::other("cannot start the async runtime", error));
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
        Err(failure) => report(name, &failure),
    }
}

/// Writes why a process ends to standard error, because log lines may be switched off.
fn report(name: &str, failure: &Failure) -> ExitCode {
    if !matches!(failure, Failure::Unread) {
        // Standard error may be closed; there is still the exit code.
        writeln!(stderr(), "{name}: {}", one_line(&ErrorChain(failure).to_string())).ok();
    }
    failure.exit_code()
}

/// Raises the limit of open files to the hard limit. Each connection is a file, and shells and containers often set a limit of
/// 1,024.
fn raise_file_limit() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
