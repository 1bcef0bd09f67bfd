//! What an idle pad costs a replica: the resident memory of push-svc before and after so many pads have come.

use std::{fs, time::Duration};

use ringpad_tests::{
    pads::{Pad, Subscription, Transport},
    rabbit::RabbitNode,
    services::System,
    token::Claims,
    wait::{SOON, within},
};
use tokio::task::JoinSet;

use crate::SETTINGS;

/// Pads, and how many of them belong to one store.
const PADS: usize = 5_000;
const PADS_OF_A_STORE: usize = 2;
/// Pads that connect at the same time.
const CONCURRENT: usize = 50;
/// Pads that come and go before the first reading, so that what is paid once is not counted.
const WARM: usize = 100;
/// Heartbeats that every pad gets before the second reading.
const HEARTBEATS: u64 = 2;

/// Prints KiB a pad for each transport of the browser.
pub(crate) async fn measure(node: &RabbitNode) {
    for transport in [Transport::GrpcWeb, Transport::WebSocket] {
        let system = System::start_with(&node.url(), 1, &SETTINGS).await;
        for number in 0..PADS / PADS_OF_A_STORE {
            system.store(&format!("store-{number}")).await;
        }
        drop(open(&system, transport, WARM).await);
        let before = resident(&system);
        let mut pads = open(&system, transport, PADS).await;
        for pad in &mut pads {
            within("heartbeats", Duration::from_secs(60) + SOON, pad.until_heartbeats(HEARTBEATS)).await;
        }
        let after = resident(&system);
        #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 KiB")]
        let each = after.saturating_sub(before) as f64 / PADS as f64;
        println!(
            "{transport:?}: {each:.1} KiB an idle pad at {PADS} ({before} KiB before, {after} KiB after; {} stores)",
            PADS / PADS_OF_A_STORE
        );
    }
}

async fn open(system: &System, transport: Transport, count: usize) -> Vec<Pad> {
    let (mut opening, mut pads) = (JoinSet::new(), Vec::with_capacity(count));
    for number in 0..count {
        if opening.len() == CONCURRENT {
            pads.extend(opening.join_next().await.transpose().expect("a pad opens"));
        }
        let claims = Claims::new(&format!("store-{}", number / PADS_OF_A_STORE), &format!("pad-{number}"));
        let (replica, asked) = (system.push_at[0].pads, Subscription::new(&claims.token()));
        opening.spawn(async move { Pad::open(transport, replica, &asked).await });
    }
    pads.extend(opening.join_all().await);
    pads
}

/// KiB of push-svc in memory.
fn resident(system: &System) -> u64 {
    let path = format!("/proc/{}/status", system.push[0].running().pid().as_raw_nonzero());
    let status = fs::read_to_string(path).expect("push-svc runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number of KiB")
}
