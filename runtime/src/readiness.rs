//! A process is ready while no part of it holds it back. A part that is not ready gives a reason in words, and releases the
//! process when it is ready again.

use std::future::pending;

use tokio::sync::watch;

/// The parts that hold the process back, each with its reason.
type Holds = Vec<(&'static str, String)>;

/// A cloneable handle on a process's readiness.
#[derive(Debug, Clone, Default)]
pub struct Readiness(watch::Sender<Holds>);

impl Readiness {
    /// Holds the process back. `who` is a part of it; its new reason replaces the last one.
    pub fn hold(&self, who: &'static str, reason: impl Into<String>) {
        self.0.send_modify(|held| {
            held.retain(|(holder, _)| *holder != who);
            held.push((who, reason.into()));
        });
    }

    /// `who` is ready.
    pub fn release(&self, who: &'static str) {
        self.0.send_modify(|held| held.retain(|(holder, _)| *holder != who));
    }

    /// Why the process is not ready; `None` if it is.
    pub fn reason(&self) -> Option<String> {
        let held = self.0.borrow();
        let reasons: Vec<_> = held.iter().map(|(who, reason)| format!("{who}: {reason}")).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Sees the changes from now on.
    pub fn changes(&self) -> ReadinessChanges {
        ReadinessChanges(self.0.subscribe())
    }
}

/// Sees each change of a process's readiness.
#[derive(Debug)]
pub struct ReadinessChanges(watch::Receiver<Holds>);

impl ReadinessChanges {
    /// Whether the process is ready now.
    pub fn is_ready(&mut self) -> bool {
        self.0.borrow_and_update().is_empty()
    }

    /// Waits for a change after the latest [`is_ready`](Self::is_ready). Cancel-safe.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // No handle is left that could change it.
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_while_no_part_holds_it_back() {
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
