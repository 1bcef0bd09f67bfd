//! How many connections each address has on a port, and requests through one of our proxies.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::forwarded::owner;

/// The connections and requests of all addresses.
#[derive(Debug, Clone)]
pub(super) struct AddressShares {
    bound: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection or request of an address, until it is dropped.
#[derive(Debug)]
pub(super) struct AddressShare {
    address: IpAddr,
    of: AddressShares,
}

impl AddressShares {
    /// None yet; each address may have `bound` at the same time.
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, taken: Arc::default() }
    }

    /// One more for `address`, unless it has as many as it may have.
    pub(super) fn take(&self, address: IpAddr) -> Option<AddressShare> {
        let address = owner(address);
        let mut taken = self.lock();
        let count = taken.entry(address).or_default();
        if *count >= self.bound {
            return None;
        }
        *count += 1;
        Some(AddressShare { address, of: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing in here panics between two changes that belong together.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressShare {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn take(shares: &AddressShares, address: &str) -> Option<AddressShare> {
        shares.take(address.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_no_more_until_one_is_dropped() {
        let shares = AddressShares::new(2);
        let first = take(&shares, "203.0.113.9");
        let second = take(&shares, "::ffff:203.0.113.9");
        assert!(first.is_some() && second.is_some());
        assert!(take(&shares, "203.0.113.9").is_none());
        assert!(take(&shares, "203.0.113.10").is_some(), "another one has its own");
        drop(first);
        assert!(take(&shares, "203.0.113.9").is_some());
        drop(second);
        assert!(shares.lock().is_empty(), "an address without a share is forgotten");
    }

    #[test]
    fn over_ipv6_a_network_of_64_bits_is_one_client() {
        let shares = AddressShares::new(1);
        let _first = take(&shares, "2001:db8:0:1::1").unwrap();
        assert!(take(&shares, "2001:db8:0:1:ffff::2").is_none());
        assert!(take(&shares, "2001:db8:0:2::1").is_some());
    }
}
