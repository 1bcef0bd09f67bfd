//! A service is frozen for a while. That has no effect on others, and nothing is lost.

use std::time::Duration;

use ringpad_tests::{
    pads::{Pad, Transport},
    rabbit::RabbitNode,
    services::{Service, Shop, System},
};
use tokio::time::sleep;

/// Longer than the time after which a bus counts as silent, shorter than a provider waits.
const STALL: Duration = Duration::from_secs(6);

fn freeze(service: &Service) {
    service.running().freeze();
}

fn thaw(service: &Service) {
    service.running().thaw();
}

/// Rings `count` times and returns the calls.
async fn rings(system: &System, store: &Shop, count: usize) -> Vec<String> {
    let (mut provider, mut calls) = (system.provider(), Vec::new());
    for _ in 0..count {
        calls.push(provider.deliver(&store.ring()).await.call_id);
    }
    calls
}

async fn has_each_once(pad: &mut Pad, calls: &[String]) {
    pad.until_position(calls.len() as u64).await;
    assert_eq!(pad.shown(), calls, "{:?}", pad.transport);
}

#[tokio::test]
async fn after_a_freeze_of_seconds_a_replica_gives_its_pads_everything() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut calls = rings(&system, &store, 3).await;
    for pad in &mut pads {
        has_each_once(pad, &calls).await;
    }
    freeze(&system.push[0]);
    calls.extend(rings(&system, &store, 5).await);
    let (frozen, others) = pads.split_at_mut(Transport::ALL.len());
    for pad in others.iter_mut() {
        has_each_once(pad, &calls).await;
    }
    sleep(STALL).await;
    calls.extend(rings(&system, &store, 5).await);
    thaw(&system.push[0]);
    for pad in frozen.iter_mut().chain(others) {
        has_each_once(pad, &calls).await;
    }
    calls.extend(rings(&system, &store, 1).await);
    for pad in &mut pads {
        has_each_once(pad, &calls).await;
    }
}

#[tokio::test]
async fn while_ingest_is_frozen_requests_wait_and_pads_stay() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut calls = rings(&system, &store, 1).await;
    for pad in &mut pads {
        has_each_once(pad, &calls).await;
    }
    freeze(&system.ingest);
    let beats: Vec<_> = pads.iter().map(|pad| pad.heartbeats).collect();
    let thawing = async {
        sleep(STALL).await;
        for (pad, beats) in pads.iter_mut().zip(beats) {
            pad.until_heartbeats(beats + 1).await;
        }
        for service in &system.push {
            assert_eq!(service.readiness().await.map(|(status, _)| status), Some(200), "it has its queue");
        }
        thaw(&system.ingest);
    };
    // All are answered with 200 in the end: any other answer would fail the test.
    let (waited, ()) = tokio::join!(rings(&system, &store, 3), thawing);
    calls.extend(waited);
    for pad in &mut pads {
        has_each_once(pad, &calls).await;
    }
}
