//! How long to wait before the next attempt.

use std::{ops::RangeInclusive, time::Duration};

use clap::Args;

use crate::settings::duration;

/// Settings of a back-off with full jitter.
#[derive(Debug, Clone, Args)]
pub struct RetrySettings {
    /// The longest wait before the first new attempt; doubled with each further one.
    #[arg(long, env = "RETRY_INITIAL_INTERVAL", default_value = "500ms", value_parser = duration)]
    pub retry_initial_interval: Duration,
    /// The longest wait between any two attempts.
    #[arg(long, env = "RETRY_MAX_INTERVAL", default_value = "30s", value_parser = duration)]
    pub retry_max_interval: Duration,
}

impl RetrySettings {
    /// A back-off at its beginning.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.retry_initial_interval..=self.retry_max_interval)
    }
}

/// Waits of random length below a bound that doubles from one length to another. The whole length is random ("full
/// jitter"), so that replicas that lost the same broker do not all reconnect at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    bounds: RangeInclusive<Duration>,
    bound: Duration,
}

impl Backoff {
    /// Starts with waits below the first bound, or the last one if that is less.
    pub fn new(bounds: RangeInclusive<Duration>) -> Self {
        let bound = *bounds.start().min(bounds.end());
        Self { bounds, bound }
    }

    /// The next wait.
    pub fn delay(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = bound.saturating_mul(2).min(*self.bounds.end());
        bound.mul_f64(fastrand::f64())
    }

    /// Waits for [`delay`](Self::delay).
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.delay()).await;
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        *self = Self::new(self.bounds.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_below_a_bound_that_doubles_up_to_the_maximum() {
        let [initial, max] = [500, 30_000].map(Duration::from_millis);
        for _ in 0..200 {
            let mut backoff = Backoff::new(initial..=max);
            for doubled in 0..12_u32 {
                let bound = (initial * 2_u32.pow(doubled)).min(max);
                assert!(backoff.delay() <= bound, "attempt {doubled}");
            }
            backoff.reset();
            assert!(backoff.delay() <= initial);
        }
    }

    #[test]
    fn an_initial_above_the_maximum_is_the_maximum() {
        let max = Duration::from_millis(10);
        let mut backoff = Backoff::new(Duration::from_secs(9)..=max);
        assert!((0..100).all(|_| backoff.delay() <= max));
    }

    #[test]
    fn waits_are_spread_over_their_whole_range() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second..=second);
        let waits: Vec<_> = (0..1000).map(|_| backoff.delay()).collect();
        assert!(waits.iter().any(|wait| *wait < second / 4));
        assert!(waits.iter().any(|wait| *wait > second * 3 / 4));
    }
}
