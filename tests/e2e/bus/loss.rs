//! The connection to the broker ends: everything fails immediately. A broker that accepts nothing for a while is not a loss.

use ringpad_bus::{ConnectError, Loss, PublishOutcome, ReceivedMessage};
use ringpad_tests::{
    port::free_address,
    rabbit::{QUERIES, RabbitNode, unique},
    wait::{SOON, must, until, within},
};
use tokio::{net::TcpListener, runtime::Handle};

use super::{ORIGIN, TTL, batch, bus, event, publisher, send, subscription};

#[tokio::test]
async fn when_the_broker_ends_publishers_confirms_and_subscriptions_are_lost() {
    let mut node = RabbitNode::start().await;
    let bus = bus(&node.url(), &unique("ends"));
    for abruptly in [true, false] {
        let mut subscription = subscription(&bus).await;
        let mut idle = publisher(&bus).await;
        let mut busy = publisher(&bus).await;
        assert_eq!(send(&mut busy, 1).await, Ok(PublishOutcome::Delivered));
        assert_eq!(batch(&mut subscription).await.events, [event(1)]);

        // A frozen broker reads messages and answers none, so these confirms are surely missing.
        node.freeze();
        for position in 2..=5 {
            must("a send", busy.send(&[event(position)], TTL).await);
        }
        if abruptly {
            node.kill().await;
        } else {
            node.thaw();
            node.stop().await;
        }
        for _ in 2..=5 {
            let outcome = within("an outcome", SOON, busy.outcome()).await;
            // In an orderly stop the broker may answer first, so any outcome will do.
            assert!(!abruptly || outcome.is_err(), "{outcome:?}");
        }
        for publisher in [&mut idle, &mut busy] {
            let lost = within("a publisher's loss", SOON, publisher.outcome()).await;
            assert!(matches!(lost, Err(Loss::Connection(_))), "{lost:?}");
        }
        assert!(matches!(send(&mut idle, 6).await, Err(Loss::Connection(_))));
        let lost = within("the subscription's loss", SOON, async {
            loop {
                if let Err(lost) = subscription.next().await {
                    return lost;
                }
            }
        });
        assert!(matches!(lost.await, Loss::Connection(_)));
        assert!(matches!(subscription.next().await, Err(Loss::Connection(_))), "it stays lost");
        assert!(matches!(bus.publisher(ORIGIN).await, Err(ConnectError::Unreachable { .. })));
        node.resume().await;
    }
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_noticed_and_delays_nothing() {
    let node = RabbitNode::start().await;
    let exchange = unique("silent");
    let bus_at = |parameters: &str| bus(&format!("{}?heartbeat=1{parameters}", node.url()), &exchange);
    // On a busy machine a healthy broker may take longer to answer than the bound of the connections that must fail.
    let patient = bus_at("");
    let quick = bus_at("&connection_timeout=500");
    let mut subscription = subscription(&patient).await;
    let mut publisher = publisher(&patient).await;
    node.freeze();
    assert!(matches!(quick.publisher(ORIGIN).await, Err(ConnectError::Silent { .. })));
    assert!(matches!(quick.subscribe().await, Err(ConnectError::Silent { .. })));
    assert!(matches!(
        within("the publisher's loss", SOON, publisher.outcome()).await,
        Err(Loss::Connection(_))
    ));
    assert!(matches!(
        within("the subscription's loss", SOON, subscription.next()).await,
        Err(Loss::Connection(_))
    ));
    // An orderly close, with a broker that does not answer.
    within("both are closed", SOON, async {
        publisher.close().await;
        subscription.close().await;
    })
    .await;
    node.thaw();
}

#[tokio::test]
async fn a_subscription_whose_queue_is_deleted_is_lost() {
    let node = RabbitNode::shared().await;
    let bus = bus(&node.url(), &unique("deleted"));
    let mut subscription = subscription(&bus).await;
    let queue = subscription.queue().to_owned();
    node.delete_queue(&queue).await;
    let lost = within("the loss", SOON, subscription.next()).await;
    assert!(matches!(lost, Err(Loss::QueueDeleted)), "{lost:?}");
}

#[tokio::test]
async fn a_publisher_whose_exchange_is_deleted_is_lost() {
    let node = RabbitNode::shared().await;
    let exchange = unique("deleted");
    let bus = bus(&node.url(), &exchange);
    let mut first = publisher(&bus).await;
    node.delete_exchange(&exchange).await;
    assert!(matches!(within("the loss", SOON, send(&mut first, 1)).await, Err(Loss::Connection(_))));
    assert!(matches!(within("the loss", SOON, first.outcome()).await, Err(Loss::Connection(_))));
    let mut second = publisher(&bus).await;
    assert_eq!(send(&mut second, 1).await, Ok(PublishOutcome::NoRoute));
}

#[tokio::test]
async fn while_the_broker_blocks_publishers_messages_wait_and_are_delivered_afterwards() {
    let node = RabbitNode::start().await;
    let exchange = unique("blocked");
    let bus = bus(&format!("{}?heartbeat=1", node.url()), &exchange);
    let mut subscription = subscription(&bus).await;
    let mut publisher = publisher(&bus).await;
    assert_eq!(send(&mut publisher, 1).await, Ok(PublishOutcome::Delivered));
    assert_eq!(batch(&mut subscription).await.head.number, 1);

    // Who uses a connection answers the broker's heartbeats while it waits.
    tokio::select! {
        () = node.raise_memory_alarm() => {}
        next = subscription.next() => panic!("{next:?} was not sent"),
        outcome = publisher.outcome() => panic!("{outcome:?} of nothing"),
    }
    let sending = async {
        // The first makes the broker block the connection; the next are held back.
        for position in 2..=9 {
            must("a send", publisher.send(&[event(position)], TTL).await);
        }
        for _ in 2..=9 {
            let outcome = within("an outcome", QUERIES, publisher.outcome()).await;
            assert_eq!(outcome, Ok(PublishOutcome::Delivered));
        }
    };
    let ending = async {
        node.until_blocked().await;
        node.end_memory_alarm().await;
    };
    let receiving = async {
        for number in 2..=9 {
            let next = must("a message", within("a message", QUERIES, subscription.next()).await);
            let ReceivedMessage::Batch(batch) = next else { panic!("{next:?} instead of a batch") };
            assert_eq!(batch.head.number, number);
        }
    };
    tokio::join!(sending, ending, receiving);
}

/// In a day without the broker there are a few thousand tries.
#[tokio::test]
async fn a_connection_that_fails_leaves_no_task_behind() {
    let closed = free_address();
    let resets = must("a listener", TcpListener::bind("127.0.0.1:0").await);
    let silent = must("a listener", TcpListener::bind("127.0.0.1:0").await);
    let silent_address = must("its address", silent.local_addr());
    let resetting_address = must("its address", resets.local_addr());
    let resetting = tokio::spawn(async move {
        loop {
            let (stream, _) = must("accept", resets.accept().await);
            must("a reset", stream.set_zero_linger());
        }
    });
    let limited = format!("amqp://guest:guest@{silent_address}/%2f?connection_timeout=300");
    let urls = [closed, resetting_address].map(|at| format!("amqp://guest:guest@{at}/%2f"));
    let alive = || Handle::current().metrics().num_alive_tasks();
    for url in urls.iter().chain([&limited]) {
        let (bus, before) = (bus(url, &unique("fails")), alive());
        for _ in 0..10 {
            assert!(within("a failure", SOON, bus.publisher(ORIGIN)).await.is_err());
        }
        until(&format!("no task is left of {url}"), SOON, async || (alive() <= before).then_some(())).await;
    }
    resetting.abort();
}
