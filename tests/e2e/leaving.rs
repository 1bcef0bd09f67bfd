//! SIGTERM: a replica sends its pads away, and ends with exit code 0.

use std::time::Duration;

use ringpad_tests::{
    cdr::{self, ring},
    pads::{End, Pad, Transport},
    rabbit::RabbitNode,
    services::System,
    token::Claims,
    wait::{SOON, until},
};

#[tokio::test]
async fn a_leaving_replica_asks_its_pads_to_go_and_exits_0() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let token = Claims::new(&store.id, "counter").token();
    let mut provider = system.provider();
    let mut pads = Vec::new();
    for transport in Transport::ALL {
        pads.push(system.pad(transport, 0, &store.id).await);
    }
    provider.take(&ring(&store.virtual_number, &cdr::caller())).await;
    for pad in &mut pads {
        pad.until_position(1).await;
    }

    system.push[0].terminate();
    for pad in &mut pads {
        assert!(pad.asked_to_leave().await <= Duration::from_secs(30));
        // Make before break: the next stream first.
        let mut next = Pad::open(pad.transport, system.push_at[1].pads, &pad.resumption(&token)).await;
        assert!(next.snapshot.resumed);
        provider.take(&ring(&store.virtual_number, &cdr::caller())).await;
        let position = next.position() + 1;
        next.until_position(position).await;
        assert_eq!(pad.end().await, End::Unavailable, "{:?}", pad.transport);
    }
    assert_eq!(system.push[0].exit().await, 0);
}

#[tokio::test]
async fn while_it_drains_a_replica_is_not_ready_and_takes_no_new_stream() {
    let settings = [("DRAIN_WINDOW", "8s")];
    let mut system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let store = system.store("gangnam").await;
    // Enough pads that some still wait for their turn to leave.
    let mut pads = Vec::new();
    for _ in 0..4 {
        pads.extend(system.pads(&store.id).await);
    }
    system.push[0].terminate();
    let said = until("a draining replica says so", SOON, async || {
        system.push[0].readiness().await.filter(|(status, _)| *status == 503)
    })
    .await;
    assert!(said.1.len() > "not ready: ".len(), "a 503 says why in words: {said:?}");
    let asked = system.subscription(&store.id);
    for transport in Transport::ALL {
        let end = Pad::try_open(transport, system.push_at[0].pads, &asked).await.expect_err("no new stream");
        match transport {
            // A load balancer can try the next replica after a 503, not after a gRPC error in a 200.
            Transport::GrpcWeb | Transport::WebSocket => assert_eq!(end, End::Http(503), "{transport:?}"),
            Transport::Grpc => assert_eq!(end, End::Unavailable),
        }
    }
    for pad in &mut pads {
        pad.asked_to_leave().await;
    }
    assert_eq!(system.push[0].exit().await, 0);
}

#[tokio::test]
async fn ingest_exits_0_and_its_log_goes_on_at_the_next_start() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    system.provider().take(&ring(&store.virtual_number, &cdr::caller())).await;
    system.ingest.terminate();
    assert_eq!(system.ingest.exit().await, 0);
    system.ingest.start().await;
    system.provider().take(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position(2).await;
}
