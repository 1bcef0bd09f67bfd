//! Admission: allowed origins, pad tokens and request limits.

mod metrics;
pub(crate) mod origin;
mod shares;
pub mod token;

use http::{HeaderMap, Uri};

pub(crate) use metrics::AdmissionMetrics;
use origin::AllowedOrigins;
use shares::Shares;
pub(crate) use shares::{RequestPermit, Share, ShareExceeded};
use token::{Pad, PadTokens, TokenFault};

use crate::capacity::RequestCapacity;

/// The rules of one replica.
pub(crate) struct Admission {
    tokens: PadTokens,
    origins: AllowedOrigins,
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
        Self { tokens, origins, shares: Shares::new(capacity), metrics }
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
        self.tokens.verify(token)
    }

    /// Lets a pad make a single request, which counts as under way until the permit is dropped.
    ///
    /// # Errors
    /// The pad, or its store, has used up its share. This has been counted.
    pub(crate) fn permit(&self, pad: &Pad) -> Result<RequestPermit, ShareExceeded> {
        self.shares.permit(pad).inspect_err(|exceeded| self.metrics.turned_away(exceeded.share))
    }
}
