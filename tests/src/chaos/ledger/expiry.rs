//! Streams that end with their tokens.

use std::time::Duration;

use tokio::time::Instant;

use super::FaultLog;

/// How long a short-lived token is valid.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(20);
/// How much earlier it may end: a token has whole seconds, and two clocks are read.
const SOONER: Duration = Duration::from_secs(2);
/// How long a pad may take to reconnect after its token's end.
const RECONNECT: Duration = Duration::from_secs(8);

/// When a token was issued, and when a replica refused it.
#[derive(Debug, Clone, Copy)]
struct Expiry {
    issued: Instant,
    at: Instant,
}

/// All expiries of one pad.
#[derive(Debug, Default)]
pub(super) struct Expiries(Vec<Expiry>);

impl Expiries {
    /// A replica refuses a token, or ends its stream.
    pub(super) fn note(&mut self, issued: Instant) {
        self.0.push(Expiry { issued, at: Instant::now() });
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the pad may have been reconnecting at some time between the two.
    pub(super) fn came_back(&self, from: Instant, until: Instant) -> bool {
        self.0.iter().any(|expiry| expiry.at <= until && expiry.at + RECONNECT >= from)
    }

    /// The ends before the token's time, while no replica's clock was wrong, in words.
    pub(super) fn too_early(&self, fault_log: &FaultLog) -> Vec<String> {
        let lived = |expiry: &Expiry| expiry.at.saturating_duration_since(expiry.issued);
        let early = self.0.iter().filter(|expiry| lived(expiry) + SOONER < TOKEN_LIFETIME);
        let unexplained = early.filter(|expiry| !fault_log.replicas_clock_is_wrong(expiry.issued, expiry.at));
        unexplained
            .map(|expiry| format!("lost its token after {:.1} s", lived(expiry).as_secs_f64()))
            .collect()
    }
}
