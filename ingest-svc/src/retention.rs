//! Deletes what is older than the retention, in small steps, and only if the clock can be trusted: with a clock that was set ahead,
//! every call would be deleted, and nothing brings it back.

mod clock;
mod metrics;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringpad_runtime::{CancellationToken, ErrorChain};
use tokio::time::sleep;

use crate::log::{Log, LogError};
use clock::{Clock, Doubt, Reading};
pub(crate) use metrics::RetentionMetrics;

/// How often old calls are looked for; more often if the retention is shorter.
const LOOK: Duration = Duration::from_secs(60);
/// The pause between two steps of deleting them.
const PAUSE: Duration = Duration::from_millis(100);

/// Before any call, in Unix seconds.
const BEFORE_ALL: i64 = 0;

/// What one step did.
enum Step {
    /// Deleted something; there may be more.
    More,
    /// There is nothing left that is due.
    Done,
}

/// Deletes for as long as the service runs.
pub(crate) struct Retention {
    pub(crate) log: Log,
    pub(crate) retention: Duration,
    pub(crate) metrics: RetentionMetrics,
}

impl Retention {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let began = Instant::now();
        let read = || Reading { wall: Timestamp::now(), running: began.elapsed() };
        let mut clock = Clock::new(read());
        let mut reported = None;
        let look = LOOK.min(self.retention).max(PAUSE);
        let mut wait = look;
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
            wait = match self.step(&mut clock, read(), &mut reported).await {
                Ok(Step::More) => PAUSE,
                Ok(Step::Done) => look,
                Err(error) => {
                    tracing::warn!(error = %ErrorChain(&error), "cannot delete old calls; trying again");
                    look
                }
            };
        }
    }

    async fn step(
        &self,
        clock: &mut Clock,
        now: Reading,
        reported: &mut Option<Doubt>,
    ) -> Result<Step, LogError> {
        let newest = self.log.reader().newest_call().await?;
        let doubt = clock.doubt(now, newest);
        self.report(doubt, *reported, now, newest);
        *reported = doubt;
        let retention = i64::try_from(self.retention.as_secs()).unwrap_or(i64::MAX);
        let before = match doubt {
            // What deleted stores have left is due in any case.
            Some(_) => BEFORE_ALL,
            None => now.wall.as_second().saturating_sub(retention),
        };
        let more = self.log.purge(before).await?;
        Ok(if more { Step::More } else { Step::Done })
    }

    /// Reports once why nothing is deleted, and when calls are deleted again.
    fn report(&self, doubt: Option<Doubt>, reported: Option<Doubt>, now: Reading, newest: Option<Timestamp>) {
        self.metrics.waits(doubt);
        if doubt == reported {
            return;
        }
        let clock = format_args!("{:.0}", now.wall);
        let newest = newest.map(|newest| format!("{newest:.0}"));
        match doubt {
            Some(Doubt::WasSet) => tracing::warn!(
                %clock,
                newest_call = newest,
                "the clock was set by more than a minute; no old calls are deleted until a call has begun since then, an \
                 hour later at least"
            ),
            Some(Doubt::Ahead) => tracing::warn!(
                %clock,
                newest_call = newest,
                "the clock is more than three days ahead of the newest call; no old calls are deleted until there is a \
                 newer one"
            ),
            None => tracing::info!(%clock, newest_call = newest, "old calls are deleted again"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
