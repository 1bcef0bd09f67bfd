//! Records a second that are durably logged.

use std::{
    cell::Cell,
    fmt,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use ringpad_proto::v1::{
    Cdr, IngestCallStreamRequest, IngestCallStreamResponse, ingest_service_client::IngestServiceClient,
};
use ringpad_tests::{
    cdr::{ring, urlencoded},
    http::channel,
    rabbit::RabbitNode,
    services::Shop,
    wait::must,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::{JoinSet, LocalSet},
    time::timeout,
};

use crate::{
    ROUNDS,
    bare_hop::BareHop,
    installation::{self, Installation},
    statistics::median,
    usage::Usage,
};

/// How long one round lasts.
const ROUND: Duration = Duration::from_secs(4);
/// Records that wait for their answer at any time.
pub(crate) const IN_FLIGHT: usize = 64;
/// The same on a stream that is fed by a backlog.
const BACKLOG: usize = 512;
/// Numbers that calls come from, with 010-3000-0000 as the first.
pub(crate) const CALLERS: u32 = 20_000;
/// Stores that the calls go to.
const STORES: usize = 50;

/// How the records are sent.
const WAYS: [Way; 3] = [Way::Http, Way::Stream(IN_FLIGHT), Way::Stream(BACKLOG)];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Connections with one request each.
    Http,
    /// A gRPC stream to each ingest-svc, with so many records in flight in all.
    Stream(usize),
}

impl Way {
    fn in_flight(self) -> usize {
        match self {
            Self::Http => IN_FLIGHT,
            Self::Stream(in_flight) => in_flight,
        }
    }

    /// Sends records for a round, and returns how many were accepted.
    pub(crate) async fn send(self, installation: &Installation<'_>, shops: &Arc<Vec<Shop>>) -> u32 {
        match self {
            Self::Http => LocalSet::new().run_until(over_http(installation, shops)).await,
            Self::Stream(in_flight) => over_streams(installation, shops, in_flight).await,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => write!(f, "HTTP, {IN_FLIGHT} connections with one request each"),
            Self::Stream(in_flight) => write!(f, "gRPC streams, {in_flight} in flight"),
        }
    }
}

/// What one round has shown.
struct Round {
    /// Accepts a second.
    rate: f64,
    /// Records that share a commit.
    batch: f64,
    /// Bytes of PostgreSQL's write-ahead log an accept.
    wal: f64,
}

/// What an installation has shown in all rounds of one way.
#[derive(Default)]
struct Rounds {
    each: Vec<Round>,
    /// What all of them have spent, for so many accepts.
    spent: Usage,
    accepted: u32,
}

/// Prints accepts a second, and what each costs, on both databases.
pub(crate) async fn measure(node: &RabbitNode) {
    let (server, mut bare) = (installation::server().await, BareHop::new(node).await);
    let mut measured = Vec::new();
    for installation in [
        Installation::on_sqlite(node, 1).await,
        Installation::on_postgres(node, &server, 1, 1).await,
        Installation::on_postgres(node, &server, 2, 1).await,
    ] {
        let mut shops = Vec::new();
        for number in 0..STORES {
            shops.push(installation.system.store(&format!("store-{number}")).await);
        }
        measured.push((installation, Arc::new(shops)));
    }
    for way in WAYS {
        let mut rounds: Vec<Rounds> = measured.iter().map(|_| Rounds::default()).collect();
        let mut floor = Vec::new();
        for _ in 0..ROUNDS {
            floor.push(bare.burst(ROUND, way.in_flight()).await);
            for ((installation, shops), rounds) in measured.iter().zip(&mut rounds) {
                round(installation, shops, node, way, rounds).await;
            }
        }
        report(way, &measured, &rounds, &floor);
    }
    for (installation, _) in &measured {
        installation.print_tables().await;
    }
}

async fn round(
    installation: &Installation<'_>,
    shops: &Arc<Vec<Shop>>,
    node: &RabbitNode,
    way: Way,
    rounds: &mut Rounds,
) {
    let (wal, commits) = (installation.wal().await, installation.commits().await);
    rounds.spent.begin(installation, node);
    let begun = Instant::now();
    let accepted = way.send(installation, shops).await;
    let took = begun.elapsed();
    rounds.spent.end(installation, node);
    rounds.accepted += accepted;
    let accepted = f64::from(accepted);
    rounds.each.push(Round {
        rate: accepted / took.as_secs_f64(),
        batch: accepted / (installation.commits().await - commits),
        wal: (installation.wal().await - wal) / accepted,
    });
}

/// The medians, and the medians of what the rate is of SQLite's and of the bare hop's in the same turn.
fn report(way: Way, measured: &[(Installation<'_>, Arc<Vec<Shop>>)], rounds: &[Rounds], floor: &[f64]) {
    println!("durable accepts, {way}");
    println!("  bare publish → consume: {:.0}/s", median(floor));
    let Some(first) = rounds.first() else { return };
    for ((installation, _), rounds) in measured.iter().zip(rounds) {
        let each = &rounds.each;
        let figure = |of: &dyn Fn(&Round) -> f64| median(&each.iter().map(of).collect::<Vec<_>>());
        let ratios: Vec<_> =
            each.iter().zip(&first.each).map(|(round, first)| round.rate / first.rate).collect();
        let to_bare: Vec<_> = each.iter().zip(floor).map(|(round, bare)| round.rate / bare).collect();
        println!(
            "  {}: {:.0}/s ({:.2} of SQLite's, {:.2} of the bare hop's), {:.0} in a commit, {:.0} bytes of write-ahead log each",
            installation.name,
            figure(&|round| round.rate),
            median(&ratios),
            median(&to_bare),
            figure(&|round| round.batch),
            figure(&|round| round.wal),
        );
        rounds.spent.print(rounds.accepted);
    }
}

/// The next record: a new call of one of the callers.
fn next(shops: &[Shop]) -> Cdr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let shop = &shops[number as usize % shops.len()];
    let caller = number % CALLERS;
    ring(&shop.virtual_number, &format!("010-3{:03}-{:04}", caller / 10_000, caller % 10_000))
}

async fn over_http(installation: &Installation<'_>, shops: &Arc<Vec<Shop>>) -> u32 {
    let (begun, accepted) = (Instant::now(), Rc::new(Cell::new(0_u32)));
    let mut connections = JoinSet::new();
    let ingest_at = installation.ingest_at();
    for at in ingest_at.iter().cycle().take(IN_FLIGHT) {
        let (mut stream, shops, accepted) =
            (must("a connection", TcpStream::connect(at.http).await), shops.clone(), accepted.clone());
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

async fn over_streams(installation: &Installation<'_>, shops: &Arc<Vec<Shop>>, in_flight: usize) -> u32 {
    let ingest_at = installation.ingest_at();
    let streams = ingest_at.iter().map(|at| over_stream(at.grpc, shops, in_flight / ingest_at.len()));
    join_all(streams).await.into_iter().sum()
}

/// Records over one gRPC stream for a round; how many were accepted.
pub(crate) async fn over_stream(at: SocketAddr, shops: &Arc<Vec<Shop>>, in_flight: usize) -> u32 {
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
    let mut client = IngestServiceClient::new(channel(at).await);
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
