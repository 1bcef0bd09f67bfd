//! The network between two processes fails.

use ringpad_tests::{
    http::metric,
    link::Link,
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, until},
};

/// Tasks of a process that come and go.
const BUSY: f64 = 3.0;

#[tokio::test]
async fn connections_to_the_broker_that_are_cut_leave_nothing_behind() {
    let node = RabbitNode::shared().await;
    let mut system = System::prepare(&node.url(), 1, &[]);
    let (ingest_link, push_link) = (Link::to(node.address()).await, Link::to(node.address()).await);
    system.ingest.set("AMQP_URL", &node.url_at(ingest_link.at));
    system.push[0].set("AMQP_URL", &node.url_at(push_link.at));
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let mut provider = system.provider();
    let admins = [system.ingest_at.admin, system.push_at[0].admin];
    let mut before = Vec::new();
    for round in 0..10 {
        let name = &system.private_queues(node, 1).await[0].name;
        provider.deliver(&store.ring()).await;
        pad.until_position(round + 1).await;
        if before.is_empty() {
            for admin in admins {
                before.push(metric(admin, "ringpad_tasks").await);
            }
        }
        ingest_link.cut();
        push_link.cut();
        until("a new queue", SOON, async || {
            let queues = system.private_queues(node, 1).await;
            (queues[0].name != *name).then_some(())
        })
        .await;
    }
    for (admin, before) in admins.into_iter().zip(before) {
        until("no more tasks than at first", SOON, async || {
            (metric(admin, "ringpad_tasks").await <= before + BUSY).then_some(())
        })
        .await;
    }
}
