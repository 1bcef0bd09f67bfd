//! `INGEST_CONFIG`: every key, and the error for every wrong one; then which requests are admitted.

use std::{io::Write, path::Path, time::Duration};

use super::*;

const EVERY_KEY: &str = r#"
[[source]]
name = "bizcall"
timezone = "Asia/Seoul"
allow = ["210.109.108.0/24", "2001:db8::/32", "203.0.113.7"]
trusted_proxies = ["10.0.0.0/8", "::ffff:192.0.2.0/120"]
secret = "s3cret"
rate = 200
open = false
answered_by = "cause"
decode_twice = ["memo", "memo2"]

[[source]]
name = "other"
timezone = "America/New_York"
open = true
"#;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The only source of a file, with a name and these keys.
fn source(keys: &str) -> Source {
    let sources = Sources::parse(&format!("[[source]]\nname = \"x\"\n{keys}")).unwrap();
    sources.by_name.into_values().next().unwrap()
}

#[test]
fn every_key_is_read() {
    let sources = Sources::parse(EVERY_KEY).unwrap();
    let bizcall = sources.get("bizcall").unwrap();
    assert_eq!(&**bizcall.name(), "bizcall");
    assert_eq!(bizcall.timezone().iana_name(), Some("Asia/Seoul"));
    assert_eq!(bizcall.answered_by(), "cause");
    assert!(bizcall.encodes_twice("memo2") && !bizcall.encodes_twice("cause"));
    assert!(
        bizcall.trusts(ip("10.1.2.3")) && bizcall.trusts(ip("192.0.2.9")) && !bizcall.trusts(ip("11.0.0.1"))
    );
    let other = sources.get("other").unwrap();
    assert_eq!(other.timezone().iana_name(), Some("America/New_York"));
    assert_eq!(other.answered_by(), "swidt");
    assert!(!other.encodes_twice("memo"));
    assert!(sources.get("x").is_none());
}

#[test]
fn without_a_file_there_is_one_open_source() {
    let sources = Sources::read(None).unwrap();
    assert_eq!(sources.get("bizcall").unwrap().admit(None, None), Ok(()));
    assert_eq!(sources.by_name.len(), 1);
}

