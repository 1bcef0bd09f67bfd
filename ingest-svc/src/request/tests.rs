//! Parameters in all their encodings: character encodings, any JSON value, halves of characters.

mod numbers;

use encoding_rs::{BIG5, EUC_KR, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use proptest::{arbitrary::any as arbitrary, collection::vec, prelude::*};
use serde_json::json;

use super::*;
use crate::{
    cdr::{Field, RawFields},
    source::Sources,
};

const SOURCES: &str = r#"
[[source]]
name = "bizcall"
open = true
[[source]]
name = "twice"
open = true
decode_twice = ["memo"]
"#;

/// The parameters in a query and a body for `source`.
fn parameters(source: &str, query: &str, body: &RawBody) -> RawFields {
    let sources = Sources::parse(SOURCES).unwrap();
    let request = RawRequest { query: query.to_owned(), body: body.clone(), charset: None };
    request.parameters(sources.get(source).unwrap()).unwrap()
}

/// The parameters in a request that declares an encoding.
fn declared(charset: &'static Encoding, query: &str, body: RawBody) -> RawFields {
    let sources = Sources::parse(SOURCES).unwrap();
    let request = RawRequest { query: query.to_owned(), body, charset: Some(charset) };
    request.parameters(sources.get("bizcall").unwrap()).unwrap()
}

fn form(bytes: impl Into<Vec<u8>>) -> RawBody {
    RawBody::Form(bytes.into().into())
}

fn json(bytes: impl Into<Vec<u8>>) -> RawBody {
    RawBody::Json(bytes.into().into())
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn text_is_utf8_else_cp949() {
    // 세차 100%, and 똠, which is in CP949 and not in EUC-KR.
    for (encoded, memo) in [
        ("%EC%84%B8%EC%B0%A8+100%25", "세차 100%"),
        ("%BC%BC%C2%F7%20100%25", "세차 100%"),
        ("%8Cc", "똠"),
        ("a%zz%", "a%zz%"),
        ("%2B82", "+82"),
        ("a=b", "a=b"),
        ("%FF%FF", "\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(parameters("bizcall", &format!("memo={encoded}"), &RawBody::None).get("memo"), Some(memo));
        let form = RawBody::Form(format!("x&memo={encoded}&&seq=").into());
        let fields = parameters("bizcall", "", &form);
        assert_eq!((fields.get("memo"), fields.get("seq"), fields.get("x")), (Some(memo), None, None));
    }
    // Raw bytes, as old senders write them.
    let form = RawBody::Form(b"memo=\xbc\xbc\xc2\xf7"[..].into());
    assert_eq!(parameters("bizcall", "", &form).get("memo"), Some("세차"));
    let json = RawBody::Json(b"{\"memo\":\"\xbc\xbc\xc2\xf7\"}"[..].into());
    assert_eq!(parameters("bizcall", "", &json).get("memo"), Some("세차"));
}

#[test]
fn parameters_are_decoded_twice_only_if_the_source_is_set_so() {
    let twice = |bytes: &[u8]| {
        let once = percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        format!("memo={0}&memo2={0}", utf8_percent_encode(&once, NON_ALPHANUMERIC))
    };
    for bytes in ["50% 할인".as_bytes(), b"50% \xc7\xd2\xc0\xce"] {
        let fields = parameters("twice", &twice(bytes), &RawBody::None);
        assert_eq!(fields.get("memo"), Some("50% 할인"));
        assert!(fields.get("memo2").unwrap().starts_with("50%25%20%"));
    }
    assert_eq!(parameters("bizcall", "memo=50%2525", &RawBody::None).get("memo"), Some("50%25"));
}

#[test]
fn a_json_number_is_its_text() {
    let json = r#"{"seq":12345678901234567890123,"sdt":20261123142530,"memo":1.50,"memo2":-0,"cause":1e3,"x":true,"crid":null}"#;
    let fields = parameters("bizcall", "", &RawBody::Json(json.into()));
    let expected = [
        ("seq", Some("12345678901234567890123")),
        ("sdt", Some("20261123142530")),
        ("memo", Some("1.50")),
        ("memo2", Some("-0")),
        ("cause", Some("1e3")),
        ("x", Some("true")),
        ("crid", None),
    ];
    for (name, value) in expected {
        assert_eq!(fields.get(name), value, "{name}");
    }
}

#[test]
fn an_unknown_parameter_of_any_kind_is_kept_as_received() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for value in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.50",
        "1e400",
        "12345678901234567890123",
        "{}",
        "[]",
        r#"{"a":[1, {"b":null}],"a":"x"}"#,
        r#"[ "a", 1 ]"#,
        r#"[{"number":"01012345678"}]"#,
        &deep,
    ] {
        let fields = parameters("bizcall", "seq=1", &json(format!("{{\"x\":{value}}}")));
        assert_eq!(fields.get("x"), Some(value));
    }
    let fields = parameters("bizcall", "x=1&x=2&y=1&y=1", &json(r#"{"x":"3","x":[4],"y":1,"z":""}"#));
    assert_eq!((fields.get("x"), fields.get("y"), fields.get("z")), (Some("1, 2, 3, [4]"), Some("1"), None));
}

#[test]
fn null_and_empty_values_count_as_absent() {
    let all = Field::ALL.map(|field| field.name());
    for nothing in ["null", "\"\"", "{}", "[]", "{ }", "[\r\n]"] {
        let members = all.map(|name| format!("\"{name}\":{nothing}"));
        let fields = parameters("bizcall", "", &json(format!("{{{}}}", members.join(","))));
        assert!(all.iter().all(|name| fields.get(name).is_none()), "{nothing}");
    }
}

#[test]
fn half_of_a_surrogate_pair_becomes_one_replacement_character() {
    for (escaped, memo) in [
        (r"\ud83d", "\u{fffd}"),
        (r"\uDE00", "\u{fffd}"),
        (r"a\ud83db", "a\u{fffd}b"),
        (r"\ud83d\ude00", "😀"),
        (r"\uD83D\uDE00", "😀"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\n\ude00", "\u{fffd}\n\u{fffd}"),
        (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\u{fffd}"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"세차\ud83d", "세차\u{fffd}"),
    ] {
        let fields = parameters("bizcall", "", &json(format!("{{\"memo\":\"{escaped}\"}}")));
        assert_eq!(fields.get("memo"), Some(memo), "{escaped}");
        let fields = parameters("bizcall", "", &json(format!("{{\"{escaped}\":1}}")));
        assert_eq!(fields.get(memo), Some("1"), "{escaped}");
    }
    // A broken escape is a fault of the body.
    for broken in [r"\ud83", r"\u+123", r"\ud83g", r"\uD8é", "\\"] {
        let sources = Sources::parse(SOURCES).unwrap();
        let body = json(format!("{{\"memo\":\"{broken}\"}}"));
        let request = RawRequest { query: String::new(), body, charset: None };
        let faults = request.parameters(sources.get("bizcall").unwrap()).unwrap_err();
        assert_eq!(faults.0[0].field, "body", "{broken}");
    }
}

#[test]
fn a_declared_charset_is_used() {
    // Bytes that are text in UTF-8 as well, and other text.
    let both = EUC_KR.decode(b"\xc2\xa4\xc3\xa1").0.into_owned();
    assert_ne!(both, "¤á");
    for (charset, bytes, memo) in [
        (EUC_KR, &b"\xc2\xa4\xc3\xa1"[..], &*both),
        (UTF_8, b"\xc2\xa4\xc3\xa1", "¤á"),
        (SHIFT_JIS, b"\x90\xf4\x8e\xd4 \x83\x5c", "洗車 ソ"),
        (WINDOWS_1252, b"caf\xe9 \x80", "café €"),
        (GBK, b"\xcf\xb4\xb3\xb5", "洗车"),
        (BIG5, b"\xac\x7e\xa8\xae", "洗車"),
        (UTF_8, b"\xbc\xbc ok", "\u{fffd}\u{fffd} ok"),
        (EUC_KR, b"ok \xff", "ok \u{fffd}"),
    ] {
        let encoded = percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        let raw = [b"memo=", bytes].concat();
        // In JSON a byte with the value of a backslash belongs to its character.
        let in_json = [b"{\"memo\":\"", bytes, b"\"}"].concat();
        for fields in [
            declared(charset, &format!("memo={encoded}"), RawBody::None),
            declared(charset, "", form(format!("memo={encoded}"))),
            declared(charset, "", form(raw)),
            declared(charset, "", json(in_json)),
        ] {
            assert_eq!(fields.get("memo"), Some(memo), "{}", charset.name());
        }
    }
}

#[test]
fn without_a_charset_each_text_is_recognised_separately() {
    let cut = &"세차 예약".as_bytes()[.."세차 예약".len() - 1];
    for (bytes, memo) in [
        // UTF-8, cut within a character.
        (cut, "세차 예\u{fffd}"),
        // One byte wrong in UTF-8; CP949 would make all of it another text.
        (b"VIP \xec\x84\xb8\xec\xb0\xa8 \xff\xfe", "VIP 세차 \u{fffd}\u{fffd}"),
        // CP949, and the same cut.
        (b"\xbc\xbc\xc2\xf7", "세차"),
        (b"\xbc\xbc\xc2\xf7\xbf", "세차\u{fffd}"),
    ] {
        let whole = b"\xec\x84\xb8\xec\xb0\xa8";
        let encoded = percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        let body = [b"{\"memo\":\"", bytes, b"\",\"memo2\":\"\\\"", whole, b"\"}"].concat();
        for fields in [
            parameters("bizcall", &format!("memo={encoded}&memo2=\"세차"), &RawBody::None),
            parameters("bizcall", "", &form([b"memo=", bytes, b"&memo2=\"", whole].concat())),
            parameters("bizcall", "", &json(body)),
        ] {
            assert_eq!((fields.get("memo"), fields.get("memo2")), (Some(memo), Some("\"세차")));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in vec(arbitrary::<u8>(), 0..200), query in "[!-~]{0,60}") {
        let sources = Sources::parse(SOURCES).unwrap();
        for body in [RawBody::Form(bytes.clone().into()), RawBody::Json(bytes.into())] {
            let request = RawRequest { query: query.clone(), body, charset: None };
            for source in ["bizcall", "twice"] {
                let source = sources.get(source).unwrap();
                prop_assert!(request.record(source, Timestamp::UNIX_EPOCH).is_err());
                drop(request.masked(source));
            }
        }
    }

    #[test]
    fn every_number_is_masked_in_a_shown_request(
        number in "(010|02|031|0507)[-/_. –]?[0-9]{4}[-/_. –]?[0-9]{4}",
        name in "[a-z]{1,8}|fromn|vn|memo",
        encoded in arbitrary::<bool>(),
    ) {
        let sources = Sources::parse(SOURCES).unwrap();
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let form = match encoded {
            true => format!("{name}={}", percent_encode(number.as_bytes(), NON_ALPHANUMERIC)),
            false => format!("{name}={number}"),
        };
        let groups: Vec<_> = number.split(['-', '/', '_', '.', ' ', '–']).collect();
        let json = json!({ &name: number, "deep": groups }).to_string();
        let broken = json.trim_end_matches('}').to_owned();
        let bodies = [
            RawBody::None,
            RawBody::Form(form.clone().into()),
            RawBody::Json(json.into()),
            RawBody::Json(broken.clone().into()),
            RawBody::Unread(broken.into()),
        ];
        for body in bodies {
            let request = RawRequest { query: format!("{form}&{number}=1"), body, charset: None };
            let shown = request.masked(sources.get("bizcall").unwrap());
            let shown_digits: String = shown.chars().filter(|char| char.is_ascii_digit() || *char == '*').collect();
            prop_assert!(!shown_digits.contains(&digits), "{}", shown);
        }
    }

    #[test]
    fn an_encoded_text_is_decoded(memo in "\\PC{1,40}") {
        let query = format!("memo={}", utf8_percent_encode(&memo, NON_ALPHANUMERIC));
        let fields = parameters("bizcall", &query, &RawBody::None);
        prop_assert_eq!(fields.get("memo"), Some(&*memo));
        let json = RawBody::Json(json!({ "memo": memo }).to_string().into());
        let fields = parameters("bizcall", "", &json);
        prop_assert_eq!(fields.get("memo"), Some(&*memo));
    }

    /// Any UTF-16, escaped as JSON's grammar allows and most libraries do.
    #[test]
    fn any_escaped_code_units_are_text(units in vec(arbitrary::<u16>(), 0..40), plain in arbitrary::<bool>()) {
        let escaped: String = units.iter().map(|unit| match char::from_u32(u32::from(*unit)) {
            Some(char) if plain && char.is_alphabetic() => char.to_string(),
            _ => format!("\\u{unit:04x}"),
        }).collect();
        let fields = parameters("bizcall", "x=1", &json(format!("{{\"memo\":\"{escaped}\"}}")));
        let expected = String::from_utf16_lossy(&units);
        prop_assert_eq!(fields.get("memo").unwrap_or_default(), expected);
    }

    /// Correct JSON is not changed.
    #[test]
    fn correct_json_is_not_changed(memo in "\\PC{1,40}", name in "\\PC{1,10}", value in "[\\PC\n\"\\\\]{1,20}") {
        prop_assume!(Field::named(&name).is_none() && !name.starts_with('\u{feff}'));
        let body = json!({ "memo": &memo, &name: &value }).to_string();
        for bytes in [body.clone().into_bytes(), utf16(&body, u16::to_le_bytes), utf16(&body, u16::to_be_bytes)] {
            let fields = parameters("bizcall", "", &json(bytes));
            prop_assert_eq!((fields.get("memo"), fields.get(&name)), (Some(&*memo), Some(&*value)));
        }
    }
}
