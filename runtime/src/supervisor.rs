//! Runs the long-lived tasks of a process. The first one that ends stops all others, and every one is joined.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures_util::FutureExt;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{ErrorChain, failure::Failure};

/// The tasks that a process needs as long as it runs. Dropping it aborts them: call [`join`](Self::join).
#[derive(Debug)]
pub struct Supervisor {
    stop: CancellationToken,
    tasks: JoinSet<Result<(), Failure>>,
    /// The first task that ended without a failure before it was told to.
    ended_early: Arc<OnceLock<&'static str>>,
}

impl Supervisor {
    /// No task yet. A task that ends cancels `stop`, and then all others must end, at once or in an order that their owner
    /// chooses.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, tasks: JoinSet::new(), ended_early: Arc::default() }
    }

    /// Cancelled when the first task has ended, or from outside.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a task that cannot fail, which is called `name` in errors.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.try_spawn(name, task.map(Ok));
    }

    /// Starts a task that can fail; a failure is returned as it is.
    pub fn try_spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let (stop, ended_early) = (self.stop.clone(), Arc::clone(&self.ended_early));
        self.tasks.spawn(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|panic| Err(Failure::other(name, panic_text(&*panic))));
            match &outcome {
                // Now, because other tasks may take long to end.
                Err(failure) => tracing::error!(failure = %ErrorChain(failure), "a task failed"),
                // Only the first one is of interest.
                Ok(()) if !stop.is_cancelled() => drop(ended_early.set(name)),
                Ok(()) => {}
            }
            stop.cancel();
            outcome
        });
    }

    /// Starts work that blocks its thread, e.g. waits for other threads, until `stop` is cancelled. A panic in it counts as
    /// the task's.
    pub fn spawn_blocking(&mut self, name: &'static str, work: impl FnOnce() + Send + 'static) {
        self.try_spawn(name, async {
            match spawn_blocking(work).await {
                Ok(()) => Ok(()),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => Err(Failure::other("cannot be run", error)),
                },
            }
        });
    }

    /// Waits until all tasks have ended, also after a panic.
    ///
    /// # Errors
    /// The first failure or panic; without one, that a task ended before it was told to. Each failure has been logged.
    pub async fn join(mut self) -> Result<(), Failure> {
        let mut first = None;
        while let Some(joined) = self.tasks.join_next().await {
            // Tasks catch their panics, and nobody aborts them.
            let outcome = joined.unwrap_or_else(|error| Err(Failure::other("a task", error)));
            first = first.or(outcome.err());
        }
        match (first, self.ended_early.get()) {
            (Some(failure), _) => Err(failure),
            (None, Some(name)) => Err(Failure::other(name, "stopped unexpectedly")),
            (None, None) => Ok(()),
        }
    }
}

/// What a panic says.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    format!("panicked: {text}")
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a panic is what is tested")]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use tokio::sync::oneshot;

    use super::*;

    /// Runs `task` together with one that stops late, and returns the outcome once that one has ended.
    async fn outcome_of(
        task: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, slow) = (supervisor.stop().clone(), Arc::clone(&stopped));
        supervisor.spawn("slow", async move {
            stop.cancelled().await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            slow.store(true, Ordering::SeqCst);
        });
        supervisor.try_spawn("tested", task);
        let outcome = supervisor.join().await;
        assert!(stopped.load(Ordering::SeqCst), "the slow task was not waited for");
        outcome
    }

    fn text(outcome: Result<(), Failure>) -> String {
        outcome.map_or_else(|failure| ErrorChain(&failure).to_string(), |()| "success".to_owned())
    }

    #[tokio::test]
    async fn a_task_that_ends_too_early_stops_all_and_is_a_failure() {
        let outcome = outcome_of(async { Ok(()) }).await;
        assert_eq!(text(outcome), "tested: stopped unexpectedly");
    }

    #[tokio::test]
    async fn a_task_that_fails_stops_all_and_its_failure_is_the_outcome() {
        let outcome = outcome_of(async { Err(Failure::setting("AMQP_URL: wrong")) }).await;
        assert!(matches!(outcome, Err(Failure::Setting(why)) if why.to_string() == "AMQP_URL: wrong"));
    }

    #[tokio::test]
    async fn a_task_that_panics_stops_all_and_its_text_is_the_outcome() {
        let outcome = outcome_of(async { panic!("index {} is missing", 7) }).await;
        assert_eq!(text(outcome), "tested: panicked: index 7 is missing");
    }

    #[tokio::test]
    async fn a_failure_counts_more_than_an_early_end_that_came_before_it() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        let stop = supervisor.stop().clone();
        supervisor.spawn("consequence", async {});
        supervisor.spawn("cause", async move {
            stop.cancelled().await;
            panic!("the disk is gone")
        });
        assert_eq!(text(supervisor.join().await), "cause: panicked: the disk is gone");
    }

    #[tokio::test]
    async fn tasks_that_end_when_they_are_told_to_are_a_success() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        let stop = supervisor.stop().clone();
        supervisor.spawn("obedient", async move { stop.cancelled().await });
        supervisor.stop().cancel();
        assert_eq!(text(supervisor.join().await), "success");
    }

    #[tokio::test]
    async fn a_thread_that_panics_stops_all() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        let (begin, begun) = oneshot::channel::<()>();
        let stop = supervisor.stop().clone();
        supervisor.spawn("waiting", async move {
            drop(begin);
            stop.cancelled().await;
        });
        supervisor.spawn_blocking("threads", || {
            let thread = thread::spawn(|| {
                drop(begun.blocking_recv());
                panic!("out of memory")
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        assert_eq!(text(supervisor.join().await), "threads: panicked: out of memory");
    }
}
