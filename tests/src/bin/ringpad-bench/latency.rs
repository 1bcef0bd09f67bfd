//! From a ring that is due to the pad that shows it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ringpad_tests::{
    cdr::ring,
    pads::{Pad, Transport},
    provider::Provider,
    rabbit::RabbitNode,
    services::Shop,
    wait::within,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    ROUNDS,
    bare_hop::BareHop,
    installation::{self, Installation},
    open_loop::schedule,
    statistics::{median, milliseconds, percentile},
    usage::Usage,
};

/// Calls a second.
const RATES: [u32; 2] = [200, 1_000];
/// How long one round lasts, in seconds.
const ROUND: usize = 5;
/// Pads, each of a store of its own, on gRPC-Web, and the replicas that have half of them each.
const PADS: usize = 2_000;
const REPLICAS: usize = 2;
/// The provider's connections.
const CONNECTIONS: usize = 32;
/// Seen calls that wait to be counted.
const SEEN: usize = 16_384;

/// A call and when a pad had it.
pub(crate) type Seen = (String, Instant);

/// One way to the pads, and how long each call of each round took on it.
pub(crate) struct Way<'a> {
    pub(crate) installation: Installation<'a>,
    providers: Vec<Arc<Mutex<Provider>>>,
    pub(crate) shops: Vec<Shop>,
    pub(crate) seeing: mpsc::Receiver<Seen>,
    _pads: JoinSet<()>,
}

/// Prints p50 and p99 at each rate with the log in SQLite and in PostgreSQL, and those of the bare hop; and what a call costs.
pub(crate) async fn measure(node: &RabbitNode) {
    let (server, mut bare) = (installation::server().await, BareHop::new(node).await);
    let mut ways = [
        Way::of(Installation::on_sqlite(node, REPLICAS).await, PADS, REPLICAS).await,
        Way::of(Installation::on_postgres(node, &server, 1, REPLICAS).await, PADS, REPLICAS).await,
    ];
    for rate in RATES {
        let calls = rate as usize * ROUND;
        let (mut floor, mut ours) = (Vec::new(), [const { Vec::new() }; 2]);
        let mut usages = [Usage::default(), Usage::default()];
        for _ in 0..ROUNDS {
            floor.push(bare.round(rate, calls).await);
            for ((way, ours), usage) in ways.iter_mut().zip(&mut ours).zip(&mut usages) {
                usage.begin(&way.installation, node);
                ours.push(way.round(rate, calls).await);
                usage.end(&way.installation, node);
            }
        }
        report(rate, &ways, &mut ours, &mut floor);
        for (way, usage) in ways.iter().zip(&usages) {
            println!("{rate}/s, {}:", way.installation.name);
            usage.print(u32::try_from(calls * ROUNDS).expect("a small number"));
        }
    }
}

impl<'a> Way<'a> {
    /// Opens so many pads, each of a store of its own, which the first `replicas` share.
    pub(crate) async fn of(installation: Installation<'a>, count: usize, replicas: usize) -> Self {
        let (mut shops, (seen, seeing)) = (Vec::new(), mpsc::channel(SEEN));
        let (mut pads, system) = (JoinSet::new(), &installation.system);
        for number in 0..count {
            let shop = system.store(&format!("store-{number}")).await;
            pads.spawn(watch(
                system.pad(Transport::GrpcWeb, number % replicas, &shop.id).await,
                seen.clone(),
            ));
            shops.push(shop);
        }
        let providers = (0..CONNECTIONS).map(|_| Arc::new(Mutex::new(system.provider()))).collect();
        Self { installation, providers, shops, seeing, _pads: pads }
    }

    async fn round(&mut self, rate: u32, calls: usize) -> Vec<Duration> {
        round(&self.providers, &self.shops, &mut self.seeing, rate, calls).await
    }
}

/// Reports every call that a pad shows.
pub(crate) async fn watch(mut pad: Pad, seen: mpsc::Sender<Seen>) {
    loop {
        let call = pad.update_at_any_time().await.call.expect("an update has a call");
        if seen.send((call.id, Instant::now())).await.is_err() {
            return;
        }
    }
}

/// Rings `calls` times; how long each took to its pad.
async fn round(
    providers: &[Arc<Mutex<Provider>>],
    shops: &[Shop],
    seeing: &mut mpsc::Receiver<Seen>,
    rate: u32,
    calls: usize,
) -> Vec<Duration> {
    let mut schedule = schedule(rate, calls);
    let sending = async {
        let mut rings = JoinSet::new();
        while let Some(due) = schedule.recv().await {
            let provider = providers[due.number % providers.len()].clone();
            let caller = format!("010-4{:03}-{:04}", due.number / 10_000, due.number % 10_000);
            let record = ring(&shops[due.number % shops.len()].virtual_number, &caller);
            rings.spawn(async move { (provider.lock().await.deliver(&record).await.call_id, due.at) });
        }
        rings.join_all().await.into_iter().collect::<HashMap<_, _>>()
    };
    let watching = async {
        let mut shown = Vec::with_capacity(calls);
        while shown.len() < calls {
            shown.push(seeing.recv().await.expect("pads continue"));
        }
        shown
    };
    let (due, shown) =
        within("a round", Duration::from_secs(300), async { tokio::join!(sending, watching) }).await;
    shown.into_iter().map(|(id, at)| at - due[&id]).collect()
}

fn report(rate: u32, ways: &[Way<'_>], ours: &mut [Vec<Vec<Duration>>], floor: &mut [Vec<Duration>]) {
    for round in ours.iter_mut().flatten().chain(&mut *floor) {
        round.sort_unstable();
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let each = |rounds: &[Vec<Duration>]| -> Vec<f64> {
            rounds.iter().map(|round| milliseconds(percentile(round, share))).collect()
        };
        let floor = each(floor);
        println!("{rate}/s, {name}: bare publish → consume {:.2} ms", median(&floor));
        let first = ours.first().map_or_else(Vec::new, |rounds| each(rounds));
        for (way, rounds) in ways.iter().zip(&*ours) {
            let ours = each(rounds);
            let ratios: Vec<_> = ours.iter().zip(&floor).map(|(ours, floor)| ours / floor).collect();
            let longer: Vec<_> = ours.iter().zip(&first).map(|(ours, first)| ours - first).collect();
            println!(
                "{rate}/s, {name}: ring → pad {:.2} ms, {:+.2} ms to SQLite, ratio {:.1} (rounds: {}); {}",
                median(&ours),
                median(&longer),
                median(&ratios),
                ratios.iter().map(|ratio| format!("{ratio:.1}")).collect::<Vec<_>>().join(", "),
                way.installation.name,
            );
        }
    }
}
