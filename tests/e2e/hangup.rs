//! SIGHUP, by which process managers ask for settings to be read again, ends nothing.

use ringpad_tests::{
    cdr::{self, ring},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, until},
};
use rustix::process::Signal;

#[tokio::test]
async fn a_service_that_is_hung_up_on_says_so_and_goes_on() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut provider = system.provider();
    for round in 1..=2 {
        for service in [&system.ingest, &system.push[0]] {
            service.running().signal(Signal::HUP);
            until("it says so, once each time", SOON, async || {
                let said = service.logged().matches("SIGHUP").count();
                assert!(said <= round, "{}", service.logged());
                (said == round).then_some(())
            })
            .await;
        }
        // The streams that were open before go on.
        provider.take(&ring(&store.virtual_number, &cdr::caller())).await;
        for pad in &mut pads {
            pad.until_position(round as u64).await;
        }
    }
    assert!(!system.ingest.has_ended() && !system.push[0].has_ended());
}
