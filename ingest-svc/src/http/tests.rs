//! Every answer of the edge, over a real log.

mod compressed;
mod openapi;
mod senders;

use std::{net::IpAddr, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prometheus_client::registry::Registry;
use proptest::{arbitrary::any as arbitrary, collection::vec, prelude::*};
use ringpad_runtime::{admin, readiness::Readiness};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::{
    capacity::{HttpCapacity, RECORD},
    log::{Database, OpenLog, OtherProgram, try_open},
    phone::PhoneNumber,
    source::Sources,
    store::{Moving, NumberKind, OwnedNumber, StoreEntry},
};

const SOURCES: &str = r#"
[[source]]
name = "bizcall"
open = true
[[source]]
name = "twice"
open = true
decode_twice = ["memo"]
[[source]]
name = "secret"
secret = "s3cret/%"
[[source]]
name = "office"
allow = ["210.109.108.0/24"]
trusted_proxies = ["10.0.0.0/8"]
[[source]]
name = "slow"
open = true
rate = 1
"#;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const RING: &str = "seq=1&sdt=20261123142530&fromn=01012345678&vn=050712345678";

struct Edge {
    router: Router,
    directory: TempDir,
    open: OpenLog,
    readiness: Readiness,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Edge {
    /// An edge on a log of its own, with a store on 0507-1234-5678.
    async fn open() -> Self {
        Self::of(SOURCES).await
    }

    /// The same with other sources.
    async fn of(sources: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let open = try_open(&Database::Sqlite(directory.path().join("log.db"))).await.unwrap();
        let number = PhoneNumber::parse("0507-1234-5678").unwrap();
        let number = OwnedNumber::new(NumberKind::VirtualNumber, &number);
        let store =
            StoreEntry { id: "gangnam".to_owned(), name: "강남점".to_owned(), numbers: vec![number] };
        open.log.upsert_store(store, Moving::Refused).await.unwrap();
        let sources = Arc::new(Sources::parse(sources).unwrap());
        let shared = Shared { sources, log: open.log.clone(), traces: <_>::default() };
        let (metrics, readiness) = (HttpMetrics::new(&mut Registry::default()), Readiness::default());
        Self { router: router(shared, metrics, admin::health(readiness.clone())), directory, open, readiness }
    }

    async fn send(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{body:?} is JSON"));
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri), Body::empty()).await
    }

    async fn post(&self, uri: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(uri).header(CONTENT_TYPE, content_type), body).await
    }
}

impl Answer {
    fn is_problem(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(
            !self.body["title"].as_str().unwrap().is_empty()
                && !self.body["detail"].as_str().unwrap().is_empty()
        );
        self
    }

    fn is(&self, status: &str) -> &Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.headers[CONTENT_TYPE], JSON);
        assert_eq!(self.body["status"], status);
        assert!(uuid::Uuid::parse_str(self.body["call_id"].as_str().unwrap()).is_ok());
        assert_eq!(self.body.as_object().unwrap().len(), 2);
        self
    }

    fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_record_is_accepted_by_every_encoding_and_then_is_a_duplicate() {
    let edge = Edge::open().await;
    let first = edge.get(&format!("/v1/cdr/bizcall?{RING}")).await;
    let again = [
        edge.get(&format!("/v1/cdr/bizcall?{RING}")).await,
        edge.send(Request::post(format!("/v1/cdr/bizcall?{RING}")), Body::empty()).await,
        edge.post("/v1/cdr/bizcall", FORM, RING).await,
        edge.post("/v1/cdr/bizcall", "Application/X-WWW-Form-Urlencoded; charset=EUC-KR", RING).await,
        edge.post("/v1/cdr/bizcall?seq=1&memo=", FORM, "sdt=20261123142530&fromn=01012345678&vn=050712345678").await,
        edge.post(
            "/v1/cdr/bizcall",
            "application/json; charset=utf-8",
            r#"{"seq":1,"sdt":20261123142530,"fromn":"010-1234-5678","vn":"0507-1234-5678","memo":null,"ton":""}"#,
        )
        .await,
    ];
    first.is("accepted");
    for answer in again {
        assert_eq!(answer.is("duplicate").body["call_id"], first.body["call_id"]);
    }
    edge.get("/v1/cdr/bizcall?seq=2&sdt=20261123142530&vn=050799999999").await.is("unrouted");
    // With unreadable numbers the call is accepted too.
    edge.get("/v1/cdr/bizcall?seq=3&sdt=20261123142530&fromn=***&vn=%EA%B0%80").await.is("unrouted");
}

