//! The first message of a WebSocket pad, which any client of push-svc may send.

#![no_main]

use libfuzzer_sys::fuzz_target;
use push_svc::first_message::FirstMessage;
use serde_json::json;

fuzz_target!(|text: &str| {
    match FirstMessage::parse(text) {
        Ok(first) => check(&first),
        // One of a few sentences, without any part of the message, which has the token.
        Err(said) => {
            assert!(said.len() < 120 && said.ends_with("expected") | said.ends_with("strings"), "{said}")
        }
    }
});

fn check(first: &FirstMessage) {
    let request = &first.request;
    // As the pad page writes it: 64-bit numbers as strings, absent members as null.
    let position = request.after_position.map(|position| position.to_string());
    let again = json!({
        "token": first.token,
        "afterPosition": position,
        "epoch": request.epoch,
        "session": request.session,
        "of a newer pad": [],
    });
    let again = FirstMessage::parse(&again.to_string()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((&again.token, &again.request), (&first.token, request));
}
