//! The services' exchanges and queues, as the broker shows them.

use lapin::{
    BasicProperties, ExchangeKind,
    options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions},
    types::FieldTable,
};
use ringpad_tests::{
    cdr::{self, ring},
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};
use uuid::Uuid;

#[tokio::test]
async fn each_replica_has_a_private_queue_that_ends_with_it() {
    let node = RabbitNode::shared().await;
    let mut system = System::start(&node.url(), 2).await;
    let queues = system.private_queues(node, 2).await;
    for queue in &queues {
        assert_eq!(
            (queue.kind.as_str(), queue.exclusive, queue.auto_delete, queue.durable),
            ("classic", true, true, false),
            "{queue:?}"
        );
        let id = queue.name.strip_prefix(&format!("{}-", system.queue_prefix)).unwrap_or_default();
        assert!(Uuid::parse_str(id).is_ok(), "{}", queue.name);
    }
    assert_ne!(queues[0].name, queues[1].name);
    system.push[0].kill().await;
    system.private_queues(node, 1).await;
    system.push[1].kill().await;
    system.private_queues(node, 0).await;
}

#[tokio::test]
async fn the_exchanges_are_durable_fanouts_and_dead_letters_are_kept_within_bounds() {
    let node = RabbitNode::shared().await;
    let system = System::start(&node.url(), 1).await;
    system.private_queues(node, 1).await;
    let exchanges = node.ctl(&["list_exchanges", "--no-table-headers", "name", "type", "durable"]).await;
    for name in [system.exchange.clone(), format!("{}.dead", system.exchange)] {
        let line = format!("{name}\tfanout\ttrue");
        assert!(exchanges.lines().any(|exchange| exchange == line), "no {line:?} in\n{exchanges}");
    }
    let dead =
        node.queues().await.into_iter().find(|queue| queue.name == format!("{}.dead", system.exchange));
    let dead = dead.expect("a queue of dead letters");
    assert_eq!((dead.kind.as_str(), dead.durable, dead.exclusive), ("classic", true, false));
    for bound in ["10000", "604800000"] {
        assert!(dead.arguments.contains(bound), "{dead:?}");
    }
}

#[tokio::test]
async fn an_unreadable_message_is_dead_lettered_and_a_foreign_one_ignored() {
    let node = RabbitNode::shared().await;
    let system = System::start(&node.url(), 1).await;
    let store = system.store("gangnam").await;
    system.private_queues(node, 1).await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let connection = node.connect().await;
    let channel = must("a channel", connection.create_channel().await);
    must("confirms", channel.confirm_select(ConfirmSelectOptions::default()).await);

    // The content type of the product's messages is read from one of them.
    let tap = must("a queue", channel.queue_declare("".into(), exclusive(), FieldTable::default()).await);
    let bound = channel.queue_bind(
        tap.name().clone(),
        system.exchange.as_str().into(),
        "".into(),
        <_>::default(),
        <_>::default(),
    );
    must("a binding", bound.await);
    let ours = until("a message of ours", SOON, async || {
        must("basic.get", channel.basic_get(tap.name().clone(), <_>::default()).await)
    })
    .await;
    let kind = ours.delivery.properties.content_type().clone().expect("our messages have a content type");

    let foreign = BasicProperties::default().with_content_type("application/json".into());
    let poison = BasicProperties::default().with_content_type(kind);
    for (properties, body) in [(foreign, &b"{\"seq\":\"1\"}"[..]), (poison, &b"\xff\xff\xff no batch"[..])] {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = channel
            .basic_publish(system.exchange.as_str().into(), "".into(), options, body, properties)
            .await;
        must("a confirm", must("a publish", sent).await);
    }
    until("the poison message is dead-lettered, and nothing else", SOON * 2, async || {
        let queues = node.queues().await;
        let dead = queues.iter().find(|queue| queue.name == format!("{}.dead", system.exchange))?;
        (dead.messages == 1).then_some(())
    })
    .await;
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.until_position(1).await;
}

fn exclusive() -> lapin::options::QueueDeclareOptions {
    lapin::options::QueueDeclareOptions { exclusive: true, ..lapin::options::QueueDeclareOptions::default() }
}

#[tokio::test]
async fn an_exchange_of_another_type_ends_the_start_with_the_command_that_repairs_it() {
    let node = RabbitNode::shared().await;
    let mut system = System::prepare(&node.url(), 1, &[]);
    let channel = must("a channel", node.connect().await.create_channel().await);
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let name = system.exchange.clone();
    must(
        "an exchange",
        channel.exchange_declare(name.as_str().into(), ExchangeKind::Topic, options, <_>::default()).await,
    );
    for service in [&mut system.ingest, &mut system.push[0]] {
        service.spawn();
        assert_eq!(service.exit().await, 2);
        let logged = service.logged();
        let last = logged.lines().last().unwrap_or_default();
        for word in [name.as_str(), "topic", "fanout", "delete"] {
            assert!(last.contains(word), "no {word:?} in the last line: {last}");
        }
    }
}
