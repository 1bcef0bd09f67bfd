//! Two installations on one exchange: neither uses the other's messages, or takes the other's canaries for its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::{BasicProperties, options::BasicPublishOptions};
use ringpad_bus::{Batch, CONTENT_TYPE, Event, Head};
use ringpad_tests::{
    http,
    link::Link,
    pads::Pad,
    rabbit::RabbitNode,
    services::{Service, Shop, System},
    wait::{SOON, must, until},
};
use uuid::Uuid;

/// Longer than a connection without any message is kept, 15 s.
const REBUILT: Duration = Duration::from_secs(60);

const OTHERS: &str = r#"ringpad_push_bus_messages_total{kind="other_log"}"#;
const OLDER: &str = r#"ringpad_push_bus_messages_total{kind="older_version"}"#;
const OURS: &str = r#"ringpad_push_bus_messages_total{kind="batch"}"#;
const LIVE: &str = r#"ringpad_push_events_total{outcome="live"}"#;
const NOT_HELD: &str = r#"ringpad_push_events_total{outcome="not_held"}"#;
const HEARD: &str = "ringpad_push_bus_heard_timestamp_seconds";

/// An installation with a store of its own and a pad on each transport.
struct Installation {
    system: System,
    store: Shop,
    pads: Vec<Pad>,
}

impl Installation {
    async fn start(mut system: System) -> Self {
        system.ingest.start().await;
        system.push[0].start().await;
        // The same id everywhere, as a copy of production has it.
        let store = system.store("gangnam").await;
        until("a message of its own ingest-svc has come", SOON, async || {
            (metric(&system, OURS).await >= 1.0).then_some(())
        })
        .await;
        let pads = system.pads(&store.id).await;
        Self { system, store, pads }
    }

    /// Rings once; every pad shows this call next.
    async fn ring(&mut self) {
        let record = self.store.ring();
        let call = self.system.provider().deliver(&record).await.call_id;
        for pad in &mut self.pads {
            let update = pad.update().await;
            assert_eq!(update.call.map(|shown| shown.id), Some(call.clone()), "{:?}", pad.transport);
        }
    }
}

/// A metric of push-svc now.
async fn metric(system: &System, series: &str) -> f64 {
    http::metric(system.push_at[0].admin, series).await
}

async fn logs(service: &Service, words: &str) {
    until(words, SOON, async || service.logged().contains(words).then_some(())).await;
}

/// Ours, which reaches the broker through the link, and another one on the same exchange.
async fn two_installations(node: &RabbitNode, link: &Link) -> [Installation; 2] {
    let mut ours = System::prepare(&node.url(), 1, &[]);
    ours.ingest.set("AMQP_URL", &node.url_at(link.at));
    let mut another = System::prepare(&node.url(), 1, &[]);
    for service in [&mut another.ingest, &mut another.push[0]] {
        service.set("AMQP_EXCHANGE", &ours.exchange);
        service.set("AMQP_QUEUE_PREFIX", &ours.queue_prefix);
    }
    [Installation::start(ours).await, Installation::start(another).await]
}

/// Rings until one has come over the bus. The first ones may be read in the log before, while the bus counts as silent.
async fn rings_come_over_the_bus(ours: &mut Installation) {
    let live = metric(&ours.system, LIVE).await;
    until("a ring comes over the bus", REBUILT, async || {
        ours.ring().await;
        (metric(&ours.system, LIVE).await > live).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rings_arrive_and_it_is_reported_when_only_our_installation_loses_the_broker() {
    let node = RabbitNode::shared().await;
    let link = Link::to(node.address()).await;
    let [mut ours, mut another] = two_installations(node, &link).await;
    ours.ring().await;
    another.ring().await;
    logs(&ours.system.push[0], "messages of another log on our exchange").await;

    link.black_hole();
    ours.ring().await;
    logs(&ours.system.push[0], "no ingest-svc of our log is alive on the bus, only others").await;
    // With all messages of the other one, ours is still silent: otherwise no alert could fire.
    let (heard, others) = (metric(&ours.system, HEARD).await, metric(&ours.system, OTHERS).await);
    until("more messages of the other one come", SOON, async || {
        (metric(&ours.system, OTHERS).await > others + 5.0).then_some(())
    })
    .await;
    assert_eq!(metric(&ours.system, HEARD).await.to_bits(), heard.to_bits());
    let now = must("the time", SystemTime::now().duration_since(UNIX_EPOCH)).as_secs_f64();
    assert!(heard > 0.0 && heard < now, "{heard}");
    for _ in 0..3 {
        ours.ring().await;
        another.ring().await;
    }
    // Without an answer the relay tries to connect for 10 s, and waits before the next try.
    link.heal();
    until("messages of ours come again", REBUILT, async || {
        (metric(&ours.system, HEARD).await > heard).then_some(())
    })
    .await;
    rings_come_over_the_bus(&mut ours).await;
    // No message of the other one is on the way: it would have come before these.
    another.ring().await;
    assert!(
        !another.system.push[0].logged().contains("only others"),
        "messages of its own came all the time"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_no_longer_bound_is_made_again() {
    let node = RabbitNode::shared().await;
    let mut ours = Installation::start(System::prepare(&node.url(), 1, &[])).await;
    ours.ring().await;
    node.delete_exchange(&ours.system.exchange).await;
    // ingest-svc makes a new exchange, and push-svc does not know of it.
    ours.ring().await;
    rings_come_over_the_bus(&mut ours).await;
    logs(&ours.system.push[0], "making a new connection").await;
}

#[tokio::test]
async fn messages_of_an_older_version_bring_their_events_and_are_not_canaries() {
    let node = RabbitNode::shared().await;
    let mut ours = Installation::start(System::prepare(&node.url(), 1, &[])).await;
    ours.ring().await;
    let heard = metric(&ours.system, HEARD).await;
    ours.system.ingest.kill().await;
    // Messages as earlier versions wrote them.
    let channel = must("a channel", node.connect().await.create_channel().await);
    let publisher = Uuid::new_v4();
    let mut number = 0;
    until("a log line says that no message of ours comes", SOON, async || {
        number += 1;
        let (mut body, head) =
            (Vec::new(), Head { publisher, number, origin: None, goodbye: false, sent_at: None });
        let (store_id, bytes) = ("nobodys".to_owned(), Bytes::from_static(b"x"));
        let event = Event { store_id, epoch: Uuid::new_v4(), position: number, bytes, receipt: None };
        Batch::encode(&head, &[event], &mut body);
        let properties = BasicProperties::default().with_content_type(CONTENT_TYPE.into());
        let (exchange, options) = (ours.system.exchange.as_str().into(), BasicPublishOptions::default());
        must("a publish", channel.basic_publish(exchange, "".into(), options, &body, properties).await);
        ours.system.push[0].logged().contains("no ingest-svc of our log is alive").then_some(())
    })
    .await;
    assert!(metric(&ours.system, OLDER).await >= 1.0);
    assert!(metric(&ours.system, NOT_HELD).await >= 1.0, "their events are counted");
    assert!(metric(&ours.system, HEARD).await < heard + 3.0);
    ours.system.ingest.start().await;
    ours.ring().await;
}
