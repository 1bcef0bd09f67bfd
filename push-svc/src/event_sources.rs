//! The two sources of events, the queue and the log, and the readiness that follows from them: a replica is ready while it
//! has its queue *or* reaches the log. A silent bus does not make it unready; otherwise one restart of the broker would
//! make all replicas unready at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ringpad_runtime::readiness::Readiness;

/// The name under which this part of the process holds back the readiness.
const HOLDER: &str = "events";

/// A cloneable handle on the state of both sources.
#[derive(Debug, Clone)]
pub(crate) struct EventSources(Arc<SourceState>);

#[derive(Debug)]
struct SourceState {
    readiness: Readiness,
    queue: AtomicBool,
    log: AtomicBool,
}

impl EventSources {
    /// Neither source is available yet.
    pub(crate) fn new(readiness: Readiness) -> Self {
        let sources = Self(Arc::new(SourceState {
            readiness,
            queue: AtomicBool::new(false),
            log: AtomicBool::new(false),
        }));
        sources.update_readiness();
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

    /// Returns the state before.
    fn set(&self, source: &AtomicBool, up: bool) -> bool {
        let was = source.swap(up, Ordering::SeqCst);
        if was != up {
            self.update_readiness();
        }
        was
    }

    fn update_readiness(&self) {
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
    fn a_replica_with_one_source_is_ready() {
        let readiness = Readiness::default();
        let sources = EventSources::new(readiness.clone());
        assert!(readiness.reason().is_some());
        sources.log_up();
        assert_eq!(readiness.reason(), None);
        sources.queue_up();
        sources.log_down("gone");
        assert_eq!(readiness.reason(), None);
        sources.queue_down();
        assert!(readiness.reason().is_some_and(|reason| reason.contains("no queue")));
    }
}
