//! Deletes what is older than the retention, in small steps, and only by a clock that can be believed: what is deleted is
//! gone. A clock that was set ahead would take every call with it.

mod clock;
mod metrics;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringpad_runtime::CancellationToken;
use tokio::time::sleep;

use crate::log::{Log, LogError};
use clock::{Clock, Doubt, Reading};
pub(crate) use metrics::RetentionMetrics;

/// How often old calls are looked for; a short retention has it more often.
const LOOK: Duration = Duration::from_secs(60);
/// The pause between two steps of deleting them.
const PAUSE: Duration = Duration::from_millis(100);

/// Before any call, in Unix seconds.
const BEFORE_ALL: i64 = 0;

/// What a look at the log led to.
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
    /// Runs until `leaving`.
    pub(crate) async fn run(self, leaving: CancellationToken) {
        let began = Instant::now();
        let read = || Reading { wall: Timestamp::now(), running: began.elapsed() };
        let mut clock = Clock::new(read());
        let mut said = None;
        let look = LOOK.min(self.retention).max(PAUSE);
        let mut wait = look;
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = leaving.cancelled() => return,
            }
            wait = match self.step(&mut clock, read(), &mut said).await {
                Ok(Step::More) => PAUSE,
                Ok(Step::Done) => look,
                Err(error) => {
                    tracing::warn!(%error, "cannot delete old calls; trying again");
                    look
                }
            };
        }
    }

    async fn step(
        &self,
        clock: &mut Clock,
        now: Reading,
        said: &mut Option<Doubt>,
    ) -> Result<Step, LogError> {
        let newest = self.log.reader().newest_call().await?;
        let doubt = clock.doubt(now, newest);
        self.say(doubt, *said, now, newest);
        *said = doubt;
        let retention = i64::try_from(self.retention.as_secs()).unwrap_or(i64::MAX);
        let before = match doubt {
            // What deleted stores have left is due whatever the clock shows.
            Some(_) => BEFORE_ALL,
            None => now.wall.as_second().saturating_sub(retention),
        };
        let more = self.log.purge(before).await?;
        Ok(if more { Step::More } else { Step::Done })
    }

    /// Says once why nothing is deleted, and when it is again.
    fn say(&self, doubt: Option<Doubt>, said: Option<Doubt>, now: Reading, newest: Option<Timestamp>) {
        self.metrics.waits(doubt);
        if doubt == said {
            return;
        }
        let clock = format_args!("{:.0}", now.wall);
        let newest = newest.map(|newest| format!("{newest:.0}"));
        match doubt {
            Some(Doubt::Jumped) => tracing::warn!(
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
