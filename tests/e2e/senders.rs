//! Requests as old systems write them: read if their meaning is clear, otherwise counted, answered and kept.

use std::fs;

use ringpad_tests::{
    cdr::{self, ring, urlencoded},
    http::send_raw,
    pads::Transport,
    provider::FORM,
    rabbit::RabbitNode,
    services::System,
    wait::must,
};

use crate::quarantine::{ringpad, text};

#[tokio::test]
async fn a_request_line_that_is_not_valid_http_but_clear_is_read() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::WebSocket, 0, &store.id).await;
    let record = || urlencoded(&system.noted_ring(&store));
    // 세차, in CP949 and in UTF-8.
    let memos: [(&[u8], &str); 8] = [
        (b"\xbc\xbc\xc2\xf7", "세차"),
        ("세차".as_bytes(), "세차"),
        (b"wash \xbc\xbc\xc2\xf7  100%", "wash 세차  100%"),
        (b"\"VIP\" <Kim>", "\"VIP\" <Kim>"),
        (b"#1 {a|b} \\^`", "#1 {a|b} \\^`"),
        (b"a\tb", "a\tb"),
        (b"HTTP/1.1 or HTTP/1.0", "HTTP/1.1 or HTTP/1.0"),
        (b"%EC%84%B8%EC%B0%A8 +", "세차  "),
    ];
    let tail = |head: &str| format!("HTTP/1.1\r\nHost: x\r\n{head}\r\n").into_bytes();
    let mut all = Vec::new();
    for (memo, _) in memos {
        // The memo comes first: the parameters after it must not be lost.
        let line = [b"GET /v1/cdr/bizcall?memo=", memo, b"&", record().as_bytes(), b" "].concat();
        all.extend([&line[..], &tail("")].concat());
        // On the same connection, after a body that looks like a head.
        let body = "GET / HTTP/1.1\r\n\r\n=1";
        let length = format!("Content-Type: {FORM}\r\nContent-Length: {}\r\n", body.len());
        let line = [b"POST /v1/cdr/bizcall?memo=", memo, b"&", record().as_bytes(), b" "].concat();
        all.extend([&line[..], &tail(&length), body.as_bytes()].concat());
    }
    let answers = must("answers", send_raw(system.ingest_at.http, &all).await);
    assert_eq!(answers.matches("\"accepted\"").count(), 2 * memos.len(), "{answers}");
    for (_, memo) in memos {
        for _ in ["GET", "POST"] {
            let call = pad.update().await.call.expect("an update has a call");
            assert_eq!(call.memo, memo);
        }
    }
    let body = record();
    let expects =
        format!("Expect: 100-continue\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n", body.len());
    for request in [
        format!("POST /v1/cdr/bizcall?memo=a b HTTP/1.1\r\nHost: x\r\n{expects}\r\n{body}"),
        format!("\r\n\r\nget /v1/cdr/bizcall?{} HTTP/1.0\n\n", record()),
        format!("GET   /v1/cdr/bizcall?{}   HTTP/1.1 \r\n\r\n", record()),
        format!("GET http://ringpad/v1/cdr/bizcall?{} HTTP/1.1\r\nX: a\r\n b\r\n\r\n", record()),
        format!("GET /v1/cdr/bizcall?{} HTTP/1.1\r\nX-Memo: \u{ac15}\r\n\r\n", record()),
    ] {
        let answer = must("an answer", send_raw(system.ingest_at.http, request.as_bytes()).await);
        assert!(answer.contains("\"accepted\""), "{request:?}: {answer}");
    }
}

/// An open source, one with a secret, and one that accepts no address of this machine.
const SOURCES: &str = r#"
[[source]]
name = "bizcall"
open = true

[[source]]
name = "secret"
secret = "a-path-of-its-own"

[[source]]
name = "elsewhere"
allow = ["210.109.108.0/24"]
trusted_proxies = ["10.0.0.0/8"]
"#;

