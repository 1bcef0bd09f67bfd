//! How many single requests a pad may make, and all pads of a store together: a tablet that sends requests without end slows
//! down its own store and no other. Streams have limits of their own.

use std::{
    collections::HashMap,
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

use super::token::Pad;
use crate::capacity::{Rate, RequestCapacity};

/// When a pad that has too many requests under way may try again.
const BUSY: Duration = Duration::from_millis(500);
/// After so many requests, pads and stores that have not sent one lately are forgotten.
const FORGET_AFTER: u32 = 1_024;

/// The recent requests of each pad and store. Only a pad with a valid token has an entry.
pub(crate) struct Shares {
    concurrent: usize,
    pads: DefaultKeyedRateLimiter<PadKey>,
    stores: DefaultKeyedRateLimiter<Arc<str>>,
    under_way: Arc<Mutex<HashMap<PadKey, usize>>>,
    permitted: AtomicU32,
}

/// A store, and one of its pads.
type PadKey = (Arc<str>, Arc<str>);

/// A pad, or its store, has used up its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShareExceeded {
    /// Which one.
    pub share: Share,
    /// When another try may succeed.
    pub retry_after: Duration,
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// The requests of a pad that are under way.
    PadConcurrency,
    /// The rate of a pad.
    PadRate,
    /// The rate of a store.
    StoreRate,
}

/// One request is under way while this is kept.
#[derive(Debug)]
pub(crate) struct RequestPermit {
    under_way: Arc<Mutex<HashMap<PadKey, usize>>>,
    pad: PadKey,
}

impl Shares {
    pub(super) fn new(capacity: RequestCapacity) -> Self {
        let quota = |Rate { per_second, burst }| Quota::per_second(per_second).allow_burst(burst);
        Self {
            concurrent: capacity.concurrent,
            pads: DefaultKeyedRateLimiter::keyed(quota(capacity.pad)),
            stores: DefaultKeyedRateLimiter::keyed(quota(capacity.store)),
            under_way: Arc::default(),
            permitted: AtomicU32::new(0),
        }
    }

    /// Lets a request in, which is under way until the permit is dropped.
    ///
    /// # Errors
    /// The pad, or its store, has used up its share.
    pub(super) fn permit(&self, pad: &Pad) -> Result<RequestPermit, ShareExceeded> {
        let key = (pad.store.clone(), pad.id.clone());
        let permit =
            self.begin(&key).ok_or(ShareExceeded { share: Share::PadConcurrency, retry_after: BUSY })?;
        let exceeded = |share| move |retry_after| ShareExceeded { share, retry_after };
        check(&self.pads, &key).map_err(exceeded(Share::PadRate))?;
        check(&self.stores, &pad.store).map_err(exceeded(Share::StoreRate))?;
        if self.permitted.fetch_add(1, Ordering::Relaxed) % FORGET_AFTER == FORGET_AFTER - 1 {
            self.pads.retain_recent();
            self.stores.retain_recent();
        }
        Ok(permit)
    }

    fn begin(&self, key: &PadKey) -> Option<RequestPermit> {
        let mut under_way = lock(&self.under_way);
        let count = under_way.entry(key.clone()).or_default();
        (*count < self.concurrent).then(|| {
            *count += 1;
            RequestPermit { under_way: self.under_way.clone(), pad: key.clone() }
        })
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        if let Some(count) = under_way.get_mut(&self.pad) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.pad);
            }
        }
    }
}

/// Takes one from what `key` has saved up.
///
/// # Errors
/// After how long the next request is allowed.
pub(crate) fn check<K: Clone + std::hash::Hash + Eq>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), Duration> {
    limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
}

fn lock(under_way: &Mutex<HashMap<PadKey, usize>>) -> MutexGuard<'_, HashMap<PadKey, usize>> {
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
    fn each_pad_may_have_a_few_requests_under_way() {
        let shares = Shares::new(RequestCapacity::default());
        let flood: Vec<_> =
            (0..RequestCapacity::default().concurrent).map(|_| shares.permit(&pad("a", "1"))).collect();
        assert!(flood.iter().all(Result::is_ok));
        let refused = shares.permit(&pad("a", "1")).err();
        assert_eq!(refused, Some(ShareExceeded { share: Share::PadConcurrency, retry_after: BUSY }));
        assert!(shares.permit(&pad("a", "2")).is_ok() && shares.permit(&pad("b", "1")).is_ok());
        drop(flood);
        assert!(shares.permit(&pad("a", "1")).is_ok());
        assert!(lock(&shares.under_way).is_empty(), "an answered request leaves nothing behind");
    }

    #[test]
    fn a_pad_has_a_rate_and_so_has_its_store() {
        let shares = Shares::new(RequestCapacity::default());
        let flood = |store: &str, id: &str| {
            let mut passed = 0;
            loop {
                match shares.permit(&pad(store, id)) {
                    Ok(_) => passed += 1,
                    Err(ShareExceeded { share, retry_after }) => {
                        assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
                        break (share, passed);
                    }
                }
            }
        };
        let (share, passed) = flood("a", "1");
        assert!(
            share == Share::PadRate && passed >= RequestCapacity::default().pad.burst.get(),
            "{share:?} after {passed}"
        );
        let mut all = passed;
        for number in 2.. {
            let (share, passed) = flood("a", &number.to_string());
            all += passed;
            if share == Share::StoreRate {
                break;
            }
            assert!(number < 1_000, "the store has no limit");
        }
        assert!(all >= RequestCapacity::default().store.burst.get(), "{all}");
        assert!(shares.permit(&pad("b", "1")).is_ok(), "another store is not affected");
    }
}