#[tokio::test]
async fn all_faults_of_a_request_are_reported() {
    let edge = Edge::open().await;
    let answer = edge.get("/v1/cdr/bizcall?sdt=01012345678&edt=x&memo=a&memo=b").await;
    assert_eq!(answer.is_problem(422).fields(), ["seq", "sdt", "edt", "vn", "memo"]);
    assert_eq!(
        answer.body["errors"][1],
        json!({"field": "sdt", "message": "\"010****5678\" is not YYYYMMDDHH24MISS, e.g. 20261123142530"})
    );
    let answer = edge.post("/v1/cdr/bizcall", JSON, r#"{"seq":["1"],"sdt":{"a":1},"edt":{},"vn":1}"#).await;
    assert_eq!(answer.is_problem(422).fields(), ["seq", "sdt", "seq", "sdt"]);
    for body in ["[]", "{\"seq\":", "null", "\"seq\"", "{}{}", "{\"a\" 1}", "\u{1}", "{\"seq\":01}"] {
        let answer = edge.post(&format!("/v1/cdr/bizcall?{RING}"), JSON, body).await;
        assert_eq!(answer.is_problem(422).fields(), ["body"], "{body}");
    }
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    edge.post("/v1/cdr/bizcall", JSON, deep.clone()).await.is_problem(422);
    let open = "[".repeat(60_000);
    edge.post("/v1/cdr/bizcall", JSON, format!("{{\"a\":{open}}}")).await.is_problem(422);
    // A list of faults is bounded.
    let many: Vec<_> = (0..1_000).map(|number| format!("memo={number}")).collect();
    assert!(edge.post("/v1/cdr/bizcall", FORM, many.join("&")).await.is_problem(422).fields().len() < 30);
}

#[tokio::test]
async fn only_the_right_path_finds_a_source() {
    let edge = Edge::open().await;
    for path in [
        "/",
        "/v1/cdr",
        "/v1/cdr/",
        "/v1/cdr/nobody",
        "/v1/cdr/Bizcall",
        "/v1/cdr/bizcall/",
        "/v1/cdr/bizcall/s3cret",
        "/v1/cdr/secret",
        "/v1/cdr/secret/wrong",
        "/v1/cdr/secret/s3cret",
        "/v1/cdr/secret/s3cret%2F%25/more",
        "/v1/cdr/%FF",
    ] {
        let answer = edge.get(&format!("{path}?{RING}")).await;
        assert!(!answer.is_problem(404).body.to_string().contains("s3cret"), "{path}");
    }
    edge.get(&format!("/v1/cdr/secret/s3cret%2F%25?{RING}")).await.is("accepted");
}

#[tokio::test]
async fn only_get_and_post_are_accepted() {
    let edge = Edge::open().await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let request = Request::builder().method(method).uri(format!("/v1/cdr/bizcall?{RING}"));
        let answer = edge.send(request, Body::empty()).await;
        assert_eq!(answer.is_problem(405).headers[header::ALLOW], "GET, POST");
    }
    let head = Request::head(format!("/v1/cdr/bizcall?{RING}")).body(Body::empty()).unwrap();
    assert_eq!(edge.router.clone().oneshot(head).await.unwrap().status(), 405);
    edge.get(&format!("/v1/cdr/bizcall?{RING}")).await.is("accepted");
}

