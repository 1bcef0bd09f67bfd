//! Phone numbers, as callers and as called numbers.

#![no_main]

use ingest_svc::phone::{Called, Caller, PhoneNumber};
use libfuzzer_sys::fuzz_target;
use ringpad_fuzz::{masked::assert_masked, number::assert_accounted_for};

fuzz_target!(init: ringpad_fuzz::warm_up(), |text: &str| {
    let (caller, called) = (Caller::parse(text), Called::parse(text));
    assert_masked(&caller.to_string());
    assert_masked(&called.to_string());
    // A text may mean a withheld caller, but not a withheld called number; a caller's number is also a called number.
    if let Some(number) = caller.number() {
        check(number);
        assert_accounted_for(text, number);
        assert_eq!(called, Called::Number(number.clone()));
    }
    assert_eq!(Caller::parse(&format!("{text} \t")), caller, "white space behind it");
    if let (Caller::Unparsed(_), Called::Unparsed(raw)) = (&caller, &called) {
        assert_eq!(raw.raw(), text.trim(), "shown as it came");
    }

    let logged = serde_json::to_vec(&(&caller, &called)).expect("numbers can be written");
    let read: (Caller, Called) = serde_json::from_slice(&logged).expect("what was written can be read");
    assert_eq!(read, (caller, called));
});

fn check(number: &PhoneNumber) {
    let e164 = number.e164();
    assert!(is_e164(e164), "{e164}");
    assert!(!number.raw().contains('*'), "a masked number is none");
    let again = PhoneNumber::parse(e164);
    assert_eq!(again.as_ref().map(PhoneNumber::e164), Some(e164), "E.164 is read as itself");
    assert_eq!(
        PhoneNumber::parse(&number.display()).as_ref(),
        Some(number),
        "what a pad shows is read as the number"
    );
    assert!(number.to_string().contains('*') && format!("{number:?}").contains('*'));
    assert_ne!(number.to_string(), number.national());
}

fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}
