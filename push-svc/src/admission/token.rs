//! Pad tokens: JWTs signed with HS256. `sub` is the pad's id, `store` the one store whose calls it gets, `name` the pad's
//! name for people, `aud` is `ringpad`. There is no leeway: at the instant `exp` the token is no longer valid.

pub mod claims;
mod fault;
mod hs256;

use std::{
    fmt,
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

use claims::AUDIENCE;
pub use claims::Pad;
pub use fault::{ClaimFaults, TokenFault};

/// Bytes of the shortest key that is accepted: the length of an HMAC-SHA256.
const KEY_BYTES: usize = 32;

/// A key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Too short to be secret.
    #[error("{KEY_BYTES} bytes or more are expected")]
    TooShort,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed")]
pub struct SignFault(#[source] jsonwebtoken::errors::Error);

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

/// The claims of a new token.
#[derive(Serialize)]
struct SignedClaims<'a> {
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
        // Only the signature: jsonwebtoken rounds times to whole seconds, and reports only the first fault.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Self { check: DecodingKey::from_secret(key), sign: EncodingKey::from_secret(key), validation })
    }

    /// The pad that the token was made for. A token that is not valid is logged at DEBUG only, since anybody can send one at
    /// any rate; with the pad's id if the signature is right.
    ///
    /// # Errors
    /// Says why the token is not valid.
    pub fn verify(&self, token: Result<&str, TokenFault>) -> Result<Pad, TokenFault> {
        let claims = token.and_then(|token| self.signed_claims(token)).inspect_err(|fault| {
            tracing::debug!(%fault, "refused a token");
        })?;
        claims::read(&claims, SystemTime::now()).inspect_err(|fault| {
            tracing::debug!(pad = claims::subject(&claims), %fault, "refused a token");
        })
    }

    /// The claims of a token with our signature.
    fn signed_claims(&self, token: &str) -> Result<Map<String, Value>, TokenFault> {
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

    /// A new token for `pad`. Fractions of a second of `expires` are cut off.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn sign(&self, pad: &Pad) -> Result<String, SignFault> {
        let claims = SignedClaims {
            sub: &pad.id,
            store: &pad.store,
            name: &pad.name,
            // A time before 1970 has expired, as has 0.
            exp: pad.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            aud: AUDIENCE,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(SignFault)
    }
}

/// A JWT's header. jsonwebtoken's own type has a field for `crit`, but does not check it, and takes `null` as absent.
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

    /// A token with this header, valid claims and a valid signature.
    fn signed(header: &str) -> String {
        let claims =
            json!({"sub": "p", "store": "s", "name": "n", "exp": seconds_from_now(60), "aud": "ringpad"});
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}", part(header), part(&claims.to_string()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, text.as_bytes())))
    }

    #[test]
    fn a_new_token_is_valid_for_its_store() {
        let expires = UNIX_EPOCH + Duration::from_secs(seconds_from_now(60));
        let minted = tokens().sign(&pad(expires)).unwrap();
        assert_eq!(tokens().verify(Ok(&minted)), Ok(pad(expires)));
    }

    #[test]
    fn there_is_no_leeway() {
        let expired = tokens().sign(&pad(SystemTime::now())).unwrap();
        assert_eq!(tokens().verify(Ok(&expired)), Err(TokenFault::Expired));
    }

    #[test]
    fn a_token_with_another_key_or_algorithm_is_refused() {
        let other = PadTokens::new(&"ffffffffffffffffffffffffffffffff".into()).unwrap();
        let minted = other.sign(&pad(SystemTime::now() + Duration::from_secs(60))).unwrap();
        assert_eq!(tokens().verify(Ok(&minted)), Err(TokenFault::Signature));
        assert!(tokens().verify(Ok(&signed(r#"{"alg":"HS256"}"#))).is_ok());
        for header in [r#"{"alg":"HS384"}"#, r#"{"alg":"none"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":7}"#, "{}"]
        {
            assert_eq!(tokens().verify(Ok(&signed(header))), Err(TokenFault::Algorithm), "{header}");
        }
        let (unsigned, _) = minted.rsplit_once('.').unwrap();
        assert_eq!(tokens().verify(Ok(&format!("{unsigned}."))), Err(TokenFault::Signature));
    }

    #[test]
    fn a_critical_extension_is_refused() {
        for crit in [r#"["exp"]"#, r#"["b64"]"#, r#"["https://shop.example/x"]"#, "[]", "null", r#""exp""#] {
            let header = format!(r#"{{"alg":"HS256","crit":{crit},"b64":true,"exp":1}}"#);
            assert_eq!(tokens().verify(Ok(&signed(&header))), Err(TokenFault::Critical), "{crit}");
        }
        // Other header fields are ignored.
        let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"2026","b64":false,"x":[null]}"#;
        assert!(tokens().verify(Ok(&signed(header))).is_ok());
    }

    #[test]
    fn text_that_is_not_a_jwt_is_refused() {
        assert_eq!(tokens().verify(Ok("")), Err(TokenFault::Missing));
        let whole = signed(r#"{"alg":"HS256"}"#);
        for text in
            ["hunter2", "a.b.c", "..", &whole.replacen('.', "", 1), &format!("{whole}.x"), &signed("[]")]
        {
            assert_eq!(tokens().verify(Ok(text)), Err(TokenFault::Form), "{text}");
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
