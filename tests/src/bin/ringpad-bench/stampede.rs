//! A replica with thousands of pads is killed, and all of them come to the other one at the same time: how long that takes, and
//! how it affects the pads that were there before.
//!
//! The returning pads have a thread of their own. Otherwise the rings and the popups of the others would wait for that thread's
//! work, too, and the benchmark would measure itself.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use ringpad_tests::{
    cdr::ring,
    pads::{Pad, Subscription, Transport},
    rabbit::RabbitNode,
    services::{Shop, System},
    token::Claims,
    wait::{SOON, within},
};
use tokio::{
    runtime::{Builder, Handle},
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};

use crate::{
    SETTINGS,
    latency::{Seen, watch},
    open_loop::schedule,
    statistics::{milliseconds, percentile},
    usage,
};

/// Pads on the replica that is killed, and how many of them belong to one store.
const PADS: usize = 5_000;
const PADS_OF_A_STORE: usize = 2;
/// Pads that connect at the same time, before.
const CONCURRENT: usize = 50;
/// Stores with a pad on the other replica, and their calls a second.
const OTHERS: usize = 20;
const RATE: u32 = 100;
/// Calls before the replica is killed, and after. Of the latter, those count that are due before the last pad is back.
const BEFORE: usize = 500;
const AFTER: usize = 1_000;
/// As the pad page waits: up to so long before the first try, twice as long before each further one.
const RETRY_INITIAL: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Prints how long it took to have all pads back, and how late the others' popups were meanwhile.
pub(crate) async fn measure(node: &RabbitNode) {
    let crowd = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut system = System::start_with(&node.url(), 2, &SETTINGS).await;
    let (mut others, (seen, mut seeing)) = (Vec::new(), mpsc::channel(BEFORE + AFTER));
    let mut watching = JoinSet::new();
    for number in 0..OTHERS {
        let shop = system.store(&format!("other-{number}")).await;
        watching.spawn(watch(system.pad(Transport::GrpcWeb, 1, &shop.id).await, seen.clone()));
        others.push(shop);
    }
    for number in 0..PADS / PADS_OF_A_STORE {
        system.store(&format!("store-{number}")).await;
    }
    let pads = open(&system, crowd.handle()).await;

    let quiet = rings(&system, &others, &mut seeing, BEFORE).await;
    system.push[0].kill().await;
    let killed = Instant::now();
    let mut returning = JoinSet::new();
    for (pad, token) in pads {
        returning.spawn_on(come_back(pad, token, system.push_at[1].pads), crowd.handle());
    }
    let spent = || [&system.ingest, &system.push[1]].map(|service| usage::of(service.running().pid()));
    let before = spent();
    let back = async {
        let tries = within("all pads are back", Duration::from_secs(120), returning.join_all()).await;
        (tries.iter().sum::<usize>(), killed.elapsed(), spent())
    };
    let (mut busy, (tries, took, after)) = tokio::join!(rings(&system, &others, &mut seeing, AFTER), back);
    busy.retain(|(due, _)| *due < killed + took);
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 pads")]
    let each = |service: usize| (after[service] - before[service]).as_secs_f64() * 1e6 / PADS as f64;
    println!(
        "{PADS} pads of a killed replica are back after {:.1} s, in {tries} tries; CPU µs each: ingest-svc {:.0}, push-svc {:.0}",
        took.as_secs_f64(),
        each(0),
        each(1)
    );
    for (when, popups) in [("before", quiet), ("meanwhile", busy)] {
        let mut delays: Vec<_> = popups.into_iter().map(|(_, delay)| delay).collect();
        delays.sort_unstable();
        let of = |share| milliseconds(percentile(&delays, share));
        println!(
            "  the others' popups {when}: p50 {:.1} ms, p99 {:.1} ms, latest {:.1} ms",
            of(0.5),
            of(0.99),
            of(1.0)
        );
    }
    crowd.shutdown_background();
}

/// All pads of the replica that is going to be killed, each with its token.
async fn open(system: &System, crowd: &Handle) -> Vec<(Pad, String)> {
    let (mut opening, mut pads) = (JoinSet::new(), Vec::with_capacity(PADS));
    for number in 0..PADS {
        if opening.len() == CONCURRENT {
            pads.extend(opening.join_next().await.transpose().expect("a pad opens"));
        }
        let claims = Claims::new(&format!("store-{}", number / PADS_OF_A_STORE), &format!("pad-{number}"));
        let (replica, token) = (system.push_at[0].pads, claims.token());
        let transport = if number % 2 == 0 { Transport::GrpcWeb } else { Transport::WebSocket };
        let asked = Subscription::new(&token);
        opening.spawn_on(async move { (Pad::open(transport, replica, &asked).await, token) }, crowd);
    }
    pads.extend(opening.join_all().await);
    pads
}

/// Returns with what the pad has, as the pad page does, until a stream continues; how often it tried. Stays for a while,
/// so that the replica has all of them.
async fn come_back(mut pad: Pad, token: String, replica: SocketAddr) -> usize {
    pad.end().await;
    let (asked, mut longest) = (pad.resumption(&token), RETRY_INITIAL);
    for tries in 1.. {
        sleep(longest.mul_f64(fastrand::f64())).await;
        longest = (longest * 2).min(RETRY_MAX);
        if let Ok(back) = Pad::try_open(pad.transport, replica, &asked).await {
            assert!(back.snapshot.resumed, "a pad that returns continues where it was");
            // Not joined: it ends with the benchmark.
            tokio::spawn(stay(back));
            return tries;
        }
    }
    unreachable!("a pad tries until it is back")
}

async fn stay(mut pad: Pad) {
    pad.update_at_any_time().await;
}

/// Rings `calls` times at the other stores; when each was due, and how long it took to its pad.
async fn rings(
    system: &System,
    shops: &[Shop],
    seeing: &mut mpsc::Receiver<Seen>,
    calls: usize,
) -> Vec<(Instant, Duration)> {
    let (mut schedule, mut provider, mut delays) = (schedule(RATE, calls), system.provider(), Vec::new());
    while let Some(due) = schedule.recv().await {
        let caller = format!("010-5{:03}-{:04}", calls % 1_000, due.number);
        let record = ring(&shops[due.number % shops.len()].virtual_number, &caller);
        provider.deliver(&record).await;
        // One at a time: the next ring is due in 10 ms, and what is late makes the next one late, too.
        let (_, at) = within("a popup", SOON, seeing.recv()).await.expect("pads continue");
        delays.push((due.at, at - due.at));
    }
    delays
}
