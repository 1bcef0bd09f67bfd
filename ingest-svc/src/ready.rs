//! The service is ready while a write has reached the disk within the last 2 s, and there is room for the next one.
//!
//! Every accepted record is such a write. Without any, the log writes something once a second that the database cannot skip. HTTP
//! and gRPC have the same readiness.

use std::time::Duration;

use ringpad_runtime::{CancellationToken, ErrorChain, readiness::Readiness};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::log::{Log, LogError};

/// How often the log is probed.
const PROBE: Duration = Duration::from_secs(1);
/// How long the service is ready after a write.
const READY_FOR: Duration = Duration::from_secs(2);

/// Keeps the readiness up to date, until `shutdown`.
pub(crate) async fn watch(log: Log, readiness: Readiness, shutdown: CancellationToken) {
    let mut state = LogReadiness { readiness, ready: false };
    let mut tick = interval(PROBE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => break,
        }
        tokio::select! {
            probed = probe(&log, &mut state) => state.show(probed),
            () = shutdown.cancelled() => break,
        }
    }
    state.readiness.hold("process", "shutting down");
}

/// Asks the log whether it can be written. While the answer is awaited, the last write may get too old.
async fn probe(log: &Log, state: &mut LogReadiness) -> Result<(), LogError> {
    let probed = log.probe();
    tokio::pin!(probed);
    if state.ready
        && let Some(written_at) = log.written_at()
    {
        tokio::select! {
            probed = &mut probed => return probed,
            () = sleep_until((written_at + READY_FOR).into()) => state.show(Err(LogError::silent())),
        }
    }
    probed.await
}

/// The readiness of the log, as a part of the service's.
struct LogReadiness {
    readiness: Readiness,
    ready: bool,
}

impl LogReadiness {
    fn show(&mut self, probed: Result<(), LogError>) {
        let was_ready = std::mem::replace(&mut self.ready, probed.is_ok());
        match probed {
            Ok(()) => {
                if !was_ready {
                    tracing::info!("ready: the log can be written");
                }
                self.readiness.release("log");
            }
            Err(error) => {
                let error = ErrorChain(&error);
                if was_ready {
                    tracing::error!(%error, "not ready");
                }
                self.readiness.hold("log", error.to_string());
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Instant;

    use tempfile::TempDir;
    use tokio::{task::JoinHandle, time::sleep};
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response, health_client::HealthClient, health_server,
        health_server::HealthServer,
    };

    use super::*;
    use crate::log::{Database, OpenLog, OtherProgram, try_open};

    /// Longer than anything here takes.
    const SOON: Duration = Duration::from_secs(20);

    async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !look().await {
            assert!(begun.elapsed() < SOON, "waited without success: {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn serving(health: &HealthServer<impl health_server::Health>) -> bool {
        let asked = HealthClient::new(health.clone()).check(HealthCheckRequest::default()).await.unwrap();
        asked.into_inner().status() == health_check_response::ServingStatus::Serving
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_disk_that_does_not_answer_is_not_ready() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("log.db");
        let OpenLog { log, tasks, .. } = try_open(&Database::Sqlite(path.clone())).await.unwrap();
        let (readiness, shutdown) = (Readiness::default(), CancellationToken::new());
        readiness.hold("log", "starting");
        let health = ringpad_runtime::grpc::health(readiness.clone(), &[], shutdown.clone());
        let watching: JoinHandle<_> = tokio::spawn(watch(log.clone(), readiness.clone(), shutdown.clone()));
        until("it is ready", async || readiness.reason().is_none()).await;
        until("gRPC agrees", async || serving(&health).await).await;

        // The writer waits for this as it would for a disk.
        let other = OtherProgram::open(&path);
        other.execute("BEGIN IMMEDIATE");
        let silent = async || {
            readiness
                .reason()
                .is_some_and(|why| why.contains("the disk or the database server does not answer"))
        };
        // The readiness must change long before a request gives up.
        tokio::select! {
            given_up = log.probe() => panic!("a request has given up by now: {given_up:?}"),
            () = until("it is not ready, and says why", silent) => {}
        }
        until("gRPC agrees", async || !serving(&health).await).await;
        other.execute("ROLLBACK");
        until("it is ready again", async || readiness.reason().is_none()).await;

        drop(log);
        shutdown.cancel();
        watching.await.unwrap();
        assert_eq!(readiness.reason().as_deref(), Some("process: shutting down"));
        tasks.join().await;
    }
}