/// Requests that are not HTTP, each with the status of its answer, the reason that is counted, and the source that keeps it.
fn unreadable_requests(caller: &str, query: &str) -> [(String, u16, &'static str, &'static str); 12] {
    let long = "a".repeat(70 * 1024);
    [
        (format!("GET /v1/cdr/bizcall?{query}\r\n\r\n"), 400, "version", "bizcall"),
        (format!("GET /v1/cdr/bizcall?{query} HTTP/1.1\r\nA : b\r\n\r\n"), 400, "header", "bizcall"),
        (format!("GET /v1/cdr/bizcall?{query} HTTP/1.1\r\nA: b"), 400, "broken_off", "bizcall"),
        (
            format!(
                "POST /v1/cdr/bizcall?{query} HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
            "length",
            "bizcall",
        ),
        (
            format!("GET /v1/cdr/bizcall?{query}&memo={long} HTTP/1.1\r\n\r\n"),
            414,
            "target_too_long",
            "bizcall",
        ),
        (
            format!("GET /v1/cdr/bizcall?{query} HTTP/1.1\r\nA: {long}{long}\r\n\r\n"),
            431,
            "head_too_long",
            "bizcall",
        ),
        (format!("GET /v1/cdr/secret/a-path-of-its-own?{query}\r\n\r\n"), 400, "version", "secret"),
        // Of a sender that is not allowed nothing is kept.
        (format!("GET /v1/cdr/secret/a-wrong-one?{query}\r\n\r\n"), 404, "version", ""),
        (format!("GET /v1/cdr/nobody?{query}\r\n\r\n"), 404, "version", ""),
        (
            format!("GET /v1/cdr/elsewhere?{query} HTTP/3\r\nX-Forwarded-For: 210.109.108.7\r\n\r\n"),
            403,
            "version",
            "",
        ),
        (format!("{{\"seq\":\"1\",\"fromn\":\"{caller}\"}}"), 400, "request_line", ""),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(), 400, "request_line", ""),
    ]
}

#[tokio::test]
async fn a_request_that_is_not_http_is_answered_counted_and_kept() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &[]);
    system.sources(SOURCES);
    system.ingest.start().await;
    let caller = cdr::caller();
    system.secrets.note_number(&caller);
    let query = format!("seq=of-the-head&fromn={caller}");
    for (request, status, reason, source) in &unreadable_requests(&caller, &query) {
        let shown = &request[..request.len().min(80)];
        let counter = format!("ringpad_http_unreadable_total{{reason=\"{reason}\"}}");
        let (unreadable, kept) =
            (system.metric(&counter).await, system.metric("ringpad_quarantined_total").await);
        let answer = must("an answer", send_raw(system.ingest_at.http, request.as_bytes()).await);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{shown:?}: {answer}");
        assert_eq!(system.metric(&counter).await, unreadable + 1.0, "{shown:?}");
        let now_kept = system.metric("ringpad_quarantined_total").await;
        assert_eq!(now_kept, kept + f64::from(u8::from(!source.is_empty())), "{shown:?}");
        if !source.is_empty() {
            let listed = text(&ringpad(&system, &["quarantine", "list"]).await);
            assert!(listed.contains("head: "), "{listed}");
            assert!(!listed.contains("a-path-of-its-own"), "{listed}");
            system.secrets.assert_none_in("ringpad quarantine list", &listed);
        }
    }
    let answered = system.metric("ringpad_http_answers_total{source=\"bizcall\",status=\"400\"}").await;
    assert_eq!(answered, 4.0);
    let nobodys = system.metric("ringpad_http_answers_total{source=\"\",status=\"400\"}").await;
    assert_eq!(nobodys, 2.0);
    // It is kept as it came, except the path, in the log's file, which has whole numbers.
    let file = system.directory.path().join("ringpad.db");
    let log = [fs::read(&file), fs::read(file.with_extension("db-wal"))]
        .map(|bytes| must("the log", bytes))
        .concat();
    let kept = format!("GET ?{query} HTTP/1.1\r\nA : b\r\n\r\n");
    assert!(log.windows(kept.len()).any(|part| part == kept.as_bytes()));
    assert!(!log.windows(17).any(|part| part == b"a-path-of-its-own"));
    let replayed = text(&ringpad(&system, &["quarantine", "replay"]).await);
    assert!(replayed.contains("0 logged, 7 still faulty"), "{replayed}");
}

#[tokio::test]
async fn a_request_before_one_that_is_not_http_is_answered_first() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let record = urlencoded(&ring(&cdr::virtual_number(), &cdr::caller()));
    let good = format!("GET /v1/cdr/bizcall?{record} HTTP/1.1\r\n\r\n");
    let all = format!("{good}{good}GET /v1/cdr/bizcall?seq=1\r\n\r\n{good}");
    let answers = must("answers", send_raw(system.ingest_at.http, all.as_bytes()).await);
    // The text of the problem names HTTP/1.1 too.
    let statuses = answers.split("HTTP/1.1 ").filter_map(|answer| answer.get(..3)?.parse::<u16>().ok());
    let statuses: Vec<_> = statuses.collect();
    assert_eq!(statuses, [200, 200, 400], "{answers}");
}
