//! The broker fails under traffic: no call is refused, and each one reaches every pad once.

use std::{
    net::SocketAddr,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use ringpad_tests::{
    cdr::{self, ring},
    pads::Pad,
    port::free_port,
    provider::Provider,
    rabbit::{QUERIES, RabbitNode},
    services::System,
    wait::{SOON, must, until},
};
use tokio::{
    task::JoinHandle,
    time::{interval, sleep},
};

/// How long a broker's maintenance takes in these tests.
const OUTAGE: Duration = Duration::from_secs(20);
/// How long a broker has no memory left.
const ALARM: Duration = Duration::from_secs(60);

/// A provider that rings twenty times a second until it is told to stop.
struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    sender: JoinHandle<Vec<String>>,
}

impl Traffic {
    fn begin(mut provider: Provider, number: String) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (stop.clone(), sent.clone());
        let sender = tokio::spawn(async move {
            let (mut ticks, mut calls) = (interval(Duration::from_millis(50)), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                // One refused or unanswered request fails the test.
                let taken = provider.deliver(&ring(&number, &cdr::caller())).await;
                assert_eq!(taken.status, "accepted");
                calls.push(taken.call_id);
                count.store(calls.len(), Ordering::Relaxed);
            }
            calls
        });
        Self { stop, sent, sender }
    }

    /// Waits for so many more calls.
    async fn more(&self, calls: usize) {
        let until_now = self.sent.load(Ordering::Relaxed);
        until("more calls are accepted", 3 * SOON, async || {
            assert!(!self.sender.is_finished(), "a call was refused");
            (self.sent.load(Ordering::Relaxed) >= until_now + calls).then_some(())
        })
        .await;
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        must("the provider", self.sender.await)
    }
}

/// Waits until each pad has every call, in the order it was sent in, once.
async fn on_all_pads_once(pads: &mut [Pad], calls: &[String]) {
    for pad in pads {
        pad.until_position_within(calls.len() as u64, Duration::from_secs(90)).await;
        assert_eq!(
            pad.shown(),
            calls,
            "{:?}: other calls than were sent, or in another order",
            pad.transport
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_stopped_for_twenty_seconds_refuses_no_call_and_loses_none() {
    let mut node = RabbitNode::start().await;
    let system = System::start(&node.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let traffic = Traffic::begin(system.provider(), store.virtual_number.clone());
    traffic.more(40).await;

    node.stop().await;
    sleep(OUTAGE).await;
    // Also without the broker the pads get what is sent now.
    traffic.more(10).await;
    up_to_now(&mut pads, &traffic).await;
    all_are_ready(&system).await;

    node.resume().await;
    system.private_queues(&node, 2).await;
    traffic.more(40).await;
    on_all_pads_once(&mut pads, &traffic.end().await).await;
}

#[tokio::test]
async fn without_a_broker_services_start_and_calls_reach_the_pads_from_the_log() {
    let nobody = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let system = System::start(&nobody, 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(system.ring(&store).await);
        for pad in &mut pads {
            pad.update().await;
        }
    }
    on_all_pads_once(&mut pads, &calls).await;
    // The metric of waiting events grows while the broker is away: otherwise no alert could fire.
    until("/metrics shows what waits", SOON, async || {
        let waits = system.metric("ringpad_outbox_events").await >= 1.0;
        (waits && system.metric("ringpad_outbox_age_seconds").await > 0.0).then_some(())
    })
    .await;
}

/// Each replica can serve, from one of its two sources.
async fn all_are_ready(system: &System) {
    for service in &system.push {
        assert_eq!(service.readiness().await.map(|(status, _)| status), Some(200));
    }
}

/// Waits until each pad has what was sent until now.
async fn up_to_now(pads: &mut [Pad], traffic: &Traffic) {
    let now = traffic.sent.load(Ordering::Relaxed) as u64;
    for pad in pads {
        while pad.position() < now {
            pad.update().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_memory_for_a_minute_refuses_no_call_and_loses_none() {
    let node = RabbitNode::start().await;
    let system = System::start(&node.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let traffic = Traffic::begin(system.provider(), store.virtual_number.clone());
    traffic.more(40).await;

    node.raise_memory_alarm().await;
    node.until_blocked().await;
    sleep(ALARM).await;
    // Nothing has come over the bus for long; the pads get what is sent now.
    traffic.more(10).await;
    up_to_now(&mut pads, &traffic).await;
    all_are_ready(&system).await;
    assert!(system.metric("ringpad_outbox_events").await >= 1.0, "the relay waits");

    node.end_memory_alarm().await;
    traffic.more(40).await;
    on_all_pads_once(&mut pads, &traffic.end().await).await;
    until("the relay has drained", QUERIES, async || {
        (system.metric("ringpad_outbox_events").await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_without_queue_and_log_says_why_it_is_not_ready_and_recovers() {
    let nobody = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let mut system = System::prepare(&nobody, 1, &[]);
    system.push[0].spawn();
    let said =
        until("the replica says that it is not ready", SOON, async || system.push[0].readiness().await).await;
    assert_eq!(said.0, 503);
    assert!(said.1.len() > "not ready: ".len(), "a 503 says why in words: {said:?}");
    system.ingest.start().await;
    system.push[0].ready().await;
}

#[tokio::test]
async fn a_wrong_password_is_logged_and_not_shown() {
    let node = RabbitNode::shared().await;
    let url = node.url().replace("guest:guest", "guest:a-wrong-password");
    let system = System::start(&url, 1).await;
    let address: SocketAddr = system.push_at[0].pads;
    for service in [&system.ingest, &system.push[0]] {
        until("the refused password is logged", SOON, async || {
            service.logged().contains("refused").then_some(())
        })
        .await;
        assert!(!service.logged().contains("a-wrong-password"));
    }
    let store = system.store("gangnam").await;
    let pad =
        Pad::open(ringpad_tests::pads::Transport::GrpcWeb, address, &system.subscription(&store.id)).await;
    assert_eq!(pad.snapshot.position, 0);
}
