//! Pad tokens, signed independently of the product's code.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde::Serialize;
use tonic::Request;

use crate::{secrets::TOKEN_SECRET, wait::must};

/// The claims of a token.
#[derive(Debug, Clone, Serialize)]
pub struct Claims {
    /// The pad.
    pub sub: String,
    /// The store that it is for.
    pub store: String,
    /// The pad's name for people.
    pub name: String,
    /// Its end, in seconds since 1970.
    pub exp: u64,
    /// Its audience.
    pub aud: String,
}

impl Claims {
    /// A pad's claims on `store` for the next hour.
    pub fn new(store: &str, pad: &str) -> Self {
        let name = format!("{pad} 태블릿");
        Self {
            sub: pad.to_owned(),
            store: store.to_owned(),
            name,
            exp: in_seconds(3600),
            aud: "ringpad".to_owned(),
        }
    }

    /// The same claims, valid for `time` from now.
    ///
    /// # Panics
    /// The clock is before 1970.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.exp = in_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        self
    }

    /// A token that is signed with the tests' key.
    pub fn token(&self) -> String {
        self.signed_with(TOKEN_SECRET)
    }

    /// A token that is signed with any key.
    ///
    /// # Panics
    /// They cannot be signed.
    pub fn signed_with(&self, secret: &str) -> String {
        let claims = serde_json::to_vec(self).expect("claims can be written");
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes()).as_ref()))
    }
}

/// A pad's gRPC request.
///
/// # Panics
/// The token is not a header's value.
pub fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = must("a header", format!("Bearer {token}").parse());
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// `seconds` from now (negative: ago), in seconds since 1970.
///
/// # Panics
/// The clock is before 1970.
pub fn in_seconds(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    now.checked_add_signed(seconds).expect("a time after 1970")
}
