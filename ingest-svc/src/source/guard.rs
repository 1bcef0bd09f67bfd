//! Who may send for a source.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use ipnet::IpNet;
use ringpad_runtime::forwarded::contains;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionError {
    /// The secret is wrong or missing, or the source has none: for the sender there is no such source.
    Secret,
    /// The client address is not allowed, or not known.
    Address,
    /// Too many requests; another one may be admitted after this time.
    Rate(Duration),
}

/// The checks of one source; a check that is not set admits everybody.
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
        // As many together as in one second.
        let rate = rate.map(|rate| DefaultDirectRateLimiter::direct(Quota::per_second(rate)));
        Self { allow, trusted_proxies, secret, rate }
    }

    pub(super) fn trusted_proxies(&self) -> &[IpNet] {
        &self.trusted_proxies
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.trusted_proxies, address)
    }

    pub(super) fn admit(&self, secret: Option<&str>, client: Option<IpAddr>) -> Result<(), AdmissionError> {
        if !self.is_right_secret(secret) {
            return Err(AdmissionError::Secret);
        }
        if let Some(allow) = &self.allow
            && !client.is_some_and(|client| contains(allow, client))
        {
            return Err(AdmissionError::Address);
        }
        match self.rate.as_ref().map(DefaultDirectRateLimiter::check) {
            Some(Err(until)) => {
                Err(AdmissionError::Rate(until.wait_time_from(DefaultClock::default().now())))
            }
            _ => Ok(()),
        }
    }

    fn is_right_secret(&self, given: Option<&str>) -> bool {
        match (&self.secret, given) {
            (None, None) => true,
            // In constant time, so that its duration shows only the length.
            (Some(secret), Some(given)) => secret.expose_secret().as_bytes().ct_eq(given.as_bytes()).into(),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}
