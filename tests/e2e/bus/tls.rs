//! `amqps://` with a private certificate authority.

use std::error::Error;

use ringpad_bus::{ConnectError, PublishOutcome};
use ringpad_tests::{
    certificates::{authority, certificate},
    port::free_port,
    rabbit::{RabbitNode, unique},
    wait::must,
};

use super::{ORIGIN, batch, publisher, send, settings, subscription};

#[tokio::test]
async fn a_broker_behind_a_private_authority_is_trusted_with_its_ca_file_only() {
    let directory = must("a directory", tempfile::tempdir());
    authority(directory.path(), "ca").await;
    certificate(directory.path(), "ca", "broker", "IP:127.0.0.1").await;
    let port = free_port();
    let at = |file: &str| directory.path().join(file).display().to_string();
    let node = RabbitNode::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.verify = verify_none",
        at("ca.pem"),
        at("broker.pem"),
        at("broker.key"),
    ))
    .await;

    let url = format!("amqps://guest:guest@127.0.0.1:{port}/%2f");
    let exchange = unique("tls");
    let mut trusting = settings(&url, &exchange);
    let bus = must("settings without a CA", trusting.bus());
    match bus.publisher(ORIGIN).await {
        Err(error @ ConnectError::Unreachable { .. }) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(why.contains("UnknownIssuer"), "{why}");
        }
        other => panic!("{:?}", other.map(drop)),
    }

    trusting.amqp_ca_file = Some(directory.path().join("ca.pem"));
    let bus = must("settings with a CA", trusting.bus());
    let mut subscription = subscription(&bus).await;
    let mut publisher = publisher(&bus).await;
    assert_eq!(send(&mut publisher, 1).await, Ok(PublishOutcome::Delivered));
    assert_eq!(batch(&mut subscription).await.head.number, 1);
    publisher.close().await;
    subscription.close().await;
    drop(node);
}
