//! Clients that close their side of the connection before they have their answer: a number provider still waits for it; a pad
//! does not.

use ringpad_tests::{
    cdr::urlencoded,
    http::send_raw,
    pads::{Subscription, raw_subscription},
    provider::{CdrAnswer, FORM},
    rabbit::RabbitNode,
    services::System,
    token::Claims,
    wait::{SOON, must, within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The status of each record, in the order of the answers.
fn cdr_answer(answers: &str) -> Vec<CdrAnswer> {
    let bodies = answers.match_indices("{\"call_id\"").map(|(at, _)| &answers[at..]);
    let read = |body: &str| serde_json::Deserializer::from_str(body).into_iter().next();
    bodies.map(|body| must("an answer", read(body).expect("a body"))).collect()
}

#[tokio::test]
async fn a_provider_that_closes_its_side_after_a_request_gets_its_answer() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let record = || urlencoded(&system.noted_ring(&store));
    let get = |version: &str, more: &str| {
        format!("GET /v1/cdr/bizcall?{} HTTP/{version}\r\nHost: x\r\n{more}\r\n", record())
    };
    let post = |version: &str| {
        let (body, head) = (record(), format!("POST /v1/cdr/bizcall HTTP/{version}\r\nHost: x"));
        format!("{head}\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let chunked = || {
        let (body, head) = (record(), "POST /v1/cdr/bizcall HTTP/1.1\r\nHost: x");
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        format!("{head}\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let requests = [
        get("1.0", ""),
        get("1.0", "Connection: keep-alive\r\n"),
        get("1.1", ""),
        get("1.1", "Connection: close\r\n"),
        post("1.0"),
        post("1.1"),
        chunked(),
        // Several on one connection, answered in order.
        format!("{}{}{}", get("1.1", ""), post("1.1"), chunked()),
    ];
    for (number, request) in requests.iter().enumerate() {
        let answers = must("answers", send_raw(system.ingest_at.http, request.as_bytes()).await);
        let taken = cdr_answer(&answers);
        assert_eq!(taken.len(), if number == 7 { 3 } else { 1 }, "request {number}: {answers}");
        assert!(taken.iter().all(|taken| taken.status == "accepted"), "request {number}: {answers}");
        let again = must("answers", send_raw(system.ingest_at.http, request.as_bytes()).await);
        assert_eq!(again.matches("duplicate").count(), taken.len(), "request {number}: {again}");
    }
    for port in [system.ingest_at.http, system.ingest_at.admin] {
        let answer = must("an answer", send_raw(port, b"GET /livez HTTP/1.0\r\n\r\n").await);
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_provider_that_ends_its_body_early_gets_an_answer() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let head = format!("POST /v1/cdr/bizcall HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n");
    let cut = format!("{head}Content-Length: 100\r\n\r\nseq=1");
    let answer = must("an answer", send_raw(system.ingest_at.http, cut.as_bytes()).await);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// If the replica waited for such a pad, it would send heartbeats for ever, and the stream would not end.
#[tokio::test]
async fn a_pad_that_closes_its_side_ends_its_stream() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let asked = Subscription::new(&Claims::new(&store.id, "counter").token());
    let request = raw_subscription(system.push_at[0].pads, &asked);
    let mut stream = must("a connection", TcpStream::connect(system.push_at[0].pads).await);
    must("the request", stream.write_all(&request).await);
    let mut beginning = [0; 512];
    let read = must("the snapshot", within("the snapshot", SOON, stream.read(&mut beginning)).await);
    assert!(beginning[..read].starts_with(b"HTTP/1.1 200"), "{:?}", beginning[..read].escape_ascii());
    must("the sending side is closed", stream.shutdown().await);
    let mut rest = Vec::new();
    // A reset is an end too.
    within("the stream's end", SOON, stream.read_to_end(&mut rest)).await.ok();
}
