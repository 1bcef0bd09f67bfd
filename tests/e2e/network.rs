//! The network between two processes fails.

use std::net::SocketAddr;

use ringpad_tests::{
    cdr::{self, ring},
    http::Client,
    link::Link,
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, until},
};

/// Tasks of a process that come and go.
const BUSY: u64 = 3;

async fn metric(admin: SocketAddr, name: &str) -> Option<u64> {
    let metrics = Client::new(admin).get("/metrics").await.ok()?.text();
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

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
        provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
        pad.until_position(round + 1).await;
        if before.is_empty() {
            for admin in admins {
                before.push(metric(admin, "ringpad_tasks ").await.expect("a number of tasks"));
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
            let now = metric(admin, "ringpad_tasks ").await?;
            (now <= before + BUSY).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_black_hole_before_the_broker_is_noticed_and_the_connection_is_rebuilt() {
    let node = RabbitNode::shared().await;
    let mut system = System::prepare(&node.url(), 1, &[]);
    let link = Link::to(node.address()).await;
    system.push[0].set("AMQP_URL", &node.url_at(link.at));
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let before = system.private_queues(node, 1).await;
    link.black_hole();
    // Rings still pop, from the log.
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position(1).await;
    until("the connection is replaced", 2 * SOON, async || {
        system.push[0].logged().contains("making a new connection").then_some(())
    })
    .await;
    link.heal();
    until("a new queue in place of the old one", 2 * SOON, async || {
        let queues = system.private_queues(node, 1).await;
        (queues[0].name != before[0].name).then_some(())
    })
    .await;
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position(2).await;
}
