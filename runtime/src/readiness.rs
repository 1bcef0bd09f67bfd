//! Readiness as a latch: a process is ready while nobody holds it back. Whoever is not ready says so with a reason in
//! words, and takes it back when that has changed.

use std::sync::{Arc, Mutex, PoisonError};

/// A cloneable handle on a process's readiness.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Readiness {
    /// Holds the process back. `who` is one part of it; its newer reason replaces the older.
    pub fn hold(&self, who: &'static str, reason: impl Into<String>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(holder, _)| *holder != who);
        held.push((who, reason.into()));
    }

    /// `who` is ready.
    pub fn release(&self, who: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(holder, _)| *holder != who);
    }

    /// Why the process is not ready; `None` if it is.
    pub fn reason(&self) -> Option<String> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reasons: Vec<_> = held.iter().map(|(who, reason)| format!("{who}: {reason}")).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_while_nobody_holds_it_back() {
        let readiness = Readiness::default();
        assert_eq!(readiness.reason(), None);
        readiness.hold("log", "starting");
        readiness.hold("bus", "no connection");
        readiness.hold("log", "disk full");
        assert_eq!(readiness.reason().as_deref(), Some("bus: no connection; log: disk full"));
        readiness.release("log");
        readiness.release("bus");
        assert_eq!(readiness.reason(), None);
    }
}
