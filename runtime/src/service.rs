//! Runs a process from its settings to its exit code.

use std::{
    future::Future,
    io::{self, Write, stderr},
    process::ExitCode,
    thread::available_parallelism,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    error_chain::ErrorChain,
    failure::Failure,
    settings::one_line,
    shutdown::{self, Hangup},
    telemetry::{self, LoggingSettings},
};

/// How long a thread for blocking work waits for more. Waiting threads get their work in turn, so after a burst every one that has
/// something to do within this time stays. With tokio's 10 s, what replicas ask an idle ingest-svc for once in 2 s kept five
/// threads for each replica.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How many threads run the tasks of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the process may use.
    EachCore,
    /// One for every second core, and at least one: the others are for what the tasks wait for on the same machine, the
    /// thread that writes the log or the database. On a quiet line each worker less is a thread less to wake.
    EverySecondCore,
}

impl Workers {
    fn runtime(self) -> io::Result<Runtime> {
        let mut builder = Builder::new_multi_thread();
        if self == Self::EverySecondCore {
            // Like tokio, one if the system does not say how many there are.
            builder.worker_threads(available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)));
        }
        builder.thread_keep_alive(THREAD_KEEP_ALIVE).enable_all().build()
    }
}

/// Runs a service from its settings to its exit code: sets up logging, listens to signals, and reports the failure
/// that ended it in one line.
pub fn run_service<F>(
    name: &str,
    logging: &LoggingSettings,
    hangup: Hangup,
    workers: Workers,
    service: impl FnOnce(CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    telemetry::init(logging);
    raise_file_limit();
    let runtime = match workers.runtime() {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn of_the_cores_every_second_one_has_a_worker_and_there_is_at_least_one() {
        let cores = available_parallelism().unwrap().get();
        let runtime = Workers::EverySecondCore.runtime().unwrap();
        assert_eq!(runtime.metrics().num_workers(), cores.div_ceil(2));
    }
}