#[test]
fn every_error_is_one_line() {
    let rows = [
        ("", "source: there is no [[source]]; at least one is expected"),
        ("[[source]]\nopen = true", "name: is required: 1 to 64 of"),
        ("[[source]]\nname = \"a/b\"\nopen = true", "name: \"a/b\" is wrong: 1 to 64 of"),
        ("[[source]]\nname = \"..\"\nopen = true", "name: \"..\" is wrong"),
        ("[[source]]\nname = 7\nopen = true", "name: 7 is wrong: 1 to 64 of"),
        ("[[source]]\nname = \"x\"", "(x) one of allow, secret and open is required"),
        ("[[source]]\nname = \"x\"\nopen = false", "one of allow, secret and open is required"),
        ("[[source]]\nname = \"x\"\nopen = \"yes\"", "open: \"yes\" is wrong: true or false is expected"),
        (
            "[[source]]\nname = \"x\"\nopen = true\nallow = [\"10.0.0.0/8\"]",
            "open: true is wrong together with allow",
        ),
        ("[[source]]\nname = \"x\"\nallow = []", "allow: [] is wrong: a list of one or more networks"),
        ("[[source]]\nname = \"x\"\nallow = \"10.0.0.0/8\"", "allow: \"10.0.0.0/8\" is wrong: a list"),
        ("[[source]]\nname = \"x\"\nallow = [\"10.0.0.0/33\"]", "allow: [\"10.0.0.0/33\"] is wrong: a list"),
        (
            "[[source]]\nname = \"x\"\nopen = true\ntrusted_proxies = [\"lb\"]",
            "trusted_proxies: [\"lb\"] is wrong",
        ),
        (
            "[[source]]\nname = \"x\"\nopen = true\ntimezone = \"Asia/Soul\"",
            "timezone: \"Asia/Soul\" is wrong: an IANA",
        ),
        (
            "[[source]]\nname = \"x\"\nopen = true\nrate = 0",
            "rate: 0 is wrong: a whole number of requests a second",
        ),
        ("[[source]]\nname = \"x\"\nopen = true\nrate = 1.5", "rate: 1.5 is wrong"),
        (
            "[[source]]\nname = \"x\"\nopen = true\nanswered_by = \"\"",
            "answered_by: \"\" is wrong: a parameter's name",
        ),
        (
            "[[source]]\nname = \"x\"\nopen = true\ndecode_twice = \"memo\"",
            "decode_twice: \"memo\" is wrong: a list",
        ),
        (
            "[[source]]\nname = \"x\"\nopen = true\nratee = 5",
            "line 4: unknown field `ratee`, expected one of `name`",
        ),
        ("sources = 1", "line 1: unknown field `sources`, expected `source`"),
        ("[[source]]\nname = ", "line 2: "),
        (
            "[[source]]\nname = \"x\"\nopen = true\n[[source]]\nname = \"x\"\nopen = true",
            "name: more than one [[source]] has the name \"x\"",
        ),
    ];
    for (toml, sentence) in rows {
        let Err(error) = Sources::parse(toml) else { panic!("{toml} is accepted") };
        assert!(error.contains(sentence) && !error.contains('\n'), "{toml}\n{error}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for secret in ["12345678", "[\"12345678\"]", "\"12345678", "{ a = \"12345678\" }"] {
        let Err(error) = Sources::parse(&format!("[[source]]\nname = \"x\"\nsecret = {secret}")) else {
            panic!("{secret} is accepted")
        };
        assert!(!error.contains("12345678"), "{error}");
    }
    assert!(!format!("{:?}", source("secret = \"12345678\"")).contains("12345678"));
}

#[test]
fn an_error_names_the_file() {
    let error = Sources::read(Some(Path::new("/nowhere/sources.toml"))).unwrap_err();
    assert!(
        error.starts_with("INGEST_CONFIG (or --ingest-config): /nowhere/sources.toml: cannot be read: "),
        "{error}"
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[source]]\nname = \"x\"\n").unwrap();
    let error = Sources::read(Some(file.path())).unwrap_err();
    assert!(
        error.contains(file.path().to_str().unwrap()) && error.contains("[[source]] 1: (x) one of allow"),
        "{error}"
    );
}

#[test]
fn only_the_path_with_the_secret_is_admitted() {
    let guarded = source("secret = \"s3cret\"");
    assert_eq!(guarded.admit(Some("s3cret"), None), Ok(()));
    for wrong in [None, Some(""), Some("s3cre"), Some("s3crets"), Some("S3cret")] {
        assert_eq!(guarded.admit(wrong, None), Err(AdmissionError::Secret), "{wrong:?}");
    }
    assert_eq!(source("open = true").admit(Some("s3cret"), None), Err(AdmissionError::Secret));
}

#[test]
fn only_allowed_addresses_are_admitted() {
    let guarded = source("allow = [\"210.109.108.0/24\", \"2001:db8::7\"]");
    for allowed in ["210.109.108.9", "::ffff:210.109.108.9", "2001:db8::7"] {
        assert_eq!(guarded.admit(None, Some(ip(allowed))), Ok(()), "{allowed}");
    }
    for other in ["210.109.109.9", "2001:db8::8", "::210.109.108.9"] {
        assert_eq!(guarded.admit(None, Some(ip(other))), Err(AdmissionError::Address), "{other}");
    }
    assert_eq!(guarded.admit(None, None), Err(AdmissionError::Address));
}

#[test]
fn all_checks_apply_and_refused_clients_do_not_count_for_the_rate() {
    let guarded = source("allow = [\"10.0.0.1\"]\nsecret = \"s\"\nrate = 2");
    let (known, other) = (Some(ip("10.0.0.1")), Some(ip("10.0.0.2")));
    for _ in 0..5 {
        assert_eq!(guarded.admit(None, known), Err(AdmissionError::Secret));
        assert_eq!(guarded.admit(Some("s"), other), Err(AdmissionError::Address));
    }
    assert_eq!(guarded.admit(Some("s"), known), Ok(()));
    assert_eq!(guarded.admit(Some("s"), known), Ok(()));
    // Two a second are admitted: even on a slow machine there are three of these within some second.
    match (0..1_000).find_map(|_| guarded.admit(Some("s"), known).err()) {
        Some(AdmissionError::Rate(wait)) => assert!(wait <= Duration::from_millis(500), "{wait:?}"),
        other => panic!("{other:?}"),
    }
}
