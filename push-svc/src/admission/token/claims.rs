//! Reads the claims of a pad token. All faults are reported together, and no fault repeats a value of the token.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Number, Value};

use super::fault::{ClaimFault, ClaimFaults, TokenFault};

/// The audience that a pad token is made for.
pub(super) const AUDIENCE: &str = "ringpad";

/// A pad, as its token describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pad {
    /// The pad's id, unique within its store: 1 to [`ID_BYTES`](Self::ID_BYTES) bytes.
    pub id: Arc<str>,
    /// The name that people use for it.
    pub name: Arc<str>,
    /// The only store whose calls it gets.
    pub store: Arc<str>,
    /// When its token expires.
    pub expires: SystemTime,
}

impl Pad {
    /// Bytes of the longest id: with a longer one ingest-svc refuses each action.
    pub const ID_BYTES: usize = 256;
}

/// The pad that the token describes, at the instant `now`. The signature has been verified.
///
/// # Errors
/// Says which claims are missing or wrong; if none is, that the token has expired or is not valid yet.
pub fn read(claims: &Map<String, Value>, now: SystemTime) -> Result<Pad, TokenFault> {
    let mut reader = Reader { claims, faults: Vec::new() };
    let id = reader.required("sub", PAD_ID, pad_id);
    let store = reader.required("store", "a store's id", named);
    let name = reader.required("name", "text", Value::as_str);
    let expires = reader.required("exp", SECONDS, time);
    reader.required("aud", "\"ringpad\"", |audience| is_for_us(audience).then_some(()));
    let valid_from = reader.optional("nbf", SECONDS, time);
    // The time at which it was made is not used, but it must be a time (RFC 7519, section 4.1.6).
    reader.optional("iat", SECONDS, time);
    let (Some(id), Some(store), Some(name), Some(expires), true) =
        (id, store, name, expires, reader.faults.is_empty())
    else {
        return Err(TokenFault::Claims(ClaimFaults::new(reader.faults)));
    };
    // "On or after" (RFC 7519, section 4.1.4), without leeway.
    if now >= expires {
        return Err(TokenFault::Expired);
    }
    if valid_from.is_some_and(|from| now < from) {
        return Err(TokenFault::NotValidYet);
    }
    Ok(Pad { id: id.into(), name: name.into(), store: store.into(), expires })
}

/// The value of `sub`, for a log line.
pub(super) fn subject(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("sub")?.as_str()
}

/// What is expected of `sub`.
const PAD_ID: &str = "a pad's id of 1 to 256 bytes";
/// What is expected of a claim that is a time.
const SECONDS: &str = "seconds since 1970";

struct Reader<'a> {
    claims: &'a Map<String, Value>,
    faults: Vec<(&'static str, ClaimFault)>,
}

impl<'a> Reader<'a> {
    fn required<T>(
        &mut self,
        claim: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        if !self.claims.contains_key(claim) {
            self.faults.push((claim, ClaimFault::Missing));
        }
        self.optional(claim, expected, read)
    }

    fn optional<T>(
        &mut self,
        claim: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = read(self.claims.get(claim)?);
        if value.is_none() {
            self.faults.push((claim, ClaimFault::Wrong(expected)));
        }
        value
    }
}

fn pad_id(value: &Value) -> Option<&str> {
    named(value).filter(|id| id.len() <= Pad::ID_BYTES)
}

