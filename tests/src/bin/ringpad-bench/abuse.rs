//! What clients that behave badly cost those that behave well.

use std::time::{Duration, Instant};

use http::StatusCode;
use ringpad_tests::{
    cdr::{self, ring, urlencoded},
    http::Client,
    provider::{FORM, Provider},
    rabbit::RabbitNode,
    services::{Shop, System},
    wait::must,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    ROUNDS, SETTINGS,
    statistics::{median, milliseconds, percentile},
};

/// Connections that never finish a request's head.
const SLOW: usize = 500;
/// Connections that send more than their source may.
const FLOODING: usize = 4;
/// Bytes of a body that is far too large.
const LARGE: usize = 10 * 1024 * 1024;
/// Records of the source that behaves well, in each round.
const RECORDS: usize = 200;
/// The sources.
const SOURCES: &str = r#"
[[source]]
name = "flood"
open = true
rate = 50
[[source]]
name = "bizcall"
open = true
"#;

/// Prints how long a well-behaved source waits for its answers, alone and together with the others.
pub(crate) async fn measure(node: &RabbitNode) {
    let mut system = System::prepare(&node.url(), 0, &SETTINGS);
    let config = system.directory.path().join("sources.toml");
    must("the sources", std::fs::write(&config, SOURCES));
    system.ingest.set("INGEST_CONFIG", &config.display().to_string());
    system.ingest.start().await;
    let shop = system.store("gangnam").await;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(answers(&mut system.provider(), &shop).await);
        let abuse = abuse(&system, &shop).await;
        together.push(answers(&mut system.provider(), &shop).await);
        drop(abuse);
    }
    for (name, rounds) in [("alone", alone), ("with slow heads, 10 MB bodies and a flood", together)] {
        let of = |share: f64| {
            let each: Vec<_> = rounds.iter().map(|round| milliseconds(percentile(round, share))).collect();
            median(&each)
        };
        println!("answers of a source, {name}: p50 {:.2} ms, p99 {:.2} ms", of(0.5), of(0.99));
    }
}

/// How long each answer took, sorted.
async fn answers(provider: &mut Provider, shop: &Shop) -> Vec<Duration> {
    let mut took = Vec::with_capacity(RECORDS);
    for _ in 0..RECORDS {
        let record = ring(&shop.virtual_number, &cdr::caller());
        let begun = Instant::now();
        provider.deliver(&record).await;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took
}

/// All kinds of abuse at the same time, until it is dropped.
async fn abuse(system: &System, shop: &Shop) -> JoinSet<()> {
    let (address, mut bad) = (system.ingest_at.http, JoinSet::new());
    for _ in 0..SLOW {
        let mut stream = must("a connection", TcpStream::connect(address).await);
        must("a part of a head", stream.write_all(b"POST /v1/cdr/flood HTTP/1.1\r\nx-").await);
        bad.spawn(async move {
            std::future::pending::<()>().await;
            drop(stream);
        });
    }
    bad.spawn(async move {
        let head = format!("POST /v1/cdr/flood HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {LARGE}\r\n\r\n");
        loop {
            let mut stream = must("a connection", TcpStream::connect(address).await);
            must("a head", stream.write_all(head.as_bytes()).await);
            // It is refused by its length, and the connection closed: further writes then fail.
            stream.write_all(&vec![b'x'; LARGE]).await.ok();
        }
    });
    for _ in 0..FLOODING {
        let number = shop.virtual_number.clone();
        bad.spawn(async move {
            let mut client = Client::new(address);
            loop {
                let body = urlencoded(&ring(&number, &cdr::caller()));
                let answer = client.send("POST", "/v1/cdr/flood", &[("content-type", FORM)], body).await;
                let status = must("an answer", answer).status;
                assert!(matches!(status, StatusCode::OK | StatusCode::TOO_MANY_REQUESTS), "{status}");
            }
        });
    }
    bad
}
