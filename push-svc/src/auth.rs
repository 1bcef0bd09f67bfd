//! Pad tokens: JWTs signed with HS256. `sub` is the pad, `store` the one store it opens, `name` what people call the
//! pad, `aud` is `ringpad`. Without leeway: `exp` is the first second that it no longer opens anything.

mod hs256;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Whom tokens are for.
const AUDIENCE: &str = "ringpad";
/// Bytes of the shortest key that is let through: as many as HMAC-SHA256 gives.
const KEY_BYTES: usize = 32;

/// Who a pad is, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pad {
    /// The pad's id, unique within its store.
    pub id: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// The only store it sees.
    pub store: Arc<str>,
    /// When its token expires.
    pub expires: SystemTime,
}

/// Why a token opens nothing. Shows nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// There is none.
    #[error("a token is required")]
    Missing,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Not signed with our key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Made for something else.
    #[error("the token is not for ringpad")]
    Audience,
    /// Not a JWT signed with HS256 that has `sub`, `store`, `name`, `exp` and `aud`.
    #[error("not a pad token")]
    Form,
}

/// A key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Too short to be secret.
    #[error("{KEY_BYTES} bytes or more are expected")]
    TooShort,
}

/// The signature could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed")]
pub struct MintFault(#[source] jsonwebtoken::errors::Error);

/// Checks pad tokens and makes new ones.
#[derive(Clone)]
pub struct PadTokens {
    check: DecodingKey,
    sign: EncodingKey,
    validation: Validation,
}

impl fmt::Debug for PadTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PadTokens")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    store: String,
    name: String,
    exp: u64,
    aud: Audience,
}

/// RFC 7519 lets `aud` be one string or several.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl PadTokens {
    /// Tokens signed with `secret`.
    ///
    /// # Errors
    /// The key has under 32 bytes.
    pub fn new(secret: &SecretString) -> Result<Self, KeyFault> {
        let key = secret.expose_secret().as_bytes();
        if key.len() < KEY_BYTES {
            return Err(KeyFault::TooShort);
        }
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        // jsonwebtoken lets a token live through its last second; RFC 7519 does not ("on or after").
        validation.reject_tokens_expiring_in_less_than = 1;
        validation.validate_nbf = true;
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        Ok(Self { check: DecodingKey::from_secret(key), sign: EncodingKey::from_secret(key), validation })
    }

    /// Who the token is for.
    ///
    /// # Errors
    /// Says why the token opens nothing.
    pub fn verify(&self, token: &str) -> Result<Pad, TokenFault> {
        if token.is_empty() {
            return Err(TokenFault::Missing);
        }
        let claims = decode::<Claims>(token, &self.check, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenFault::Expired,
                ErrorKind::InvalidSignature => TokenFault::Signature,
                ErrorKind::InvalidAudience => TokenFault::Audience,
                _ => TokenFault::Form,
            })?
            .claims;
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp)).ok_or(TokenFault::Form)?;
        if claims.sub.is_empty() || claims.store.is_empty() {
            return Err(TokenFault::Form);
        }
        Ok(Pad { id: claims.sub.into(), name: claims.name.into(), store: claims.store.into(), expires })
    }

    /// A token for `pad`. Fractions of a second of `expires` are cut off.
    ///
    /// # Errors
    /// The signature could not be made.
    pub fn mint(&self, pad: &Pad) -> Result<String, MintFault> {
        let claims = Claims {
            sub: pad.id.to_string(),
            store: pad.store.to_string(),
            name: pad.name.to_string(),
            // A time before 1970 has expired, as has 0.
            exp: pad.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            aud: Audience::One(AUDIENCE.to_owned()),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(MintFault)
    }
}

/// The token in an `authorization` header's value.
///
/// # Errors
/// The scheme is not `Bearer`.
pub fn bearer(value: Option<&str>) -> Result<&str, TokenFault> {
    let (scheme, token) = value.and_then(|value| value.trim().split_once(' ')).ok_or(TokenFault::Missing)?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).ok_or(TokenFault::Missing)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn tokens() -> PadTokens {
        PadTokens::new(&SECRET.into()).unwrap()
    }

    fn pad(expires: SystemTime) -> Pad {
        Pad { id: "p1".into(), name: "Counter".into(), store: "gangnam".into(), expires }
    }

    fn seconds_from_now(seconds: i64) -> u64 {
        (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).checked_add_signed(seconds).unwrap()
    }

    fn signed(claims: &serde_json::Value) -> String {
        hs256::install();
        encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    }

    #[test]
    fn a_minted_token_opens_its_store() {
        let expires = UNIX_EPOCH + Duration::from_secs(seconds_from_now(60));
        let minted = tokens().mint(&pad(expires)).unwrap();
        assert_eq!(tokens().verify(&minted), Ok(pad(expires)));
    }

    #[test]
    fn there_is_no_leeway() {
        let expired = tokens().mint(&pad(SystemTime::now())).unwrap();
        assert_eq!(tokens().verify(&expired), Err(TokenFault::Expired));
    }

    #[test]
    fn another_key_or_algorithm_opens_nothing() {
        let other = PadTokens::new(&"ffffffffffffffffffffffffffffffff".into()).unwrap();
        let minted = other.mint(&pad(SystemTime::now() + Duration::from_secs(60))).unwrap();
        assert_eq!(tokens().verify(&minted), Err(TokenFault::Signature));
        let claims =
            json!({"sub": "p", "store": "s", "name": "n", "exp": seconds_from_now(60), "aud": "ringpad"});
        let signed = signed(&claims);
        assert!(tokens().verify(&signed).is_ok());
        let (_, body) = signed.split_once('.').unwrap();
        // {"alg":"HS384"}
        assert_eq!(tokens().verify(&format!("eyJhbGciOiJIUzM4NCJ9.{body}")), Err(TokenFault::Form));
        // {"alg":"none"}
        let (claims, _) = body.split_once('.').unwrap();
        assert_eq!(tokens().verify(&format!("eyJhbGciOiJub25lIn0.{claims}.")), Err(TokenFault::Form));
    }

    #[test]
    fn every_claim_is_required() {
        let whole = json!({"sub": "p", "store": "s", "name": "n", "exp": seconds_from_now(60), "aud": ["x", "ringpad"]});
        assert!(tokens().verify(&signed(&whole)).is_ok());
        for claim in ["sub", "store", "name", "exp", "aud"] {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(claim);
            assert!(tokens().verify(&signed(&less)).is_err(), "without {claim}");
        }
        let mut other = whole;
        other["aud"] = json!("elsewhere");
        assert_eq!(tokens().verify(&signed(&other)), Err(TokenFault::Audience));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert_eq!(PadTokens::new(&"short".into()).unwrap_err(), KeyFault::TooShort);
    }

    #[test]
    fn bearer_is_the_only_scheme() {
        assert_eq!(bearer(Some("Bearer abc")), Ok("abc"));
        assert_eq!(bearer(Some("bearer  abc ")), Ok("abc"));
        assert_eq!(bearer(Some("Basic abc")), Err(TokenFault::Missing));
        assert_eq!(bearer(None), Err(TokenFault::Missing));
    }
}
