//! Admission: allowed origins, pad tokens and request limits.

mod metrics;
pub(crate) mod origin;
mod revoked;
mod shares;
pub mod token;

use http::{HeaderMap, Uri};

pub(crate) use metrics::AdmissionMetrics;
use origin::AllowedOrigins;
use revoked::RevokedPads;
use shares::Shares;
pub(crate) use shares::{RequestPermit, Share, ShareExceeded, check};
use token::{Pad, PadTokens, SignFault, TokenFault};

use crate::capacity::RequestCapacity;

/// The rules of one replica.
pub(crate) struct Admission {
    tokens: PadTokens,
    origins: AllowedOrigins,
    revoked: RevokedPads,
    shares: Shares,
    metrics: AdmissionMetrics,
}

impl Admission {
    pub(crate) fn new(
        tokens: PadTokens,
        origins: AllowedOrigins,
        capacity: RequestCapacity,
        metrics: AdmissionMetrics,
    ) -> Self {
        Self { tokens, origins, revoked: RevokedPads::default(), shares: Shares::new(capacity), metrics }
    }

    /// Whether a request comes from an allowed page, or from a client that is not a browser.
    pub(crate) fn allows_page(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        self.origins.allow(uri, headers)
    }

    /// The pad that a token was made for.
    ///
    /// # Errors
    /// Says why the token is not valid.
    pub(crate) fn pad(&self, token: Result<&str, TokenFault>) -> Result<Pad, TokenFault> {
        let pad = self.tokens.verify(token)?;
        self.check(&pad)?;
        Ok(pad)
    }

    /// Whether the pad is not revoked, as far as is known.
    ///
    /// # Errors
    /// It is.
    pub(crate) fn check(&self, pad: &Pad) -> Result<(), TokenFault> {
        if self.revoked.has(&pad.id) { Err(TokenFault::Revoked) } else { Ok(()) }
    }

    /// Takes the pads that are revoked, in place of those that were. Returns the new ones.
    pub(crate) fn revoke(&self, pads: Vec<String>) -> Vec<Box<str>> {
        self.revoked.replace(pads)
    }

    /// A token for a pad.
    ///
    /// # Errors
    /// It could not be signed.
    pub(crate) fn sign(&self, pad: &Pad) -> Result<String, SignFault> {
        self.tokens.sign(pad)
    }

    /// Lets a pad make a single request, which counts as under way until the permit is dropped.
    ///
    /// # Errors
    /// The pad, or its store, has used up its share. This has been counted.
    pub(crate) fn permit(&self, pad: &Pad) -> Result<RequestPermit, ShareExceeded> {
        self.shares.permit(pad).inspect_err(|exceeded| self.metrics.turned_away(exceeded.share))
    }
}
