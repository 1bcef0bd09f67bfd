//! Many calls at the same time.

use std::{collections::BTreeSet, time::Duration};

use ringpad_tests::{
    cdr::{self, ring},
    rabbit::RabbitNode,
    services::System,
};
use tokio::task::JoinSet;

/// Connections, and the calls that they send in all: 62 or 63 each.
const CONNECTIONS: usize = 16;
const CALLS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_from_sixteen_connections_reach_every_pad_once() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;

    let mut senders = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (mut provider, number) = (system.provider(), store.virtual_number.clone());
        senders.spawn(async move {
            let mut taken = Vec::new();
            for _ in (connection..CALLS).step_by(CONNECTIONS) {
                let answer = provider.deliver(&ring(&number, &cdr::caller())).await;
                assert_eq!(answer.status, "accepted");
                taken.push(answer.call_id);
            }
            taken
        });
    }
    let sent: BTreeSet<_> = senders.join_all().await.into_iter().flatten().collect();
    assert_eq!(sent.len(), CALLS);
    for pad in &mut pads {
        pad.until_position_within(CALLS as u64, Duration::from_secs(60)).await;
        assert!(pad.calls.keys().eq(&sent), "{:?}", pad.transport);
    }
}
