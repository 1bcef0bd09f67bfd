//! How often somebody has tried something lately.

use std::{hash::Hash, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota};

use crate::{admission::check, capacity::PairingCapacity};

/// The recent attempts of each address or store.
pub(super) struct Attempts<K: Clone + Hash + Eq> {
    limiter: DefaultKeyedRateLimiter<K>,
    pause: Duration,
    counted: usize,
}

impl<K: Clone + Hash + Eq> Attempts<K> {
    pub(super) fn new(PairingCapacity { attempts, pause, counted }: PairingCapacity) -> Self {
        // A pause of zero, for which there is no quota, is not in the capacity.
        let quota = Quota::with_period(pause).unwrap_or(Quota::per_minute(attempts));
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota.allow_burst(attempts)), pause, counted }
    }

    /// One more of `key`.
    ///
    /// # Errors
    /// After how long the next one is allowed.
    pub(super) fn add(&self, key: &K) -> Result<(), Duration> {
        if self.limiter.len() >= self.counted {
            self.limiter.retain_recent();
            if self.limiter.len() >= self.counted {
                return Err(self.pause);
            }
        }
        check(&self.limiter, key)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn each_has_its_attempts_and_only_so_many_are_counted() {
        let attempts = NonZeroU32::new(3).unwrap();
        let all = Attempts::new(PairingCapacity { attempts, pause: Duration::from_secs(60), counted: 2 });
        assert!((0..3).all(|_| all.add(&"a").is_ok()));
        let retry = all.add(&"a").unwrap_err();
        assert!((Duration::from_secs(50)..=Duration::from_secs(60)).contains(&retry), "{retry:?}");
        assert!(all.add(&"b").is_ok());
        assert_eq!(all.add(&"c"), Err(Duration::from_secs(60)));
        assert_eq!(all.limiter.len(), 2);
    }

    #[test]
    fn old_attempts_are_forgotten() {
        let attempts = NonZeroU32::new(1).unwrap();
        let all = Attempts::new(PairingCapacity { attempts, pause: Duration::from_millis(1), counted: 1 });
        assert!(all.add(&"a").is_ok());
        // It is forgotten once it could not be told from one that never tried.
        let began = std::time::Instant::now();
        while all.add(&"b").is_err() {
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
    }
}
