//! Pad tokens: JWTs signed with HS256. `sub` is the pad, `store` the one store it opens, `name` what people call the
//! pad, `aud` is `ringpad`. Without leeway: `exp` is the first instant at which it no longer opens anything.

pub mod claims;
mod hs256;

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use ringpad_runtime::bearer;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

use claims::ClaimFaults;

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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// There is none.
    #[error("a token is required")]
    Missing,
    /// Not a JWT.
    #[error("the token is no JWT")]
    Form,
    /// Signed otherwise, or not at all.
    #[error("the token is not signed with HS256 (alg)")]
    Algorithm,
    /// It must not be used by who does not know an extension (RFC 7515, section 4.1.11), and we know none.
    #[error("the token has a crit header: no extension is known here")]
    Critical,
    /// Not signed with our key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Claims that are missing or wrong.
    #[error("the token is faulty: {0}")]
    Claims(ClaimFaults),
    /// Its time is over.
    #[error("the token has expired (exp)")]
    Expired,
    /// Its time has not come.
    #[error("the token does not begin yet (nbf)")]
    NotYet,
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

/// What a minted token claims.
#[derive(Serialize)]
struct Minted<'a> {
    sub: &'a str,
    store: &'a str,
    name: &'a str,
    exp: u64,
    aud: &'a str,
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
        // The signature alone: jsonwebtoken rounds times to whole seconds, and does not say all that is wrong.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Self { check: DecodingKey::from_secret(key), sign: EncodingKey::from_secret(key), validation })
    }

    /// Who the token is for. What opens nothing is logged at DEBUG, with the pad's id once the signature has vouched for
    /// it: anybody can cause it, as often as they like.
    ///
    /// # Errors
    /// Says why the token opens nothing.
    pub fn admit(&self, token: Result<&str, TokenFault>) -> Result<Pad, TokenFault> {
        let claims = token.and_then(|token| self.verified(token)).inspect_err(|fault| {
            tracing::debug!(%fault, "refused a token");
        })?;
        claims::read(&claims, SystemTime::now()).inspect_err(|fault| {
            tracing::debug!(pad = claims::pad_id(&claims), %fault, "refused a token");
        })
    }

    /// The claims of a token with our signature.
    fn verified(&self, token: &str) -> Result<Map<String, Value>, TokenFault> {
        if token.is_empty() {
            return Err(TokenFault::Missing);
        }
        let header = header(token).ok_or(TokenFault::Form)?;
        if header.get("alg").is_none_or(|algorithm| algorithm != "HS256") {
            return Err(TokenFault::Algorithm);
        }
        if header.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        let decoded = decode(token, &self.check, &self.validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenFault::Signature,
            _ => TokenFault::Form,
        })?;
        Ok(decoded.claims)
    }

    /// A token for `pad`. Fractions of a second of `expires` are cut off.
    ///
    /// # Errors
    /// The signature could not be made.
    pub fn mint(&self, pad: &Pad) -> Result<String, MintFault> {
        let claims = Minted {
            sub: &pad.id,
            store: &pad.store,
            name: &pad.name,
            // A time before 1970 has expired, as has 0.
            exp: pad.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            aud: AUDIENCE,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(MintFault)
    }
}

/// A JWT's header. jsonwebtoken's own type has a field for `crit`, which nobody looks at, and takes `null` for its absence.
fn header(token: &str) -> Option<Map<String, Value>> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// The token in an `authorization` header's value.
///
/// # Errors
/// The scheme is not `Bearer`, in any case.
pub fn token_in(authorization: Option<&[u8]>) -> Result<&str, TokenFault> {
    let token = authorization.and_then(bearer).ok_or(TokenFault::Missing)?;
    std::str::from_utf8(token).map_err(|_| TokenFault::Form)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

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

    /// A token with this header, claims that are right, and a signature that is, too.
    fn signed(header: &str) -> String {
        let claims =
            json!({"sub": "p", "store": "s", "name": "n", "exp": seconds_from_now(60), "aud": "ringpad"});
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}", part(header), part(&claims.to_string()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, text.as_bytes())))
    }

    #[test]
    fn a_minted_token_opens_its_store() {
        let expires = UNIX_EPOCH + Duration::from_secs(seconds_from_now(60));
        let minted = tokens().mint(&pad(expires)).unwrap();
        assert_eq!(tokens().admit(Ok(&minted)), Ok(pad(expires)));
    }

    #[test]
    fn there_is_no_leeway() {
        let expired = tokens().mint(&pad(SystemTime::now())).unwrap();
        assert_eq!(tokens().admit(Ok(&expired)), Err(TokenFault::Expired));
    }

    #[test]
    fn another_key_or_algorithm_opens_nothing() {
        let other = PadTokens::new(&"ffffffffffffffffffffffffffffffff".into()).unwrap();
        let minted = other.mint(&pad(SystemTime::now() + Duration::from_secs(60))).unwrap();
        assert_eq!(tokens().admit(Ok(&minted)), Err(TokenFault::Signature));
        assert!(tokens().admit(Ok(&signed(r#"{"alg":"HS256"}"#))).is_ok());
        for header in [r#"{"alg":"HS384"}"#, r#"{"alg":"none"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":7}"#, "{}"]
        {
            assert_eq!(tokens().admit(Ok(&signed(header))), Err(TokenFault::Algorithm), "{header}");
        }
        let (unsigned, _) = minted.rsplit_once('.').unwrap();
        assert_eq!(tokens().admit(Ok(&format!("{unsigned}."))), Err(TokenFault::Signature));
    }

    #[test]
    fn an_extension_that_must_be_understood_is_not() {
        for crit in [r#"["exp"]"#, r#"["b64"]"#, r#"["https://shop.example/x"]"#, "[]", "null", r#""exp""#] {
            let header = format!(r#"{{"alg":"HS256","crit":{crit},"b64":true,"exp":1}}"#);
            assert_eq!(tokens().admit(Ok(&signed(&header))), Err(TokenFault::Critical), "{crit}");
        }
        // What need not be understood is left alone.
        let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"2026","b64":false,"x":[null]}"#;
        assert!(tokens().admit(Ok(&signed(header))).is_ok());
    }

    #[test]
    fn what_is_no_jwt_opens_nothing() {
        assert_eq!(tokens().admit(Ok("")), Err(TokenFault::Missing));
        let whole = signed(r#"{"alg":"HS256"}"#);
        for text in
            ["hunter2", "a.b.c", "..", &whole.replacen('.', "", 1), &format!("{whole}.x"), &signed("[]")]
        {
            assert_eq!(tokens().admit(Ok(text)), Err(TokenFault::Form), "{text}");
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        assert_eq!(PadTokens::new(&"short".into()).unwrap_err(), KeyFault::TooShort);
    }

    #[test]
    fn bearer_is_the_only_scheme() {
        assert_eq!(token_in(Some(b"Bearer abc")), Ok("abc"));
        assert_eq!(token_in(Some(b"bearer  abc ")), Ok("abc"));
        assert_eq!(token_in(Some(b"Basic abc")), Err(TokenFault::Missing));
        assert_eq!(token_in(None), Err(TokenFault::Missing));
    }
}
