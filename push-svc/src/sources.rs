//! Where events come from, and whether the replica can serve: it is ready while it has its queue *or* reaches the log.
//! A silent bus does not make it unready, else one broker restart would empty the load balancer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ringpad_runtime::readiness::Readiness;

/// The part of the process that holds it back while it has neither.
const HOLDER: &str = "events";

/// A cloneable handle on what is known of both sources.
#[derive(Debug, Clone)]
pub(crate) struct Sources(Arc<State>);

#[derive(Debug)]
struct State {
    readiness: Readiness,
    queue: AtomicBool,
    log: AtomicBool,
}

impl Sources {
    /// Neither source is there yet.
    pub(crate) fn new(readiness: Readiness) -> Self {
        let sources =
            Self(Arc::new(State { readiness, queue: AtomicBool::new(false), log: AtomicBool::new(false) }));
        sources.tell();
        sources
    }

    /// The replica has its queue.
    pub(crate) fn queue_up(&self) {
        self.set(&self.0.queue, true);
    }

    /// The replica has no queue.
    pub(crate) fn queue_down(&self) {
        self.set(&self.0.queue, false);
    }

    /// The log answered.
    pub(crate) fn log_up(&self) {
        if !self.set(&self.0.log, true) {
            tracing::info!("the log answers");
        }
    }

    /// The log did not answer, for the reason `why`.
    pub(crate) fn log_down(&self, why: &str) {
        if self.set(&self.0.log, false) {
            tracing::warn!(why, "the log cannot be reached");
        }
    }

    /// Answers what it was before.
    fn set(&self, source: &AtomicBool, up: bool) -> bool {
        let was = source.swap(up, Ordering::SeqCst);
        if was != up {
            self.tell();
        }
        was
    }

    fn tell(&self) {
        if self.0.queue.load(Ordering::SeqCst) || self.0.log.load(Ordering::SeqCst) {
            self.0.readiness.release(HOLDER);
        } else {
            self.0.readiness.hold(HOLDER, "no queue on the broker, and the log cannot be reached");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_is_enough() {
        let readiness = Readiness::default();
        let sources = Sources::new(readiness.clone());
        assert!(readiness.reason().is_some());
        sources.log_up();
        assert_eq!(readiness.reason(), None);
        sources.queue_up();
        sources.log_down("gone");
        assert_eq!(readiness.reason(), None);
        sources.queue_down();
        assert!(
            readiness
                .reason()
                .is_some_and(|reason| reason.contains("neither") || reason.contains("no queue"))
        );
    }
}