#[tokio::test]
async fn only_allowed_addresses_are_admitted_also_with_forged_headers() {
    let edge = Edge::open().await;
    let from = |peer: Option<&str>, forwarded: &[&str]| {
        let mut request = Request::get(format!("/v1/cdr/office?{RING}"));
        for entry in forwarded {
            request = request.header("X-Forwarded-For", *entry);
        }
        match peer.map(|peer| peer.parse::<IpAddr>().unwrap()) {
            Some(peer) => request.extension(ConnectInfo(SocketAddr::from((peer, 40_000)))),
            None => request,
        }
    };
    for (peer, forwarded) in [
        (None, &[][..]),
        (Some("203.0.113.9"), &[][..]),
        (Some("203.0.113.9"), &["210.109.108.7"]),
        (Some("10.0.0.1"), &[]),
        (Some("10.0.0.1"), &["210.109.108.7, 203.0.113.9"]),
        (Some("10.0.0.1"), &["210.109.108.7", "203.0.113.9"]),
        (Some("10.0.0.1"), &["210.109.108.7, garbage"]),
        (Some("10.0.0.1"), &["210.109.108.7.evil.example"]),
    ] {
        edge.send(from(peer, forwarded), Body::empty()).await.is_problem(403);
    }
    edge.send(from(Some("210.109.108.7"), &[]), Body::empty()).await.is("accepted");
    edge.send(from(Some("10.0.0.1"), &["6.6.6.6, 210.109.108.7:443, 10.0.0.2"]), Body::empty())
        .await
        .is("duplicate");
}

#[tokio::test]
async fn size_type_and_rate_are_limited() {
    let edge = Edge::open().await;
    let memo = |bytes: usize| format!("{RING}&memo={}", "a".repeat(bytes - RING.len() - "&memo=".len()));
    edge.post("/v1/cdr/bizcall", FORM, memo(RECORD.request_bytes)).await.is("accepted");
    edge.post("/v1/cdr/bizcall", FORM, memo(RECORD.request_bytes + 1)).await.is_problem(413);
    // Of unknown length.
    let chunks = vec![Ok::<_, std::io::Error>(memo(RECORD.request_bytes)), Ok("a".to_owned())];
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    edge.post("/v1/cdr/bizcall", FORM, body).await.is_problem(413);
    for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/jsonp", "text/xml"] {
        edge.post("/v1/cdr/bizcall", content_type, RING).await.is_problem(415);
    }
    edge.send(Request::post("/v1/cdr/bizcall"), "<seq>1</seq>").await.is_problem(415);

    edge.get(&format!("/v1/cdr/slow?{RING}")).await.is("accepted");
    let mut refused = edge.get(&format!("/v1/cdr/slow?{RING}")).await;
    // One a second is admitted: even on a slow machine there are two of these within some second.
    for _ in 0..100 {
        if refused.status == StatusCode::OK {
            refused = edge.get(&format!("/v1/cdr/slow?{RING}")).await;
        }
    }
    assert_eq!(refused.is_problem(429).headers[header::RETRY_AFTER], "1");
    edge.get(&format!("/v1/cdr/bizcall?{RING}")).await.is("accepted");
}

#[tokio::test]
async fn an_incomplete_body_is_refused() {
    let edge = Edge::open().await;
    let chunks = vec![Ok(RING.to_owned()), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    edge.post("/v1/cdr/bizcall", FORM, body).await.is_problem(400);
    edge.get(&format!("/v1/cdr/bizcall?{RING}")).await.is("accepted");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_503() {
    let edge = Edge::open().await;
    let other = OtherProgram::open(&edge.directory.path().join("log.db"));
    other.execute("ALTER TABLE calls RENAME TO gone");
    let answer = edge.get(&format!("/v1/cdr/bizcall?{RING}")).await;
    assert!(answer.is_problem(503).headers.contains_key(header::RETRY_AFTER));
    other.execute("ALTER TABLE gone RENAME TO calls");
    edge.get(&format!("/v1/cdr/bizcall?{RING}")).await.is("accepted");
}

#[tokio::test]
async fn a_request_that_is_not_a_cdr_is_quarantined_as_received() {
    let edge = Edge::open().await;
    edge.get("/v1/cdr/bizcall?seq=1&sdt=never&memo=%B0%AD").await.is_problem(422);
    edge.get("/v1/cdr/nobody?seq=1").await.is_problem(404);
    let kept = edge.open.log.reader().newest_quarantined(u64::MAX >> 1, 10).await.unwrap();
    let [(1, quarantined)] = &kept[..] else { panic!("{} are kept", kept.len()) };
    assert_eq!(quarantined.request.query, "seq=1&sdt=never&memo=%B0%AD");
    assert_eq!(quarantined.faults.iter().map(|fault| &*fault.field).collect::<Vec<_>>(), ["sdt", "vn"]);
    edge.get(&format!("/v1/cdr/bizcall?{RING}")).await.is("accepted");
}
