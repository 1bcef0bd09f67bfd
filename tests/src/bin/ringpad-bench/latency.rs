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
    services::{Shop, System},
    wait::within,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    ROUNDS, SETTINGS,
    bare_hop::BareHop,
    cpu::Spent,
    open_loop::schedule,
    statistics::{median, milliseconds, percentile},
};

/// Calls a second.
const RATES: [u32; 2] = [200, 1_000];
/// How long one round lasts, in seconds.
const ROUND: usize = 8;
/// Stores that the calls go to, each with one pad on gRPC-Web.
const STORES: usize = 20;
/// The provider's connections.
const CONNECTIONS: usize = 32;
/// Seen calls that wait to be counted.
const SEEN: usize = 16_384;

/// A call and when a pad had it.
pub(crate) type Seen = (String, Instant);

/// Prints p50 and p99 at each rate, and those of the bare hop.
pub(crate) async fn measure(node: &RabbitNode) {
    let system = System::start_with(&node.url(), 1, &SETTINGS).await;
    let mut bare = BareHop::new(node).await;
    let (mut shops, (seen, mut seeing)) = (Vec::new(), mpsc::channel(SEEN));
    let mut pads = JoinSet::new();
    for number in 0..STORES {
        let shop = system.store(&format!("store-{number}")).await;
        pads.spawn(watch(system.pad(Transport::GrpcWeb, 0, &shop.id).await, seen.clone()));
        shops.push(shop);
    }
    let providers: Vec<_> = (0..CONNECTIONS).map(|_| Arc::new(Mutex::new(system.provider()))).collect();
    for rate in RATES {
        let calls = rate as usize * ROUND;
        let (mut ours, mut floor, mut cost) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..ROUNDS {
            floor.push(bare.round(rate, calls).await);
            let before = Spent::now(&system, node);
            ours.push(round(&providers, &shops, &mut seeing, rate, calls).await);
            cost = before.each(Spent::now(&system, node), u32::try_from(calls).expect("a small number"));
        }
        report(rate, &mut ours, &mut floor);
        println!("{rate}/s, last round's {cost}");
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

fn report(rate: u32, ours: &mut [Vec<Duration>], floor: &mut [Vec<Duration>]) {
    let each = |rounds: &mut [Vec<Duration>], share: f64| -> Vec<f64> {
        let of = |round: &mut Vec<Duration>| {
            round.sort_unstable();
            milliseconds(percentile(round, share))
        };
        rounds.iter_mut().map(of).collect()
    };
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, floor) = (each(ours, share), each(floor, share));
        let ratios: Vec<_> = ours.iter().zip(&floor).map(|(ours, floor)| ours / floor).collect();
        println!(
            "{rate}/s, {name}: ring → pad {:.2} ms, bare publish → consume {:.2} ms, ratio {:.1} (rounds: {})",
            median(&ours),
            median(&floor),
            median(&ratios),
            ratios.iter().map(|ratio| format!("{ratio:.1}")).collect::<Vec<_>>().join(", "),
        );
    }
}
