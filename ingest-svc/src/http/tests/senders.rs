//! Requests as providers' systems really send them.

use encoding_rs::{EUC_KR, SHIFT_JIS, UTF_8, WINDOWS_1252};
use futures_util::{StreamExt, stream};
use ringpad_runtime::serve::InTime;

use super::*;

/// The record that every sender here sends in its own form.
const JSON_RING: &str = r#"{"seq":"1","sdt":"20261123142530","fromn":"01012345678","vn":"050712345678"}"#;

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

impl Edge {
    /// The quarantined requests, the newest first.
    pub(super) async fn quarantined(&self) -> Vec<Quarantined> {
        let kept = self.open.log.reader().newest_quarantined(u64::MAX >> 1, 100).await.unwrap();
        kept.into_iter().map(|(_, request)| request).collect()
    }
}

impl Answer {
    pub(super) fn is_taken(&self) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
    }
}

#[tokio::test]
async fn a_record_is_read_from_bodies_in_every_form() {
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
        // A library's default type, and no type.
        (FORM, JSON_RING.into()),
        ("", JSON_RING.into()),
        ("", RING.into()),
    ];
    for (content_type, body) in bodies {
        let answer = edge.post("/v1/cdr/bizcall", content_type, body.clone()).await;
        let sent = body.escape_ascii();
        assert_eq!(answer.body["call_id"], first.body["call_id"], "{content_type} {sent}: {}", answer.body);
        // With one more parameter it is another record.
        if !body.starts_with(b"x&") {
            assert_eq!(answer.body["status"], "duplicate", "{content_type} {sent}");
        }
    }
}

#[tokio::test]
async fn a_known_parameter_of_another_kind_is_refused_only_if_it_identifies_the_call() {
    let edge = Edge::open().await;
    let odd = r#"{"seq":7,"sdt":20261123142530,"fromn":{"a":1},"vn":"050712345678","ton":[1,2],"memo":{"a":[1]},
        "memo2":true,"crid":["c"],"irid":{"i":2},"cause":16,"closed_from":false}"#;
    edge.post("/v1/cdr/bizcall", JSON, odd).await.is("accepted");
    let request = RawRequest { query: String::new(), body: RawBody::Json(odd.into()), charset: None };
    let fields = request.parameters(Sources::parse(SOURCES).unwrap().get("bizcall").unwrap()).unwrap();
    let kept = ["fromn", "memo", "memo2", "crid", "cause"].map(|name| fields.get(name).unwrap());
    assert_eq!(kept, [r#"{"a":1}"#, r#"{"a":[1]}"#, "true", r#"["c"]"#, "16"]);
    for name in ["seq", "sdt", "edt", "swidt"] {
        let answer = edge.post(&format!("/v1/cdr/bizcall?{RING}"), JSON, format!("{{\"{name}\":[1]}}")).await;
        assert_eq!(answer.is_problem(422).fields(), [name]);
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
        // Unknown or not allowed: as if it were absent.
        ("text/html; charset=klingon", None),
        ("text/html; charset=utf-7", None),
        ("text/html; charset=iso-2022-kr", None),
        ("text/html; charset=", None),
        ("charset=euc-kr", None),
    ] {
        assert_eq!(headers(content_type), expected, "{content_type}");
    }
    // It applies to the query too, with a body and without.
    let edge = Edge::open().await;
    for (method, body) in [(Method::GET, ""), (Method::POST, "x=1")] {
        let uri = format!("/v1/cdr/bizcall?seq={method}&sdt=never&memo=%C2%A4");
        let request = Request::builder().method(&method).uri(uri);
        let request = request.header(CONTENT_TYPE, format!("{FORM}; charset=cp949"));
        edge.send(request, body).await.is_problem(422);
        assert_eq!(edge.quarantined().await[0].request.charset, Some(EUC_KR), "as it is replayed");
    }
}

#[tokio::test]
async fn a_record_with_another_method_is_quarantined_and_can_be_replayed() {
    let edge = Edge::open().await;
    let sources = Sources::parse(SOURCES).unwrap();
    let send = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("/v1/cdr/{path}"));
        edge.send(request.header(CONTENT_TYPE, FORM), RING)
    };
    for (kept, method) in ["PUT", "PATCH", "DELETE", "Put"].into_iter().enumerate() {
        send(method, "bizcall").await.is_problem(405);
        let quarantined = edge.quarantined().await;
        assert_eq!(quarantined.len(), kept + 1, "{method}");
        let newest = &quarantined[0];
        assert_eq!(newest.faults[0].field, "method");
        let source = sources.get("bizcall").unwrap();
        assert!(newest.request.record(source, newest.received_at).is_ok());
    }
    for (method, path) in [
        ("OPTIONS", "bizcall"),
        ("TRACE", "bizcall"),
        ("PUT", "nobody"),
        ("PUT", "secret/no"),
        ("PUT", "office"),
    ] {
        send(method, path).await.is_problem(405);
        assert_eq!(edge.quarantined().await.len(), 4, "{method} {path}");
    }
    for method in ["get", "Post"] {
        let request = Request::builder().method(method).uri(format!("/v1/cdr/bizcall?{RING}"));
        edge.send(request, Body::from(" \r\n")).await.is_taken();
    }
}

#[tokio::test]
async fn a_refused_body_is_quarantined_as_far_as_it_was_received() {
    let edge = Edge::open().await;
    let head = || Request::post("/v1/cdr/bizcall?seq=1&memo=%B0%AD").header(CONTENT_TYPE, FORM);
    let broken = stream::iter([Ok("vn=1"), Ok("&fromn=2"), Err(std::io::Error::other("gone"))]);
    let silent = stream::iter([Ok::<_, std::io::Error>("vn=1&fromn=2")]).chain(stream::pending());
    let long = "a".repeat(RECORD.request_bytes + 1);
    edge.send(head(), Body::from_stream(broken)).await.is_problem(400);
    let silent = InTime::new(Body::from_stream(silent), Duration::from_millis(50));
    edge.send(head(), Body::new(silent)).await.is_problem(408);
    edge.send(head(), long.clone()).await.is_problem(413);
    edge.post("/v1/cdr/bizcall?seq=1&memo=%B0%AD", "application/xml", "<vn>1</vn>").await.is_problem(415);
    let kept = edge.quarantined().await;
    let expected = ["<vn>1</vn>", &long[..RECORD.request_bytes], "vn=1&fromn=2", "vn=1&fromn=2"];
    assert_eq!(kept.len(), expected.len());
    for (kept, body) in kept.into_iter().zip(expected) {
        assert!(kept.request.body == RawBody::Unread(body.to_owned().into()), "{:?}", kept.faults);
        assert_eq!(kept.request.query, "seq=1&memo=%B0%AD");
        assert_eq!(kept.faults[0].field, "body");
    }
    // When it is shown, its number is masked and its type is named.
    edge.post("/v1/cdr/bizcall", "text/01012345678", "call 010-1234-5678").await.is_problem(415);
    let kept = &edge.quarantined().await[0];
    let sources = Sources::parse(SOURCES).unwrap();
    let shown = kept.request.masked(sources.get("bizcall").unwrap());
    assert!(!format!("{shown} {:?}", kept.faults).contains("1234"), "{shown} {:?}", kept.faults);
}
