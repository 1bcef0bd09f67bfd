//! The declared exchanges and queues, as the broker shows them, and what happens if something else has their names.

use std::error::Error;

use lapin::{ExchangeKind, options::ExchangeDeclareOptions, types::FieldTable};
use ringpad_bus::{ConnectError, PublishOutcome};
use ringpad_tests::{
    port::free_port,
    rabbit::{QUERIES, Queue, RabbitNode, unique},
    wait::{must, until},
};

use super::{ORIGIN, bus, publisher, send, subscription};

async fn queue(node: &RabbitNode, name: &str) -> Option<Queue> {
    node.queues().await.into_iter().find(|queue| queue.name == name)
}

#[tokio::test]
async fn a_replica_has_a_private_queue_that_is_deleted_with_its_connection() {
    let node = RabbitNode::shared().await;
    let exchange = unique("private");
    let bus = bus(&node.url(), &exchange);
    let replica = subscription(&bus).await;
    let other = subscription(&bus).await;
    assert_ne!(replica.queue(), other.queue());

    let name = replica.queue().to_owned();
    let Some(private) = queue(node, &name).await else { panic!("{name} does not exist") };
    assert!(name.starts_with(&format!("{exchange}-inbound-")), "{name}");
    assert_eq!(private.kind, "classic");
    assert!(private.exclusive && private.auto_delete && !private.durable, "{private:?}");
    assert!(
        private.arguments.contains(&format!(r#"{{"x-dead-letter-exchange","{exchange}.dead"}}"#)),
        "{private:?}"
    );
    for bound in [r#"{"x-max-length",10000}"#, r#"{"x-max-length-bytes",134217728}"#] {
        assert!(private.arguments.contains(bound), "{private:?}");
    }

    let abrupt = other.queue().to_owned();
    replica.close().await;
    drop(other);
    until("both private queues are gone", QUERIES, async || {
        let queues = node.queues().await;
        queues.iter().all(|queue| queue.name != name && queue.name != abrupt).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_publisher_alone_declares_the_exchanges_and_the_dead_letter_queue() {
    let node = RabbitNode::shared().await;
    let exchange = unique("declared");
    let _publisher = publisher(&bus(&node.url(), &exchange)).await;

    let dead = format!("{exchange}.dead");
    let exchanges =
        node.ctl(&["list_exchanges", "--no-table-headers", "name", "type", "durable", "auto_delete"]).await;
    let lines: Vec<Vec<_>> = exchanges.lines().map(|line| line.split('\t').collect()).collect();
    assert!(lines.contains(&vec![exchange.as_str(), "fanout", "true", "false"]), "{exchanges}");
    assert!(lines.contains(&vec![dead.as_str(), "fanout", "true", "false"]), "{exchanges}");

    let Some(letters) = queue(node, &dead).await else { panic!("{dead} does not exist") };
    assert_eq!(letters.kind, "classic");
    assert!(letters.durable && !letters.exclusive && !letters.auto_delete, "{letters:?}");
    assert!(letters.arguments.contains(r#"{"x-max-length",10000}"#), "{letters:?}");
    assert!(letters.arguments.contains(r#"{"x-message-ttl",604800000}"#), "{letters:?}");
    let bindings =
        node.ctl(&["list_bindings", "--no-table-headers", "source_name", "destination_name"]).await;
    assert!(bindings.lines().any(|line| line == format!("{dead}\t{dead}")), "{bindings}");
}

#[tokio::test]
async fn an_exchange_of_another_type_is_an_error_with_the_command_that_repairs_it() {
    let node = RabbitNode::shared().await;
    for suffix in ["", ".dead"] {
        let exchange = unique("owner's");
        let wrong = format!("{exchange}{suffix}");
        declare(node, &wrong, ExchangeKind::Topic, true).await;

        let bus = bus(&node.url(), &exchange);
        let Err(error) = bus.publisher(ORIGIN).await else { panic!("{wrong} was accepted as it is") };
        assert!(error.is_fatal());
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("the exchange {wrong:?} is of type topic, not fanout; ")),
            "{said}"
        );
        assert!(!said.contains('\n'), "{said}");
        assert!(matches!(bus.subscribe().await, Err(ConnectError::WrongExchangeType { .. })));

        let ConnectError::WrongExchangeType { command, .. } = error else { panic!("{error:?}") };
        assert!(said.contains(&command), "{said}");
        let expression = command.strip_prefix("rabbitmqctl eval '").and_then(|rest| rest.strip_suffix('\''));
        let Some(expression) = expression else { panic!("{command}") };
        node.ctl(&["eval", &expression.replace(r"'\''", "'")]).await;
        let mut repaired = publisher(&bus).await;
        assert_eq!(send(&mut repaired, 1).await, Ok(PublishOutcome::NoRoute));
    }
}

#[tokio::test]
async fn an_exchange_that_is_not_durable_is_an_error_and_is_tried_again() {
    let node = RabbitNode::shared().await;
    let exchange = unique("transient");
    declare(node, &exchange, ExchangeKind::Fanout, false).await;
    match bus(&node.url(), &exchange).publisher(ORIGIN).await {
        Err(error @ ConnectError::WrongTopology(_)) => {
            let cause = error.source().map(ToString::to_string);
            assert!(cause.is_some_and(|cause| cause.contains("inequivalent arg 'durable'")), "{error}");
            assert!(!error.is_fatal());
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn a_wrong_password_a_missing_virtual_host_and_a_closed_port_are_different_errors() {
    let node = RabbitNode::shared().await;
    let port = node.address().port();
    for wrong in [
        format!("amqp://guest:hunter2@127.0.0.1:{port}/%2f"),
        format!("amqp://guest:guest@127.0.0.1:{port}/none"),
    ] {
        match bus(&wrong, "refused").publisher(ORIGIN).await {
            Err(error @ ConnectError::Refused(_)) => {
                assert!(!error.is_fatal() && !format!("{error} {error:?}").contains("hunter2"), "{error}");
            }
            other => panic!("{:?}", other.map(drop)),
        }
    }
    let closed = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    match bus(&closed, "unreachable").subscribe().await {
        Err(error @ ConnectError::Unreachable { .. }) => assert!(!error.is_fatal(), "{error}"),
        other => panic!("{:?}", other.map(drop)),
    }
}

async fn declare(node: &RabbitNode, exchange: &str, kind: ExchangeKind, durable: bool) {
    let channel = must("a channel", node.connect().await.create_channel().await);
    let options = ExchangeDeclareOptions { durable, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(exchange.into(), kind, options, FieldTable::default()).await;
    must("an exchange of another kind", declared);
}
