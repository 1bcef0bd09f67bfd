//! Whether the service is ready: while a write has reached the disk within the last 2 s, and there is room for the next
//! one.
//!
//! Any record that is accepted is such a write. When none comes, the log is asked once a second to write something that
//! SQLite cannot leave out. HTTP and gRPC are told the same.

use std::time::Duration;

use ringpad_runtime::{CancellationToken, readiness::Readiness};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::log::{Log, LogError};

/// How often the log is asked.
const PROBE: Duration = Duration::from_secs(1);
/// How long the service is ready after a write.
const READY_FOR: Duration = Duration::from_secs(2);

/// Says whether the service is ready, until `leaving`.
pub(crate) async fn watch(log: Log, readiness: Readiness, leaving: CancellationToken) {
    let mut sign = Sign { readiness, ready: false };
    let mut tick = interval(PROBE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = leaving.cancelled() => break,
        }
        tokio::select! {
            probed = probe(&log, &mut sign) => sign.show(probed),
            () = leaving.cancelled() => break,
        }
    }
    sign.readiness.hold("process", "leaving");
}

/// Asks the log whether it can be written. While the answer is awaited, the last write may get too old.
async fn probe(log: &Log, sign: &mut Sign) -> Result<(), LogError> {
    let probed = log.probe();
    tokio::pin!(probed);
    if sign.ready
        && let Some(written_at) = log.written_at()
    {
        tokio::select! {
            probed = &mut probed => return probed,
            () = sleep_until((written_at + READY_FOR).into()) => sign.show(Err(LogError::silent())),
        }
    }
    probed.await
}

/// Where the service's readiness is to be seen.
struct Sign {
    readiness: Readiness,
    ready: bool,
}

impl Sign {
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

    use prometheus_client::registry::Registry;
    use tempfile::TempDir;
    use tokio::{task::JoinHandle, time::sleep};
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response, health_client::HealthClient, health_server,
        health_server::HealthServer,
    };

    use super::*;
    use crate::log::{self, Capacity, LogMetrics, OpenLog, OtherProgram};

    /// Longer than anything here takes.
    const SOON: Duration = Duration::from_secs(20);

    async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !look().await {
            assert!(begun.elapsed() < SOON, "waited in vain: {what}");
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
        let metrics = LogMetrics::new(&mut Registry::default());
        let OpenLog { log, threads, .. } =
            log::open(&path, Duration::from_secs(30), &Capacity::default(), metrics).unwrap();
        let (readiness, leaving) = (Readiness::default(), CancellationToken::new());
        readiness.hold("log", "starting");
        let health = ringpad_runtime::grpc::health(readiness.clone(), &[], leaving.clone());
        let watching: JoinHandle<_> = tokio::spawn(watch(log.clone(), readiness.clone(), leaving.clone()));
        until("it is ready", async || readiness.reason().is_none()).await;
        until("gRPC says so", async || serving(&health).await).await;

        // The writer waits for this as it would for a disk.
        let other = OtherProgram::open(&path);
        other.execute("BEGIN IMMEDIATE");
        let silent = async || readiness.reason().is_some_and(|why| why.contains("the disk does not answer"));
        // A request gives up after a while, too; long before that it must be known.
        tokio::select! {
            given_up = log.probe() => panic!("a request has given up by now: {given_up:?}"),
            () = until("it is not ready, and says why", silent) => {}
        }
        until("gRPC says so", async || !serving(&health).await).await;
        other.execute("ROLLBACK");
        until("it is ready again", async || readiness.reason().is_none()).await;

        drop(log);
        leaving.cancel();
        watching.await.unwrap();
        assert_eq!(readiness.reason().as_deref(), Some("process: leaving"));
        tokio::task::spawn_blocking(|| threads.join()).await.unwrap();
    }
}
