//! The claims of a pad token, which an adopter's own program signs, in any language.

#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use push_svc::admission::token::{TokenFault, claims};
use serde_json::{Map, Value};

/// The claims that are read, as a fault names them.
const CLAIMS: [&str; 7] = ["sub", "store", "name", "exp", "aud", "nbf", "iat"];

fuzz_target!(|text: &str| {
    let Ok(claimed) = serde_json::from_str::<Map<String, Value>>(text) else { return };
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    match claims::read(&claimed, now) {
        Ok(pad) => {
            assert!(!pad.id.is_empty() && !pad.store.is_empty(), "{pad:?}");
            assert!(now < pad.expires, "{pad:?}");
            // `exp` is the first instant at which the token is not valid (RFC 7519, section 4.1.4).
            assert_eq!(claims::read(&claimed, pad.expires), Err(TokenFault::Expired));
            unread_claims_decide_nothing(claimed, now);
        }
        Err(TokenFault::Claims(faults)) => says_only_which(&faults.to_string()),
        Err(TokenFault::Expired) => assert!(claimed.contains_key("exp")),
        Err(TokenFault::NotValidYet) => assert!(claimed.contains_key("nbf")),
        Err(other) => panic!("no fault of a claim: {other}"),
    }
});

fn unread_claims_decide_nothing(mut claimed: Map<String, Value>, now: SystemTime) {
    let read = claims::read(&claimed, now);
    claimed.retain(|claim, _| CLAIMS.contains(&claim.as_str()));
    assert_eq!(claims::read(&claimed, now), read);
}

/// The wrong claims and what was expected, each once; without their values.
fn says_only_which(said: &str) {
    let faults: Vec<&str> = said.split(", ").collect();
    assert!(!said.is_empty() && faults.len() <= CLAIMS.len(), "{said}");
    for fault in faults {
        let (claim, wrong) = fault.split_once(" is ").unwrap_or_else(|| panic!("{said}"));
        let expected = [
            "missing",
            "not a pad's id",
            "not a store's id",
            "not text",
            "not \"ringpad\"",
            "not seconds since 1970",
        ];
        assert!(CLAIMS.contains(&claim) && expected.contains(&wrong), "{said}");
    }
}
