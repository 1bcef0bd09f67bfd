//! Why a token is not valid.

use std::fmt;

/// Why a token is not valid. Nothing of the token is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The request has no token.
    #[error("a token is required")]
    Missing,
    /// Not a JWT.
    #[error("the token is not a JWT")]
    Form,
    /// Signed with another algorithm, or not at all.
    #[error("the token is not signed with HS256 (alg)")]
    Algorithm,
    /// It requires its reader to know an extension (RFC 7515, section 4.1.11), and we know none.
    #[error("the token has a crit header: no extension is supported")]
    Critical,
    /// Not signed with our key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Some claims are missing or wrong.
    #[error("the token is faulty: {0}")]
    Claims(ClaimFaults),
    /// It has expired.
    #[error("the token has expired (exp)")]
    Expired,
    /// Its pad was revoked.
    #[error("the pad was revoked")]
    Revoked,
    /// It is not valid yet.
    #[error("the token is not valid yet (nbf)")]
    NotValidYet,
}

/// What is wrong with a token's claims: at least one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimFaults(Vec<(&'static str, ClaimFault)>);

/// What is wrong with one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimFault {
    Missing,
    /// Says what is expected.
    Wrong(&'static str),
}

impl ClaimFaults {
    pub(super) fn new(faults: Vec<(&'static str, ClaimFault)>) -> Self {
        Self(faults)
    }
}

impl fmt::Display for ClaimFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (claim, fault)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match fault {
                ClaimFault::Missing => write!(f, "{claim} is missing")?,
                ClaimFault::Wrong(expected) => write!(f, "{claim} is not {expected}")?,
            }
        }
        Ok(())
    }
}
