//! `kill -9`: what was acknowledged is still in the log afterwards, and reaches the pads.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ringpad_tests::{
    cdr::{self, ring},
    pads::{Pad, StreamEnd, Transport},
    rabbit::{NO_BROKER, RabbitNode},
    services::System,
    token::Claims,
    wait::{SOON, until},
};
use tokio::task::JoinSet;

/// Connections of the provider, and calls on each.
const CONNECTIONS: usize = 4;
const CALLS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ingest_acknowledged_before_it_was_killed_is_logged_and_reaches_the_pads() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut provider, number, count) =
            (system.provider(), store.virtual_number.clone(), acknowledged.clone());
        senders.spawn(async move {
            let mut calls = Vec::new();
            for _ in 0..CALLS {
                // Sent again until it is answered; a repeat is recognised, so no call exists twice.
                calls.push(provider.deliver_with_retries(&ring(&number, &cdr::caller())).await.call_id);
                count.fetch_add(1, Ordering::Relaxed);
            }
            calls
        });
    }
    for share in 1..=3 {
        until("calls are accepted", 3 * SOON, async || {
            (acknowledged.load(Ordering::Relaxed) >= share * CONNECTIONS * CALLS / 4).then_some(())
        })
        .await;
        system.ingest.kill().await;
        system.ingest.start().await;
    }
    let calls: BTreeSet<_> = senders.join_all().await.into_iter().flatten().collect();
    assert_eq!(calls.len(), CONNECTIONS * CALLS);

    assert_eq!(system.listed_calls(&store).await.0, calls);
    for pad in &mut pads {
        pad.until_position_within(calls.len() as u64, Duration::from_secs(60)).await;
        assert!(pad.calls.keys().eq(&calls), "{:?}", pad.transport);
    }
}

#[tokio::test]
async fn a_call_logged_while_the_relay_was_cut_off_is_published_after_a_restart() {
    let node = RabbitNode::shared().await;
    let mut system = System::start(&node.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let right = node.url();
    system.ingest.kill().await;
    system.ingest.set("AMQP_URL", NO_BROKER);
    system.ingest.start().await;
    let taken = system.ring(&store).await;
    system.ingest.kill().await;
    system.ingest.set("AMQP_URL", &right);
    system.ingest.start().await;
    assert_eq!(pad.update().await.call.map(|call| call.id), Some(taken));
    // A new publisher after the crash continues with the log's positions.
    let taken = system.ring(&store).await;
    assert_eq!(pad.update().await.call.map(|call| call.id), Some(taken));
}

#[tokio::test]
async fn pads_of_a_killed_replica_continue_at_the_other_one() {
    let node = RabbitNode::shared().await;
    let mut system = System::start(&node.url(), 2).await;
    let store = system.store("gangnam").await;
    let token = Claims::new(&store.id, "counter").token();
    let before = system.private_queues(node, 2).await;
    let mut provider = system.provider();
    let mut pads = system.pads_on(0, &store.id).await;
    provider.deliver(&store.ring()).await;
    for pad in &mut pads {
        pad.until_position(1).await;
    }
    system.push[0].kill().await;
    provider.deliver(&store.ring()).await;
    for pad in &mut pads {
        let end = pad.end().await;
        assert!(matches!(end, StreamEnd::Lost(_)), "{:?}: {end:?}", pad.transport);
        let mut back = Pad::open(pad.transport, system.push_at[1].pads, &pad.resumption(&token)).await;
        assert!(back.snapshot.resumed);
        back.until_position(2).await;
    }
    let after = system.private_queues(node, 1).await;
    assert!(before.iter().any(|queue| queue.name == after[0].name), "the other replica keeps its queue");
    system.push[0].start().await;
    let after = system.private_queues(node, 2).await;
    assert_eq!(
        after.iter().filter(|queue| before.iter().any(|old| old.name == queue.name)).count(),
        1,
        "a new uuid"
    );
}
