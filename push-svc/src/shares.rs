//! How often a pad may ask, and a store with all of its pads: so that a tablet which asks without end costs its own shop
//! something, and nobody else. For single requests; streams have bounds of their own.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::auth::Pad;

/// Requests of one pad that are being answered at the same time, at most.
const AT_ONCE: usize = 4;
/// Requests of one pad a second, and how many it may have saved up: a page that opens lists a day in many pages.
const PAD: (NonZeroU32, NonZeroU32) = (NonZeroU32::new(5).unwrap(), NonZeroU32::new(40).unwrap());
/// The same for all pads of a store: 200 of them may open their pages at the same time.
const STORE: (NonZeroU32, NonZeroU32) = (NonZeroU32::new(50).unwrap(), NonZeroU32::new(1_000).unwrap());
/// When a pad may ask again whose other requests are still being answered.
const BUSY: Duration = Duration::from_millis(500);
/// Requests after which those are forgotten who have not asked for a while.
const FORGET: u32 = 1_024;

/// What pads have asked lately. Only holders of tokens that we have signed have an entry.
pub(crate) struct Shares {
    pads: DefaultKeyedRateLimiter<Who>,
    stores: DefaultKeyedRateLimiter<Arc<str>>,
    under_way: Arc<Mutex<HashMap<Who, usize>>>,
    admitted: AtomicU32,
}

/// A store, and one of its pads.
type Who = (Arc<str>, Arc<str>);

/// A pad asks too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch {
    /// Whose share is used up.
    pub whose: Whose,
    /// When it is worth another try.
    pub retry_after: Duration,
}

/// Whose share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Its requests that are being answered.
    PadAtOnce,
    /// Its own rate.
    Pad,
    /// The rate of its store.
    Store,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Admitted {
    under_way: Arc<Mutex<HashMap<Who, usize>>>,
    who: Who,
}

impl Default for Shares {
    fn default() -> Self {
        let quota = |(rate, most)| Quota::per_second(rate).allow_burst(most);
        Self {
            pads: DefaultKeyedRateLimiter::keyed(quota(PAD)),
            stores: DefaultKeyedRateLimiter::keyed(quota(STORE)),
            under_way: Arc::default(),
            admitted: AtomicU32::new(0),
        }
    }
}

impl Shares {
    /// Lets a request in, and counts it until the answer is dropped.
    ///
    /// # Errors
    /// The pad, or its store, asks too much.
    pub(crate) fn admit(&self, pad: &Pad) -> Result<Admitted, TooMuch> {
        let who = (pad.store.clone(), pad.id.clone());
        let admitted = self.begin(&who).ok_or(TooMuch { whose: Whose::PadAtOnce, retry_after: BUSY })?;
        let too_much = |whose| move |retry_after| TooMuch { whose, retry_after };
        checked(&self.pads, &who).map_err(too_much(Whose::Pad))?;
        checked(&self.stores, &pad.store).map_err(too_much(Whose::Store))?;
        if self.admitted.fetch_add(1, Ordering::Relaxed) % FORGET == FORGET - 1 {
            self.pads.retain_recent();
            self.stores.retain_recent();
        }
        Ok(admitted)
    }

    fn begin(&self, who: &Who) -> Option<Admitted> {
        let mut under_way = locked(&self.under_way);
        let count = under_way.entry(who.clone()).or_default();
        (*count < AT_ONCE).then(|| {
            *count += 1;
            Admitted { under_way: self.under_way.clone(), who: who.clone() }
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut under_way = locked(&self.under_way);
        if let Some(count) = under_way.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.who);
            }
        }
    }
}

/// # Errors
/// In how long there is room again.
fn checked<K: Clone + std::hash::Hash + Eq>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), Duration> {
    limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
}

fn locked(under_way: &Mutex<HashMap<Who, usize>>) -> MutexGuard<'_, HashMap<Who, usize>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn pad(store: &str, id: &str) -> Pad {
        Pad { id: id.into(), name: id.into(), store: store.into(), expires: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn a_pad_has_few_requests_under_way_and_another_pad_its_own() {
        let shares = Shares::default();
        let flood: Vec<_> = (0..AT_ONCE).map(|_| shares.admit(&pad("a", "1"))).collect();
        assert!(flood.iter().all(Result::is_ok));
        let refused = shares.admit(&pad("a", "1")).err();
        assert_eq!(refused, Some(TooMuch { whose: Whose::PadAtOnce, retry_after: BUSY }));
        assert!(shares.admit(&pad("a", "2")).is_ok() && shares.admit(&pad("b", "1")).is_ok());
        drop(flood);
        assert!(shares.admit(&pad("a", "1")).is_ok());
        assert!(locked(&shares.under_way).is_empty(), "nothing is kept of what has been answered");
    }

    #[test]
    fn a_pad_has_a_rate_and_all_pads_of_a_store_have_one() {
        let shares = Shares::default();
        let flood = |store: &str, id: &str| {
            let mut passed = 0;
            loop {
                match shares.admit(&pad(store, id)) {
                    Ok(_) => passed += 1,
                    Err(TooMuch { whose, retry_after }) => {
                        assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
                        break (whose, passed);
                    }
                }
            }
        };
        let (whose, passed) = flood("a", "1");
        assert!(whose == Whose::Pad && passed >= PAD.1.get(), "{whose:?} after {passed}");
        let mut all = passed;
        for number in 2.. {
            let (whose, passed) = flood("a", &number.to_string());
            all += passed;
            if whose == Whose::Store {
                break;
            }
            assert!(number < 1_000, "a store with so many pads has no bound");
        }
        assert!(all >= STORE.1.get(), "{all}");
        assert!(shares.admit(&pad("b", "1")).is_ok(), "another store has its own");
    }
}
