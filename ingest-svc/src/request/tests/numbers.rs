//! Numbers as providers' systems put them into a query, a form and JSON.

use super::*;

/// Caller, virtual number and line of a record with these parameters.
fn numbers(query: &str, body: RawBody) -> [Option<String>; 3] {
    let sources = Sources::parse(SOURCES).unwrap();
    let request = RawRequest { query: format!("seq=1&sdt=20261123142530&{query}"), body, charset: None };
    let received_at = "2026-11-23T14:25:31+09:00".parse().unwrap();
    let cdr = request.record(sources.get("bizcall").unwrap(), received_at).unwrap().cdr;
    let called = |called: Option<&crate::phone::Called>| called.map(|called| called.canonical().to_owned());
    [cdr.caller().canonical().map(str::to_owned), called(cdr.vn()), called(cdr.ton())]
}

fn form(pairs: &str) -> RawBody {
    RawBody::Form(pairs.to_owned().into())
}

#[test]
fn a_plus_that_was_not_encoded_is_a_plus() {
    for (sent, e164) in [
        ("+14155550123", "+14155550123"),
        ("%2B14155550123", "+14155550123"),
        ("%252B14155550123", "+14155550123"),
        ("%EF%BC%8B14155550123", "+14155550123"),
        ("+1+415+555+0123", "+14155550123"),
        ("+44+(0)20+7946+0958", "+442079460958"),
        ("+821012345678", "+821012345678"),
        ("+82+10-1234-5678", "+821012345678"),
        ("+8250712345678", "+8250712345678"),
        ("(+82)10-1234-5678", "+821012345678"),
        ("tel:+821012345678", "+821012345678"),
        ("sip:+14155550123@203.0.113.7", "+14155550123"),
        // A real blank, of a sender that fills fields with blanks.
        ("+01012345678", "+821012345678"),
        ("++01012345678++", "+821012345678"),
    ] {
        let number = Some(e164.to_owned());
        let all = [number.clone(), number.clone(), number];
        let pairs = format!("fromn={sent}&vn={sent}&ton={sent}");
        assert_eq!(numbers(&pairs, RawBody::None), all, "in a query: {sent}");
        assert_eq!(numbers("", form(&pairs)), all, "in a form: {sent}");
    }
}

#[test]
fn a_json_number_is_a_number_and_a_blank_before_one_may_have_been_a_plus() {
    for (sent, expected) in [
        ("1023456789.0", "+821023456789"),
        ("1023456789", "+821023456789"),
        ("1.023456789E9", "+821023456789"),
        ("821023456789", "+821023456789"),
        ("1023456789.5", "1023456789.5"),
        ("-1012345678", "-1012345678"),
        ("14155550123", "14155550123"),
        (r#"" 14155550123""#, "+14155550123"),
        (r#"" 1012345678""#, "+821012345678"),
        (r#""\u2068010-1234-5678\u2069""#, "+821012345678"),
        (r#""02-555-0111(101)""#, "+8225550111"),
    ] {
        let expected = Some(expected.to_owned());
        let json = format!(r#"{{"fromn":{sent},"vn":{sent},"ton":{sent}}}"#);
        assert_eq!(
            numbers("", RawBody::Json(json.into())),
            [expected.clone(), expected.clone(), expected],
            "{sent}"
        );
    }
}
