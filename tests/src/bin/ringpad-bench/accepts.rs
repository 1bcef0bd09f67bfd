//! Records a second that are durably logged.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use ringpad_proto::v1::{Cdr, IngestCallStreamRequest, IngestCallStreamResponse};
use ringpad_tests::{
    cdr::{ring, urlencoded},
    rabbit::RabbitNode,
    services::{Shop, System},
    wait::must,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::{JoinSet, LocalSet},
    time::timeout,
};

use crate::{ROUNDS, SETTINGS, cpu::Spent, statistics::median};

/// How long one round lasts.
const ROUND: Duration = Duration::from_secs(8);
/// Records that wait for their answer at any time.
pub(crate) const IN_FLIGHT: usize = 64;
/// The same on a stream that is fed by a backlog.
const BACKLOG: usize = 512;
/// Stores that the calls go to.
const STORES: usize = 50;

/// Prints accepts a second.
pub(crate) async fn measure(node: &RabbitNode) {
    let system = System::start_with(&node.url(), 1, &SETTINGS).await;
    let mut shops = Vec::new();
    for number in 0..STORES {
        shops.push(system.store(&format!("store-{number}")).await);
    }
    let shops = Arc::new(shops);
    let mut kinds = [
        (format!("HTTP, {IN_FLIGHT} connections with one request each"), Vec::new(), String::new()),
        (format!("one gRPC stream, {IN_FLIGHT} in flight"), Vec::new(), String::new()),
        (format!("one gRPC stream, {BACKLOG} in flight"), Vec::new(), String::new()),
    ];
    for _ in 0..ROUNDS {
        for (kind, (_, rates, cost)) in kinds.iter_mut().enumerate() {
            let (begun, before) = (Instant::now(), Spent::now(&system, node));
            let accepted = match kind {
                0 => LocalSet::new().run_until(over_http(&system, &shops)).await,
                1 => over_stream(&system, &shops, IN_FLIGHT).await,
                _ => over_stream(&system, &shops, BACKLOG).await,
            };
            rates.push(f64::from(accepted) / begun.elapsed().as_secs_f64());
            *cost = before.each(Spent::now(&system, node), accepted);
        }
    }
    for (kind, rates, cost) in &kinds {
        println!("durable accepts/s, {kind}: {:.0}; last round's {cost}", median(rates));
    }
}

/// The next record: a new call of one of 20,000 callers.
fn next(shops: &[Shop]) -> Cdr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let shop = &shops[number as usize % shops.len()];
    let caller = number % 20_000;
    ring(&shop.virtual_number, &format!("010-3{:03}-{:04}", caller / 10_000, caller % 10_000))
}

async fn over_http(system: &System, shops: &Arc<Vec<Shop>>) -> u32 {
    let (begun, accepted) = (Instant::now(), Rc::new(Cell::new(0_u32)));
    let mut connections = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (mut stream, shops, accepted) = (
            must("a connection", TcpStream::connect(system.ingest_at.http).await),
            shops.clone(),
            accepted.clone(),
        );
        must("nodelay", stream.set_nodelay(true));
        connections.spawn_local(async move {
            let mut answer = vec![0; 1024];
            while begun.elapsed() < ROUND {
                let body = urlencoded(&next(&shops));
                let request = format!(
                    "POST /v1/cdr/bizcall HTTP/1.1\r\nhost: ingest\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                must("a request", stream.write_all(request.as_bytes()).await);
                read_accepted(&mut stream, &mut answer).await;
                accepted.set(accepted.get() + 1);
            }
        });
    }
    connections.join_all().await;
    accepted.get()
}

/// Reads one answer, which must be `accepted`.
async fn read_accepted(stream: &mut TcpStream, answer: &mut [u8]) {
    let mut length = 0;
    loop {
        let read = must("an answer", stream.read(&mut answer[length..]).await);
        assert!(read > 0, "no answer: {}", String::from_utf8_lossy(&answer[..length]));
        length += read;
        // The body is one JSON object, and nothing follows it.
        if answer[..length].ends_with(b"}") {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer[..length]);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"accepted\""), "{text}");
}

/// Records over one gRPC stream for a round; how many were accepted.
pub(crate) async fn over_stream(system: &System, shops: &Arc<Vec<Shop>>, in_flight: usize) -> u32 {
    let (begun, room) = (Instant::now(), Arc::new(Semaphore::new(in_flight)));
    let (feed, shops) = (room.clone(), shops.clone());
    let requests = futures_util::stream::unfold((), move |()| {
        let (room, shops) = (feed.clone(), shops.clone());
        async move {
            // The round ends on time, even if no answer gives its place back.
            let left = ROUND.checked_sub(begun.elapsed())?;
            let place = timeout(left, room.acquire_owned()).await.ok()?;
            place.expect("the room is never closed").forget();
            Some((IngestCallStreamRequest { source: "bizcall".to_owned(), cdr: Some(next(&shops)) }, ()))
        }
    });
    let mut client = system.calls().await;
    let mut answers = must("a stream", client.ingest_call_stream(requests).await).into_inner();
    let mut accepted = 0_u32;
    loop {
        let answer = timeout(ROUND * 2, answers.message()).await;
        match &answer {
            Ok(Ok(None)) => return accepted,
            Ok(Ok(Some(IngestCallStreamResponse { error: None, .. }))) => {}
            // A broken connection, a status, a refused record, or no answer: with what shows where it stands.
            _ => panic!(
                "after {accepted} answers and {:?}, with {} of {in_flight} places free: {answer:?}",
                begun.elapsed(),
                room.available_permits()
            ),
        }
        accepted += 1;
        room.add_permits(1);
    }
}
