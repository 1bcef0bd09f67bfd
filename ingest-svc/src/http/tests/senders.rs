//! What people's systems really send: other character encodings, any JSON value, halves of characters.

use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};
use futures_util::{StreamExt, stream};
use ringpad_runtime::serve::InTime;

use super::*;
use crate::cdr::Field;

/// A record of which every sender here has a variant.
const JSON_RING: &str = r#"{"seq":"1","sdt":"20261123142530","fromn":"01012345678","vn":"050712345678"}"#;

/// What a body means that declares an encoding.
fn declared(charset: &'static Encoding, query: &str, body: RawBody) -> RawFields {
    let sources = Sources::parse(SOURCES).unwrap();
    let request = RawRequest { query: query.to_owned(), body, charset: Some(charset) };
    parameters::fields(sources.get("bizcall").unwrap(), &request).unwrap()
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

impl Edge {
    /// What is set aside, the newest first.
    pub(super) async fn set_aside(&self) -> Vec<Quarantined> {
        let kept = self.open.log.reader().newest_quarantined(u64::MAX >> 1, 100).await.unwrap();
        kept.into_iter().map(|(_, quarantined)| quarantined).collect()
    }
}

impl Answer {
    pub(super) fn is_taken(&self) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
    }
}

#[tokio::test]
async fn a_record_is_read_from_every_body_that_says_it() {
    let edge = Edge::open().await;
    let first = edge.get(&format!("/v1/cdr/bizcall?{RING}")).await;
    let mark = "\u{feff}";
    let (little, big) = (u16::to_le_bytes, u16::to_be_bytes);
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        (FORM, format!("{mark}{RING}").into()),
        (FORM, format!("%EF%BB%BF{RING}").into()),
        (FORM, format!("x&{mark}{RING}").into()),
        (FORM, format!("{RING}\r\n").into()),
        (FORM, format!("{RING}\n\0").into()),
        (FORM, utf16(&format!("{mark}{RING}"), little)),
        (FORM, utf16(&format!("{mark}{RING}"), big)),
        (FORM, utf16(RING, little)),
        (JSON, format!("{mark}{JSON_RING}").into()),
        (JSON, utf16(&format!("{mark}{JSON_RING}"), little)),
        (JSON, utf16(&format!("{mark}{JSON_RING}"), big)),
        (JSON, utf16(JSON_RING, little)),
        (JSON, utf16(JSON_RING, big)),
        (JSON, JSON_RING.replace("{\"", "{\"\u{feff}").into()),
        (JSON, JSON_RING.replace("{\"", "{\"\\ufeff").into()),
        (JSON, format!(" \r\n\t{JSON_RING}\r\n").into()),
        ("application/json; charset=utf-16", utf16(JSON_RING, little)),
        ("text/json", JSON_RING.into()),
        ("Application/JSON charset=utf-8", JSON_RING.into()),
        ("application/json, application/json", JSON_RING.into()),
        ("application/vnd.bizcall+json; charset=\"utf-8\"", JSON_RING.into()),
        ("application/x-www-form-urlencoded;charset=utf-16", RING.into()),
        // A library's default type, and none at all.
        (FORM, JSON_RING.into()),
        ("", JSON_RING.into()),
        ("", RING.into()),
    ];
    for (content_type, body) in bodies {
        let answer = edge.post("/v1/cdr/bizcall", content_type, body.clone()).await;
        let sent = body.escape_ascii();
        assert_eq!(answer.body["call_id"], first.body["call_id"], "{content_type} {sent}: {}", answer.body);
        // With an unknown parameter more, it would be another record.
        if !body.starts_with(b"x&") {
            assert_eq!(answer.body["status"], "duplicate", "{content_type} {sent}");
        }
    }
}

