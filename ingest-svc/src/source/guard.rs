//! Who may send in a source's name.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use ipnet::IpNet;
use ringpad_runtime::forwarded::contains;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The secret is wrong, missing, or one where there is none: for the sender there is no such source.
    Secret,
    /// The client's address is not allowed, or cannot be told.
    Address,
    /// Too many requests; the next has a chance after this time.
    Rate(Duration),
}

/// The guards of one source; those that are not set let everybody in.
#[derive(Debug, Default)]
pub(super) struct Guard {
    allow: Option<Vec<IpNet>>,
    trusted_proxies: Vec<IpNet>,
    secret: Option<SecretString>,
    rate: Option<DefaultDirectRateLimiter>,
}

impl Guard {
    pub(super) fn new(
        allow: Option<Vec<IpNet>>,
        trusted_proxies: Vec<IpNet>,
        secret: Option<SecretString>,
        rate: Option<NonZeroU32>,
    ) -> Self {
        // As many at once as a second allows.
        let rate = rate.map(|rate| DefaultDirectRateLimiter::direct(Quota::per_second(rate)));
        Self { allow, trusted_proxies, secret, rate }
    }

    pub(super) fn trusted_proxies(&self) -> &[IpNet] {
        &self.trusted_proxies
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.trusted_proxies, address)
    }

    pub(super) fn admit(&self, secret: Option<&str>, client: Option<IpAddr>) -> Result<(), Refusal> {
        if !self.opens(secret) {
            return Err(Refusal::Secret);
        }
        if let Some(allow) = &self.allow
            && !client.is_some_and(|client| contains(allow, client))
        {
            return Err(Refusal::Address);
        }
        match self.rate.as_ref().map(DefaultDirectRateLimiter::check) {
            Some(Err(until)) => Err(Refusal::Rate(until.wait_time_from(DefaultClock::default().now()))),
            _ => Ok(()),
        }
    }

    fn opens(&self, given: Option<&str>) -> bool {
        match (&self.secret, given) {
            (None, None) => true,
            // Takes as long for a nearly right one as for a wholly wrong one; only the length can be told.
            (Some(secret), Some(given)) => secret.expose_secret().as_bytes().ct_eq(given.as_bytes()).into(),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}