fn named(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// RFC 7519 lets `aud` be one string or several.
fn is_for_us(audience: &Value) -> bool {
    match audience {
        Value::Array(several) => several.iter().any(|one| one == AUDIENCE),
        one => one == AUDIENCE,
    }
}

/// A NumericDate (RFC 7519, section 2): seconds since 1970, which may have a fraction.
fn time(value: &Value) -> Option<SystemTime> {
    let seconds = value.as_number()?;
    if let Some(whole) = seconds.as_u64() {
        return UNIX_EPOCH.checked_add(Duration::from_secs(whole));
    }
    let seconds = Number::as_f64(seconds)?;
    let distance = Duration::try_from_secs_f64(seconds.abs()).ok()?;
    if seconds < 0.0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_800_000_000_250)
    }

    fn claims(changes: &Value) -> Map<String, Value> {
        let whole = json!({"sub": "p", "store": "s", "name": "n", "exp": 1_800_000_001, "aud": "ringpad"});
        let mut claims = whole.as_object().unwrap().clone();
        for (claim, value) in changes.as_object().unwrap() {
            if value == "absent" {
                claims.remove(claim);
            } else {
                claims.insert(claim.clone(), value.clone());
            }
        }
        claims
    }

    fn outcome(changes: &Value) -> Result<SystemTime, String> {
        read(&claims(changes), now()).map(|pad| pad.expires).map_err(|fault| fault.to_string())
    }

    #[test]
    fn times_may_have_fractions() {
        let since_1970 = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(outcome(&json!({"exp": 1_800_000_000.5})), Ok(since_1970(1_800_000_000_500)));
        assert_eq!(outcome(&json!({"exp": 1.8000000005e9})), Ok(since_1970(1_800_000_000_500)));
        assert_eq!(outcome(&json!({"exp": 1_800_000_001.0})), Ok(since_1970(1_800_000_001_000)));
        for begun in [json!(1_800_000_000.25), json!(1_800_000_000), json!(-1.5), json!(0)] {
            assert!(outcome(&json!({"nbf": begun, "iat": 1_799_999_999.9})).is_ok(), "{begun}");
        }
    }

    #[test]
    fn there_is_no_leeway_not_even_within_a_second() {
        for expired in
            [json!(1_800_000_000.25), json!(1_800_000_000.249), json!(1_800_000_000), json!(-3), json!(0)]
        {
            assert_eq!(
                outcome(&json!({"exp": expired})),
                Err("the token has expired (exp)".to_owned()),
                "{expired}"
            );
        }
        for later in [json!(1_800_000_000.251), json!(1_800_000_001)] {
            assert_eq!(
                outcome(&json!({"nbf": later})),
                Err("the token is not valid yet (nbf)".to_owned()),
                "{later}"
            );
        }
        assert!(outcome(&json!({"exp": 1_800_000_000.251})).is_ok());
    }

    #[test]
    fn all_faults_are_reported_together_without_a_value() {
        let absent =
            json!({"sub": "absent", "store": "absent", "name": "absent", "exp": "absent", "aud": "absent"});
        assert_eq!(
            outcome(&absent),
            Err("the token is faulty: sub is missing, store is missing, name is missing, exp is missing, aud is missing"
                .to_owned())
        );
        let wrong = json!({"sub": "", "store": 7, "name": null, "exp": "hunter2", "aud": ["hunter2"], "nbf": [], "iat": {}});
        assert_eq!(
            outcome(&wrong),
            Err("the token is faulty: sub is not a pad's id of 1 to 256 bytes, store is not a store's id, name is not text, \
                 exp is not seconds since 1970, aud is not \"ringpad\", nbf is not seconds since 1970, \
                 iat is not seconds since 1970"
                .to_owned())
        );
    }

    #[test]
    fn a_pad_id_has_at_most_256_bytes() {
        assert!(outcome(&json!({"sub": "x".repeat(256)})).is_ok());
        // Bytes of UTF-8, not characters.
        for long in ["x".repeat(257), "가".repeat(86)] {
            let fault = "the token is faulty: sub is not a pad's id of 1 to 256 bytes".to_owned();
            assert_eq!(outcome(&json!({"sub": long})), Err(fault));
        }
    }

    #[test]
    fn an_audience_may_be_one_of_several() {
        assert!(outcome(&json!({"aud": ["elsewhere", "ringpad"]})).is_ok());
        for other in
            [json!("elsewhere"), json!([]), json!(["elsewhere"]), json!("Ringpad"), json!(["ringpad.x", 7])]
        {
            assert!(outcome(&json!({"aud": other})).is_err(), "{other}");
        }
    }

    #[test]
    fn times_that_no_clock_can_show_are_faults() {
        for never in [json!(u64::MAX), json!(1e300), json!(-1e300), json!(true), json!(null)] {
            for claim in ["exp", "nbf", "iat"] {
                assert!(outcome(&json!({claim: never})).unwrap_err().contains(claim), "{claim}: {never}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_token_is_valid_exactly_between_its_times(
            exp in -2e9..4e9_f64, nbf in proptest::option::of(-2e9..4e9_f64), millis in 0..4_000_000_000_000_u64,
        ) {
            let now = millis as f64 / 1000.0;
            prop_assume!((now - exp).abs() > 0.01 && nbf.is_none_or(|nbf| (now - nbf).abs() > 0.01));
            let mut claims = claims(&json!({"exp": exp}));
            claims.extend(nbf.map(|nbf| ("nbf".to_owned(), json!(nbf))));
            let open = read(&claims, UNIX_EPOCH + Duration::from_millis(millis)).is_ok();
            prop_assert_eq!(open, now < exp && nbf.is_none_or(|nbf| now >= nbf));
        }
    }
}
