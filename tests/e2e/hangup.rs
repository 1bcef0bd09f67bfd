//! SIGHUP, with which process managers ask a service to read its settings again, and which a closing terminal sends, does not end
//! a service. Log output that cannot be written does not end it either.

use ringpad_tests::{
    cdr::{self, ring},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, until},
};
use rustix::process::Signal;

#[tokio::test]
async fn a_service_logs_sighup_and_continues() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut provider = system.provider();
    for round in 1..=2 {
        for service in [&system.ingest, &system.push[0]] {
            service.running().signal(Signal::HUP);
            until("it is logged once for each signal", SOON, async || {
                let said = service.logged().matches("SIGHUP").count();
                assert!(said <= round, "{}", service.logged());
                (said == round).then_some(())
            })
            .await;
        }
        // The streams that were open before stay open.
        provider.deliver(&store.ring()).await;
        for pad in &mut pads {
            pad.until_position(round as u64).await;
        }
    }
    assert!(!system.ingest.has_ended() && !system.push[0].has_ended());
}

#[tokio::test]
async fn a_service_whose_log_lines_cannot_be_written_serves_as_before() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    system.ingest.log_to_full_device();
    system.push[0].log_to_full_device();
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    for service in [&system.ingest, &system.push[0]] {
        service.running().signal(Signal::HUP);
    }
    // It is refused with a log line, which any thread that serves may write.
    let unknown = ring("0507-0000-0000", &cdr::caller());
    assert_eq!(system.provider().deliver(&unknown).await.status, "unrouted");
    system.ring(&store).await;
    for pad in &mut pads {
        pad.until_position(1).await;
    }
    for service in [&mut system.ingest, &mut system.push[0]] {
        service.stop().await;
    }
}
