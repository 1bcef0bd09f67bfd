//! The harness's RabbitMQ nodes do what the other tests need of them.

use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use ringpad_tests::rabbit::{RabbitNode, unique};
use ringpad_tests::wait::{must, within};
use std::time::Duration;

#[tokio::test]
async fn a_node_is_stopped_killed_and_started_again_with_its_data() {
    let mut node = RabbitNode::start().await;
    let name = unique("kept");
    let channel = must("a channel", node.connect().await.create_channel().await);
    must("confirms", channel.confirm_select(ConfirmSelectOptions::default()).await);
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    must("a queue", channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await);

    node.stop().await;
    node.resume().await;
    assert!(
        node.queues()
            .await
            .iter()
            .any(|queue| queue.name == name && queue.durable && queue.kind == "classic")
    );

    node.kill().await;
    node.resume().await;
    node.freeze();
    node.thaw();
    within("a connection after a thaw", Duration::from_secs(20), node.connect()).await;
}
