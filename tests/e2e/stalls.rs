//! Somebody stands still for a while: a service is frozen, a pad does not read. Nobody else notices, and nothing is lost.

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

/// Longer than a silent bus is waited for, shorter than a provider's patience.
const STALL: Duration = Duration::from_secs(6);
/// More than a hub keeps at hand of calls with a memo of this length.
const CALLS: u64 = 700;
const MEMO: usize = 2_000;
/// What a client that reads nothing takes all the same: HTTP/2's own default, and not tonic's 2 MiB.
const WINDOW: u32 = 65_535;

fn freeze(service: &Service) {
    service.running().freeze();
}

fn thaw(service: &Service) {
    service.running().thaw();
}

/// Rings so often and returns the calls.
async fn rings(system: &System, store: &Shop, count: usize) -> Vec<String> {
    let (mut provider, mut calls) = (system.provider(), Vec::new());
    for _ in 0..count {
        calls.push(provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await.call_id);
    }
    calls
}

async fn has_once(pad: &mut Pad, calls: &[String]) {
    pad.until_position(calls.len() as u64).await;
    let seen = pad.updates.iter().filter_map(|update| update.call.as_ref()).map(|call| &call.id);
    assert!(seen.eq(calls), "{:?}", pad.transport);
}

#[tokio::test]
async fn a_replica_that_freezes_for_seconds_gives_its_pads_all_of_it_when_it_goes_on() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut calls = rings(&system, &store, 3).await;
    for pad in &mut pads {
        has_once(pad, &calls).await;
    }
    freeze(&system.push[0]);
    calls.extend(rings(&system, &store, 5).await);
    let (frozen, others) = pads.split_at_mut(Transport::ALL.len());
    for pad in others.iter_mut() {
        has_once(pad, &calls).await;
    }
    sleep(STALL).await;
    calls.extend(rings(&system, &store, 5).await);
    thaw(&system.push[0]);
    for pad in frozen.iter_mut().chain(others) {
        has_once(pad, &calls).await;
    }
    calls.extend(rings(&system, &store, 1).await);
    for pad in &mut pads {
        has_once(pad, &calls).await;
    }
}

#[tokio::test]
async fn while_ingest_is_frozen_requests_wait_and_pads_stay() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut calls = rings(&system, &store, 1).await;
    for pad in &mut pads {
        has_once(pad, &calls).await;
    }
    freeze(&system.ingest);
    let beats: Vec<_> = pads.iter().map(|pad| pad.heartbeats).collect();
    let melting = async {
        sleep(STALL).await;
        for (pad, beats) in pads.iter_mut().zip(beats) {
            pad.until_heartbeats(beats + 1).await;
        }
        for service in &system.push {
            assert_eq!(service.readiness().await.map(|(status, _)| status), Some(200), "it has its queue");
        }
        thaw(&system.ingest);
    };
    // Answered with 200 after all, as any that is not taken would fail the test.
    let (waited, ()) = tokio::join!(rings(&system, &store, 3), melting);
    calls.extend(waited);
    for pad in &mut pads {
        has_once(pad, &calls).await;
    }
}

#[tokio::test]
async fn a_pad_that_does_not_read_is_told_so_and_costs_the_others_nothing() {
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
    // It has caught up, and from now on takes nothing.
    while !matches!(next().await, Ok(Some(response)) if matches!(response.event, Some(Event::Update(_)))) {}

    for _ in 0..CALLS {
        let bulky = Cdr { memo: "x".repeat(MEMO), ..ring(&store.virtual_number, &cdr::caller()) };
        provider.deliver(&bulky).await;
    }
    for pad in &mut pads {
        pad.until_position(1 + CALLS).await;
    }
    let reading = async {
        loop {
            match next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a word"),
                Err(status) => break status,
            }
        }
    };
    let end = within("the stream's end", SOON, reading).await;
    assert_eq!(end.code(), Code::ResourceExhausted, "{end:?}");
    // The others go on.
    provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    for pad in &mut pads {
        pad.until_position(CALLS + 2).await;
    }
}
