//! Several instances of ingest-svc that share one log.

use std::time::Duration;

use ringpad_proto::v1::SubscribeRequest;
use ringpad_runtime::CancellationToken;
use tokio::net::TcpListener;

use crate::{
    canaries::{LAST_RECEIVED, alive},
    harness::*,
    pads::{TRANSPORTS, Transport},
};

const ANSWER: &str = r#"ringpad_push_ingest_instances{state="answers"}"#;
const FAIL: &str = r#"ringpad_push_ingest_instances{state="fails"}"#;

#[tokio::test]
async fn pads_are_served_while_one_instance_is_frozen_and_another_one_is_gone() {
    let world = World::new().await;
    // Accepts connections and never answers, as a frozen process does.
    let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let second = world.log.serve(CancellationToken::new()).await;
    let urls = [frozen.local_addr().unwrap(), gone, world.log_address, second];
    let urls = urls.map(|address| format!("http://{address}")).join(",");
    let replica = world.replica_with(&[&format!("--ingest-url={urls}")]).await;
    for _ in 0..4 {
        for transport in TRANSPORTS {
            replica.pad(transport, "a", SubscribeRequest::default()).await.begin().await;
        }
    }
    wait_for("two instances to fail", async || metric(&replica, FAIL).await == 2.0).await;
    assert_eq!(metric(&replica, ANSWER).await, 2.0);

    // Another instance fails while pads are connected, and they get what only the log has.
    let mut pads = replica.pads().await;
    world.cut_log();
    wait_for("three instances to fail", async || metric(&replica, FAIL).await == 3.0).await;
    let position = world.log.ring("a").position;
    for pad in &mut pads {
        pad.updates_to(position).await;
    }
    replica.pads().await;
}

#[tokio::test]
async fn an_instance_that_answers_again_is_asked_again() {
    let world = World::new().await;
    let later = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let urls = format!("--ingest-url=http://{later},http://{}", world.log_address);
    let replica = world.replica_with(&[&urls]).await;
    wait_for("one instance to fail", async || metric(&replica, FAIL).await == 1.0).await;
    let stop = CancellationToken::new();
    world.log.serve_at(later, stop.clone()).await;
    wait_for("both to answer", async || metric(&replica, ANSWER).await == 2.0).await;
    world.cut_log();
    wait_for("the first one to fail", async || metric(&replica, FAIL).await == 1.0).await;
    replica.pads().await;
    stop.cancel();
}

#[tokio::test]
async fn a_single_instance_that_answers_again_is_shown_without_a_request() {
    let world = World::new().await;
    // While the bus is alive, a replica without pads sends no request.
    let _alive = alive(&world.bus, world.log.epoch()).await;
    let replica = world.replica().await;
    wait_for("the bus to be alive", async || metric(&replica, LAST_RECEIVED).await > 0.0).await;
    world.cut_log();
    wait_for("it to fail", async || metric(&replica, FAIL).await == 1.0).await;
    let stop = CancellationToken::new();
    world.log.serve_at(world.log_address, stop.clone()).await;
    wait_for("it to answer again", async || metric(&replica, ANSWER).await == 1.0).await;
    stop.cancel();
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_and_the_other_instance_does_not_do_the_same_work() {
    let world = World::new().await;
    let second = world.log.serve(CancellationToken::new()).await;
    let urls = format!("--ingest-url=http://{},http://{second}", world.log_address);
    let replica = world.replica_with(&[&urls]).await;
    // Longer than an instance may take for a request that costs little.
    world.log.answer_after(Duration::from_millis(1_200));
    replica.pad(Transport::GrpcWeb, "a", SubscribeRequest::default()).await.begin().await;
    assert_eq!(world.log.asked_by_pads(), 1);
}
