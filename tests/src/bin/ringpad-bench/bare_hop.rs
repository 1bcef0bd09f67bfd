//! The floor: a bare lapin publish with confirms → fanout exchange → private queue → consume, with messages of an
//! event's size.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Connection, Consumer, ExchangeKind, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use ringpad_tests::{
    rabbit::{RabbitNode, unique},
    wait::{must, within},
};

use crate::open_loop::schedule;

/// Bytes of a message: about what one event takes.
const MESSAGE: usize = 300;

/// A publisher and a consumer, each with a connection of its own.
pub(crate) struct BareHop {
    exchange: String,
    publisher: Channel,
    consumer: Consumer,
    _connections: [Connection; 2],
}

impl BareHop {
    /// Declares and binds what it needs.
    pub(crate) async fn new(node: &RabbitNode) -> Self {
        let exchange = unique("bare-hop");
        let connections = [node.connect().await, node.connect().await];
        let publisher = must("a channel", connections[0].create_channel().await);
        must("confirms", publisher.confirm_select(ConfirmSelectOptions::default()).await);
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let name = exchange.as_str();
        let declared =
            publisher.exchange_declare(name.into(), ExchangeKind::Fanout, options, FieldTable::default());
        must("an exchange", declared.await);
        let channel = must("a channel", connections[1].create_channel().await);
        must("qos", channel.basic_qos(256, BasicQosOptions::default()).await);
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = must("a queue", channel.queue_declare(name.into(), options, FieldTable::default()).await);
        let bound = channel.queue_bind(
            queue.name().clone(),
            name.into(),
            "".into(),
            <_>::default(),
            FieldTable::default(),
        );
        must("a binding", bound.await);
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue.name().clone(), "".into(), options, FieldTable::default()).await;
        Self { publisher, consumer: must("a consumer", consumer), exchange, _connections: connections }
    }

    /// Sends `calls` messages at `rate` a second; how long each took.
    pub(crate) async fn round(&mut self, rate: u32, calls: usize) -> Vec<Duration> {
        let mut due = schedule(rate, calls);
        let (exchange, publisher) = (self.exchange.clone(), self.publisher.clone());
        let epoch = Instant::now();
        let publishing = async {
            let mut confirms = FuturesUnordered::new();
            loop {
                tokio::select! {
                    due = due.recv() => {
                        let Some(due) = due else { break };
                        let at = u64::try_from((due.at - epoch).as_nanos()).expect("a short run");
                        let sent = publish(&publisher, &exchange, at).await;
                        confirms.push(sent);
                    }
                    Some(confirm) = confirms.next() => { must("a confirm", confirm); }
                }
            }
            while let Some(confirm) = confirms.next().await {
                must("a confirm", confirm);
            }
        };
        let consuming = async {
            let mut took = Vec::with_capacity(calls);
            while took.len() < calls {
                let delivery =
                    must("a delivery", self.consumer.next().await.expect("the consumer continues"));
                let at = u64::from_be_bytes(delivery.data[..8].try_into().expect("eight bytes"));
                took.push((epoch + Duration::from_nanos(at)).elapsed());
                must("an ack", delivery.acker.ack(BasicAckOptions::default()).await);
            }
            took
        };
        let ((), took) =
            within("a round", Duration::from_secs(300), async { tokio::join!(publishing, consuming) }).await;
        took
    }

    /// Sends messages for `length` with so many unconfirmed at any time, and consumes them; messages a second.
    pub(crate) async fn burst(&mut self, length: Duration, in_flight: usize) -> f64 {
        let (begun, mut confirms, mut sent) = (Instant::now(), FuturesUnordered::new(), 0_u32);
        let mut consumed = 0;
        while begun.elapsed() < length || consumed < sent {
            if begun.elapsed() < length && confirms.len() < in_flight {
                confirms.push(publish(&self.publisher, &self.exchange, 0).await);
                sent += 1;
                continue;
            }
            tokio::select! {
                Some(confirm) = confirms.next() => { must("a confirm", confirm); }
                delivery = self.consumer.next() => {
                    let delivery = must("a delivery", delivery.expect("the consumer continues"));
                    must("an ack", delivery.acker.ack(BasicAckOptions::default()).await);
                    consumed += 1;
                }
            }
        }
        f64::from(sent) / begun.elapsed().as_secs_f64()
    }
}

/// Publishes one message of an event's size, which begins with `number`.
async fn publish(publisher: &Channel, exchange: &str, number: u64) -> PublisherConfirm {
    let mut body = vec![0; MESSAGE];
    body[..8].copy_from_slice(&number.to_be_bytes());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(2).with_expiration("30000".into());
    must("a publish", publisher.basic_publish(exchange.into(), "".into(), options, &body, properties).await)
}
