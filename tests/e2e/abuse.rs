//! Clients that hold connections, send too much or too often cost others nothing.

use std::net::Ipv4Addr;

use http::StatusCode;
use ringpad_tests::{
    cdr::{self, ring, urlencoded},
    http::{Client, metrics},
    provider::FORM,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until, within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

/// Connections that never finish a request's head.
const SLOW: usize = 500;
/// Connections that a port of number providers accepts, in all and from one address.
const CONNECTIONS: usize = 2_048;
const CONNECTIONS_OF_ONE: usize = 1_024;
/// Addresses of this machine.
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

async fn open(system: &System, head: &[u8]) -> TcpStream {
    open_from(HERE, system, head).await
}

async fn open_from(address: Ipv4Addr, system: &System, head: &[u8]) -> TcpStream {
    let socket = must("a socket", TcpSocket::new_v4());
    must("an address", socket.bind((address, 0).into()));
    let mut stream = must("a connection", socket.connect(system.ingest_at.http).await);
    must("a part of a head", stream.write_all(head).await);
    stream
}

/// Asks for `/livez` on a new connection, which stays open.
async fn livez(address: Ipv4Addr, system: &System) -> (TcpStream, String) {
    let mut stream = open_from(address, system, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = vec![0; 512];
    let read = must("an answer", stream.read(&mut answer).await);
    (stream, String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test]
async fn slow_heads_delay_no_other_request_and_are_closed() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let mut slow = JoinSet::new();
    for _ in 0..SLOW {
        let mut stream = open(&system, b"POST /v1/cdr/bizcall HTTP/1.1\r\nhost: x\r\nx-").await;
        slow.spawn(async move { stream.read(&mut [0; 256]).await.unwrap_or(0) });
    }
    for _ in 0..20 {
        system.ring(&store).await;
    }
    assert!(slow.try_join_next().is_none(), "all of them were held while others were answered");
    // Ten seconds for a first request, and more on a slow machine.
    let closed = within("the slow connections are closed", 3 * SOON, slow.join_all()).await;
    assert_eq!(closed.len(), SLOW);
    system.ring(&store).await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408_and_its_first_part_is_kept() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let part = format!(
        "POST /v1/cdr/bizcall HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 99\r\n\r\nseq=1&vn="
    );
    let mut stream = open(&system, part.as_bytes()).await;
    let mut answer = vec![0; 1024];
    // Ten seconds for a body.
    let read = must("an answer", within("an answer", 3 * SOON, stream.read(&mut answer)).await);
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    let metrics = metrics(system.ingest_at.admin).await;
    assert!(metrics.contains("ringpad_quarantined_total 1"), "{metrics}");
}

#[tokio::test]
async fn a_connection_over_the_limit_is_answered_503() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &[]);
    system.ingest.start().await;
    let mut held = Vec::new();
    let mut refusals = Vec::new();
    for address in [HERE, THERE, ELSEWHERE] {
        let refusal = loop {
            assert!(held.len() <= CONNECTIONS, "every connection was taken");
            let (stream, answer) = within("an answer", SOON, livez(address, &system)).await;
            if !answer.starts_with("HTTP/1.1 200") {
                break answer;
            }
            held.push(stream);
        };
        assert!(
            refusal.starts_with("HTTP/1.1 503") && refusal.contains("too many connections"),
            "{refusal:?}"
        );
        refusals.push((held.len(), refusal.contains("from your address")));
    }
    // The second address gets its share too, and then none is left for the third.
    assert_eq!(refusals, [(CONNECTIONS_OF_ONE, true), (CONNECTIONS, true), (CONNECTIONS, false)]);
    drop(held);
    until("the next one is taken", SOON, async || {
        let answer = Client::new(system.ingest_at.http).get("/livez").await.ok()?;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn ten_megabytes_are_refused_before_they_are_read() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let head = format!(
        "POST /v1/cdr/bizcall HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {}\r\n\r\n",
        10 * 1024 * 1024
    );
    let mut stream = open(&system, head.as_bytes()).await;
    let mut answer = vec![0; 1024];
    let read = must("an answer", within("an answer", SOON, stream.read(&mut answer)).await);
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_flood_on_one_source_does_not_affect_another() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &[]);
    let config = system.directory.path().join("sources.toml");
    let toml =
        "[[source]]\nname = \"flood\"\nopen = true\nrate = 5\n[[source]]\nname = \"bizcall\"\nopen = true\n";
    must("a file", std::fs::write(&config, toml));
    system.ingest.set("INGEST_CONFIG", &config.display().to_string());
    system.ingest.start().await;
    let store = system.store("gangnam").await;
    let mut flood = JoinSet::new();
    for _ in 0..8 {
        let (address, number) = (system.ingest_at.http, store.virtual_number.clone());
        flood.spawn(async move {
            let mut client = Client::new(address);
            let mut refused = 0;
            for _ in 0..100 {
                let body = urlencoded(&ring(&number, &cdr::caller()));
                let answer = client.send("POST", "/v1/cdr/flood", &[("content-type", FORM)], body).await;
                refused += usize::from(must("an answer", answer).status == StatusCode::TOO_MANY_REQUESTS);
            }
            refused
        });
    }
    for _ in 0..50 {
        system.ring(&store).await;
    }
    let refused: usize = flood.join_all().await.into_iter().sum();
    assert!(refused > 400, "only {refused} of 800 were refused");
}

#[tokio::test]
async fn a_call_with_more_and_more_parameters_costs_no_other_store_a_ring() {
    const SENDERS: usize = 4;
    const RECORDS: usize = 100;
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let (store, other) = (system.store("gangnam").await, system.store("mapo").await);
    let mut pads = system.pads(&other.id).await;
    let flooded = store.ring();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (at, record) = (system.ingest_at.http, urlencoded(&flooded));
        senders.spawn(async move {
            let mut client = Client::new(at);
            for round in 0..RECORDS {
                let more = (0..1_000).map(|at| format!("&p{sender}-{round}-{at}={}", "x".repeat(40)));
                let body = format!("{record}{}", more.collect::<String>());
                assert!(body.len() < 64 * 1024);
                let answer = client.send("POST", "/v1/cdr/bizcall", &[("content-type", FORM)], body).await;
                assert_eq!(must("an answer", answer).status, StatusCode::OK);
            }
        });
    }
    let mut rings = 0;
    while !senders.is_empty() {
        let taken = system.ring(&other).await;
        rings += 1;
        for pad in &mut pads {
            assert_eq!(pad.update().await.call.map(|call| call.id), Some(taken.clone()));
        }
        while let Some(ended) = senders.try_join_next() {
            must("every record of the flood is answered", ended);
        }
    }
    assert!(rings > 0);
}
