//! A service is frozen for a while, or a pad does not read. That has no effect on others, and nothing is lost.

use std::time::Duration;

use ringpad_proto::v1::{
    Cdr, SubscribeRequest, pad_service_client::PadServiceClient, subscribe_response::Event,
};
use ringpad_tests::{
    cdr::{self, ring},
    pads::{Pad, Transport},
    rabbit::RabbitNode,
    services::{Service, Shop, System},
    token::Claims,
    wait::{SOON, must, within},
};
use tokio::time::sleep;
use tonic::{Code, Request, transport::Endpoint};

/// Longer than the time after which a bus counts as silent, shorter than a provider waits.
const STALL: Duration = Duration::from_secs(6);
/// More calls with a memo of this length than a hub keeps.
const CALLS: u64 = 700;
const MEMO: usize = 2_000;
/// How much a client that reads nothing still receives: the default of HTTP/2, not tonic's 2 MiB.
const WINDOW: u32 = 65_535;

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
        calls.push(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
    }
    calls
}

async fn has_each_once(pad: &mut Pad, calls: &[String]) {
    pad.until_position(calls.len() as u64).await;
    let seen = pad.updates.iter().filter_map(|update| update.call.as_ref()).map(|call| &call.id);
    assert!(seen.eq(calls), "{:?}", pad.transport);
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

#[tokio::test]
async fn a_pad_that_does_not_read_is_ended_and_delays_no_other() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", system.push_at[0].pads));
    let endpoint = must("an endpoint", endpoint).initial_stream_window_size(WINDOW);
    let channel = must("a connection", endpoint.connect().await);
    let mut request = Request::new(SubscribeRequest::default());
    let token = Claims::new(&store.id, "slow").token();
    request.metadata_mut().insert("authorization", must("a header", format!("Bearer {token}").parse()));
    let mut slow = must("Subscribe", PadServiceClient::new(channel).subscribe(request).await).into_inner();
    let mut next = async || within("an event or the end", SOON, slow.message()).await;
    let mut provider = system.provider();
    provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    // It has caught up, and from now on reads nothing.
    while !matches!(next().await, Ok(Some(response)) if matches!(response.event, Some(Event::Update(_)))) {}

    for _ in 0..CALLS {
        let large = Cdr { memo: "x".repeat(MEMO), ..ring(&store.virtual_number, &cdr::caller()) };
        provider.deliver(&large).await;
    }
    for pad in &mut pads {
        pad.until_position(1 + CALLS).await;
    }
    let reading = async {
        loop {
            match next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a status"),
                Err(status) => break status,
            }
        }
    };
    let end = within("the stream's end", SOON, reading).await;
    assert_eq!(end.code(), Code::ResourceExhausted, "{end:?}");
    // The others continue.
    provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    for pad in &mut pads {
        pad.until_position(CALLS + 2).await;
    }
}