#[test]
fn an_unknown_parameter_is_kept_as_received_whatever_it_is() {
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
fn nothing_is_said_by_null_and_by_what_is_empty() {
    let all = Field::ALL.map(|field| field.name());
    for nothing in ["null", "\"\"", "{}", "[]", "{ }", "[\r\n]"] {
        let members = all.map(|name| format!("\"{name}\":{nothing}"));
        let fields = parameters("bizcall", "", &json(format!("{{{}}}", members.join(","))));
        assert!(all.iter().all(|name| fields.get(name).is_none()), "{nothing}");
    }
}

#[tokio::test]
async fn a_known_parameter_of_another_kind_costs_no_call_unless_it_says_which_call() {
    let edge = Edge::open().await;
    let odd = r#"{"seq":7,"sdt":20261123142530,"fromn":{"a":1},"vn":"050712345678","ton":[1,2],"memo":{"a":[1]},
        "memo2":true,"crid":["c"],"irid":{"i":2},"cause":16,"closed_from":false}"#;
    edge.post("/v1/cdr/bizcall", JSON, odd).await.is("accepted");
    let fields = parameters("bizcall", "", &json(odd));
    let kept = ["fromn", "memo", "memo2", "crid", "cause"].map(|name| fields.get(name).unwrap());
    assert_eq!(kept, [r#"{"a":1}"#, r#"{"a":[1]}"#, "true", r#"["c"]"#, "16"]);
    for name in ["seq", "sdt", "edt", "swidt"] {
        let answer = edge.post(&format!("/v1/cdr/bizcall?{RING}"), JSON, format!("{{\"{name}\":[1]}}")).await;
        assert_eq!(answer.is_problem(422).fields(), [name]);
    }
}

#[test]
fn half_of_a_surrogate_pair_costs_one_character() {
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
    // What is no escape stays a fault, and of the body only.
    for broken in [r"\ud83", r"\u+123", r"\ud83g", r"\uD8é", "\\"] {
        let sources = Sources::parse(SOURCES).unwrap();
        let body = json(format!("{{\"memo\":\"{broken}\"}}"));
        let request = RawRequest { query: String::new(), body, charset: None };
        let faults = parameters::fields(sources.get("bizcall").unwrap(), &request).unwrap_err();
        assert_eq!(faults.0[0].field, "body", "{broken}");
    }
}

#[test]
fn a_declared_charset_is_obeyed() {
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
        // In JSON a byte that stands for a backslash is a part of its character.
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

#[tokio::test]
async fn a_charset_has_many_names() {
    let headers = |content_type: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        content_type::charset(&headers)
    };
    for name in [
        "euc-kr",
        "EUC-KR",
        "ks_c_5601-1987",
        "cp949",
        "MS949",
        "x-windows-949",
        "windows-949",
        "uhc",
        "euckr",
    ] {
        assert_eq!(headers(&format!("{FORM}; charset={name}")), Some(EUC_KR), "{name}");
    }
    for (content_type, expected) in [
        ("application/json;charset=UTF8", Some(UTF_8)),
        ("application/json; CharSet=\"utf-8\"", Some(UTF_8)),
        ("application/json; a=b; charset = shift_jis ;c=d", None),
        ("application/json; a=b; charset=shift_jis;c=d", Some(SHIFT_JIS)),
        ("application/json charset='latin1'", Some(WINDOWS_1252)),
        (FORM, None),
        // None that is known, or that should be: as if it were not there.
        ("text/html; charset=klingon", None),
        ("text/html; charset=utf-7", None),
        ("text/html; charset=iso-2022-kr", None),
        ("text/html; charset=", None),
        ("charset=euc-kr", None),
    ] {
        assert_eq!(headers(content_type), expected, "{content_type}");
    }
    // Of the query too, with a body and without.
    let edge = Edge::open().await;
    for (method, body) in [(Method::GET, ""), (Method::POST, "x=1")] {
        let uri = format!("/v1/cdr/bizcall?seq={method}&sdt=never&memo=%C2%A4");
        let request = Request::builder().method(&method).uri(uri);
        let request = request.header(CONTENT_TYPE, format!("{FORM}; charset=cp949"));
        edge.send(request, body).await.is_problem(422);
        assert_eq!(edge.set_aside().await[0].request.charset, Some(EUC_KR), "as it is replayed");
    }
}

#[test]
fn without_a_charset_each_text_is_told_by_itself() {
    let cut = &"세차 예약".as_bytes()[.."세차 예약".len() - 1];
    for (bytes, memo) in [
        // UTF-8, cut behind so many bytes.
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

#[tokio::test]
async fn a_record_by_another_method_is_set_aside_and_can_be_replayed() {
    let edge = Edge::open().await;
    let sources = Sources::parse(SOURCES).unwrap();
    let send = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("/v1/cdr/{path}"));
        edge.send(request.header(CONTENT_TYPE, FORM), RING)
    };
    for (kept, method) in ["PUT", "PATCH", "DELETE", "Put"].into_iter().enumerate() {
        send(method, "bizcall").await.is_problem(405);
        let set_aside = edge.set_aside().await;
        assert_eq!(set_aside.len(), kept + 1, "{method}");
        let newest = &set_aside[0];
        assert_eq!(newest.faults[0].field, "method");
        let source = sources.get("bizcall").unwrap();
        assert!(read_record(source, &newest.request, newest.received_at).is_ok());
    }
    for (method, path) in [
        ("OPTIONS", "bizcall"),
        ("TRACE", "bizcall"),
        ("PUT", "nobody"),
        ("PUT", "secret/no"),
        ("PUT", "office"),
    ] {
        send(method, path).await.is_problem(405);
        assert_eq!(edge.set_aside().await.len(), 4, "{method} {path}");
    }
    for method in ["get", "Post"] {
        let request = Request::builder().method(method).uri(format!("/v1/cdr/bizcall?{RING}"));
        edge.send(request, Body::from(" \r\n")).await.is_taken();
    }
}

#[tokio::test]
async fn what_is_refused_is_set_aside_as_far_as_it_came() {
    let edge = Edge::open().await;
    let head = || Request::post("/v1/cdr/bizcall?seq=1&memo=%B0%AD").header(CONTENT_TYPE, FORM);
    let broken = stream::iter([Ok("vn=1"), Ok("&fromn=2"), Err(std::io::Error::other("gone"))]);
    let silent = stream::iter([Ok::<_, std::io::Error>("vn=1&fromn=2")]).chain(stream::pending());
    let long = "a".repeat(MAX_BYTES + 1);
    edge.send(head(), Body::from_stream(broken)).await.is_problem(400);
    let silent = InTime::new(Body::from_stream(silent), Duration::from_millis(50));
    edge.send(head(), Body::new(silent)).await.is_problem(408);
    edge.send(head(), long.clone()).await.is_problem(413);
    edge.post("/v1/cdr/bizcall?seq=1&memo=%B0%AD", "application/xml", "<vn>1</vn>").await.is_problem(415);
    let kept = edge.set_aside().await;
    let expected = ["<vn>1</vn>", &long[..MAX_BYTES], "vn=1&fromn=2", "vn=1&fromn=2"];
    assert_eq!(kept.len(), expected.len());
    for (kept, body) in kept.into_iter().zip(expected) {
        assert!(kept.request.body == RawBody::Unread(body.to_owned().into()), "{:?}", kept.faults);
        assert_eq!(kept.request.query, "seq=1&memo=%B0%AD");
        assert_eq!(kept.faults[0].field, "body");
    }
    // Its number is masked where people see it, and its type named.
    edge.post("/v1/cdr/bizcall", "text/01012345678", "call 010-1234-5678").await.is_problem(415);
    let kept = &edge.set_aside().await[0];
    let sources = Sources::parse(SOURCES).unwrap();
    let shown = masked(sources.get("bizcall").unwrap(), &kept.request);
    assert!(!format!("{shown} {:?}", kept.faults).contains("1234"), "{shown} {:?}", kept.faults);
}

proptest! {
    /// Any UTF-16, escaped: what JSON's grammar allows and most libraries write.
    #[test]
    fn any_code_units_are_text(units in vec(arbitrary::<u16>(), 0..40), plain in arbitrary::<bool>()) {
        let escaped: String = units.iter().map(|unit| match char::from_u32(u32::from(*unit)) {
            Some(char) if plain && char.is_alphabetic() => char.to_string(),
            _ => format!("\\u{unit:04x}"),
        }).collect();
        let fields = parameters("bizcall", "x=1", &json(format!("{{\"memo\":\"{escaped}\"}}")));
        let expected = String::from_utf16_lossy(&units);
        prop_assert_eq!(fields.get("memo").unwrap_or_default(), expected);
    }

    /// What is text by the book is read as such.
    #[test]
    fn json_by_the_book_is_left_alone(memo in "\\PC{1,40}", name in "\\PC{1,10}", value in "[\\PC\n\"\\\\]{1,20}") {
        prop_assume!(Field::named(&name).is_none() && !name.starts_with('\u{feff}'));
        let body = json!({ "memo": &memo, &name: &value }).to_string();
        for bytes in [body.clone().into_bytes(), utf16(&body, u16::to_le_bytes), utf16(&body, u16::to_be_bytes)] {
            let fields = parameters("bizcall", "", &json(bytes));
            prop_assert_eq!((fields.get("memo"), fields.get(&name)), (Some(&*memo), Some(&*value)));
        }
    }
}
