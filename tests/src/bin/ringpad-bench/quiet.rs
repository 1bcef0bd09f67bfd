//! One ring at a time on a quiet line: where its time goes, and what it costs.
//!
//! The times are those of the call's packets on the loopback interface. A timer that is awaited on the way shows as a step of about a
//! millisecond.

mod points;

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ringpad_tests::{
    cdr::ring,
    http::metric,
    rabbit::RabbitNode,
    wait::{SOON, within},
};

use crate::{
    ROUNDS,
    bare_hop::BareHop,
    capture::{Capture, Packet},
    installation::{self, Installation},
    latency::Way,
    open_loop::schedule,
    statistics::{median, milliseconds, percentile},
    usage::Usage,
};
use points::Ports;

/// Rings a second. The next one is not sent before the pad has the last one.
const RATE: u32 = 50;
/// Rings of a round.
const RINGS: usize = 300;
/// Pads, each of a store of its own: all on the first of the replicas.
const PADS: usize = 20;
const REPLICAS: usize = 2;
/// The first callers' numbers of each system, of which the last eight digits count.
const CALLERS: [u32; 2] = [60_000_000, 61_000_000];

/// A system that is rung at.
struct Line<'a> {
    way: Way<'a>,
    /// The next caller's number.
    caller: u32,
    /// From when each ring was due until its pad had it, by rounds.
    took: Vec<Vec<Duration>>,
    /// The rings of each round: when the pad had each, since 1970, by its number.
    seen: Vec<HashMap<u32, Duration>>,
    usage: Usage,
}

/// Prints it with the log in SQLite and in PostgreSQL, and the bare hop of the same turn.
pub(crate) async fn measure(node: &RabbitNode) {
    let (server, mut bare) = (installation::server().await, BareHop::new(node).await);
    let mut lines = [
        Line::of(Installation::on_sqlite(node, REPLICAS).await, CALLERS[0]).await,
        Line::of(Installation::on_postgres(node, &server, 1, REPLICAS).await, CALLERS[1]).await,
    ];
    let ports = lines.each_ref().map(|line| line.ports(node));
    let capture = Capture::start(&ports.map(Ports::all).concat()).await;
    let mut floor = Vec::new();
    for _ in 0..ROUNDS {
        floor.push(bare.round(RATE, RINGS).await);
        for line in &mut lines {
            line.round(node).await;
        }
    }
    let packets = match capture {
        Ok(capture) => capture.stop().await,
        Err(why) => {
            println!(
                "no points on the way: tcpdump must be installed and allowed to capture; it says: {why}"
            );
            Vec::new()
        }
    };
    for round in &mut floor {
        round.sort_unstable();
    }
    println!("one ring every {} ms, {RINGS} a round; times in ms", 1_000 / RATE);
    for (line, ports) in lines.iter().zip(ports) {
        line.report(ports, &packets, &floor).await;
    }
}

impl<'a> Line<'a> {
    async fn of(installation: Installation<'a>, caller: u32) -> Self {
        let way = Way::of(installation, PADS, 1).await;
        Self { way, caller, took: Vec::new(), seen: Vec::new(), usage: Usage::default() }
    }

    /// Of ingest-svc, the broker, and the replica that has the pads.
    fn ports(&self, node: &RabbitNode) -> Ports {
        let system = &self.way.installation.system;
        let [ingest, pads] = [system.ingest_at.http, system.push_at[0].pads].map(|at| at.port());
        Ports { ingest, broker: node.address().port(), pads }
    }

    async fn round(&mut self, node: &RabbitNode) {
        self.usage.begin(&self.way.installation, node);
        let (mut due, mut provider) = (schedule(RATE, RINGS), self.way.installation.system.provider());
        let (mut took, mut seen) = (Vec::with_capacity(RINGS), HashMap::with_capacity(RINGS));
        while let Some(due) = due.recv().await {
            let shop = &self.way.shops[due.number % self.way.shops.len()];
            let number = self.caller;
            self.caller += 1;
            let caller = format!("010-{:04}-{:04}", number / 10_000, number % 10_000);
            let answer = provider.deliver(&ring(&shop.virtual_number, &caller)).await;
            let (id, at) = within("a popup", SOON, self.way.seeing.recv()).await.expect("pads continue");
            assert_eq!(id, answer.call_id, "one ring at a time");
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
            seen.insert(number, since_1970 - (Instant::now() - at));
            took.push(at - due.at);
        }
        took.sort_unstable();
        self.took.push(took);
        self.seen.push(seen);
        self.usage.end(&self.way.installation, node);
    }

    async fn report(&self, ports: Ports, packets: &[Packet], floor: &[Vec<Duration>]) {
        println!("log in {}:", self.way.installation.name);
        points::print(ports, packets, &self.seen);
        let admin = self.way.installation.system.ingest_at.admin;
        let [sum, count] = ["sum", "count"].map(|of| format!("ringpad_log_commit_seconds_{of}"));
        let mean = metric(admin, &sum).await / metric(admin, &count).await;
        println!("  a commit takes {:.2} on average", mean * 1e3);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let of = |rounds: &[Vec<Duration>]| -> Vec<f64> {
                rounds.iter().map(|round| milliseconds(percentile(round, share))).collect()
            };
            let (ours, floor) = (of(&self.took), of(floor));
            let ratios: Vec<_> = ours.iter().zip(&floor).map(|(ours, floor)| ours / floor).collect();
            println!(
                "  {name}: ring that is due → pad {:.2}, bare publish → consume {:.2}, ratio {:.1}",
                median(&ours),
                median(&floor),
                median(&ratios)
            );
        }
        self.usage.print(u32::try_from(RINGS * ROUNDS).expect("a small number"));
    }
}
