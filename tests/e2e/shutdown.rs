//! SIGTERM: a replica asks its pads to reconnect, ingest-svc finishes what it was sent, and both end with exit code 0. A second
//! one ends them immediately.

use std::time::Duration;

use futures_util::stream;
use lapin::{ExchangeKind, options::ExchangeDeclareOptions};
use ringpad_proto::v1::{IngestCallStreamRequest, IngestStatus, ListCallsRequest};
use ringpad_tests::{
    cdr::{self, ring, urlencoded},
    http::channel,
    link::Link,
    pads::{Pad, StreamEnd, Transport},
    port::free_port,
    provider::{CdrAnswer, FORM},
    rabbit::RabbitNode,
    services::{Service, System},
    token::Claims,
    wait::{SOON, must, until, within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};
use tonic_types::StatusExt;

/// The exit code after a second signal: the one that a shell reports for SIGINT.
const SECOND_SIGNAL: i32 = 130;

/// Sends the first SIGTERM and waits until the service has received it.
async fn shut_down(service: &Service) {
    service.terminate();
    until("it logs that it shuts down", SOON, async || {
        service.logged().contains("a second signal exits at once").then_some(())
    })
    .await;
}

/// The status says that the process shuts down, and when to try again.
fn is_shutting_down(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("shutting down"), "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
}

/// A request without its last byte.
async fn unfinished_request(system: &System, body: &str) -> TcpStream {
    let mut stream = must("a connection", TcpStream::connect(system.ingest_at.http).await);
    let (length, body) = (body.len(), &body[..body.len() - 1]);
    let head = format!(
        "POST /v1/cdr/bizcall HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {length}\r\n\r\n"
    );
    must("all but a byte", stream.write_all(format!("{head}{body}").as_bytes()).await);
    stream
}

/// Its first connection to the broker finds an exchange of another type, while its pads are asked to leave.
#[tokio::test]
async fn a_draining_replica_whose_subscription_fails_serves_its_pads_to_the_end_and_exits_2() {
    let node = RabbitNode::shared().await;
    let link = Link::to(node.address()).await;
    link.black_hole();
    let mut system = System::prepare(&node.url_at(link.at), 1, &[("DRAIN_WINDOW", "6s")]);
    let nowhere = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    system.ingest.set("AMQP_URL", &nowhere);
    let channel = must("a channel", node.connect().await.create_channel().await);
    let (name, durable) =
        (system.exchange.as_str(), ExchangeDeclareOptions { durable: true, ..<_>::default() });
    let declared = channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, <_>::default());
    must("an exchange", declared.await);
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;

    shut_down(&system.push[0]).await;
    link.heal();
    until("its subscription fails", SOON, async || {
        system.push[0].logged().contains("a task failed").then_some(())
    })
    .await;
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    for pad in &mut pads {
        pad.until_position(1).await;
    }
    for pad in &mut pads {
        pad.asked_to_reconnect().await;
        assert_eq!(pad.end().await, StreamEnd::of_drain(pad.transport));
    }
    assert_eq!(system.push[0].exit().await, 2);
    let logged = system.push[0].logged();
    let last = logged.lines().last().unwrap_or_default();
    assert!(last.contains(&system.exchange) && last.contains("topic"), "{last}");
}

#[tokio::test]
async fn a_draining_replica_asks_its_pads_to_reconnect_and_exits_0() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let token = Claims::new(&store.id, "counter").token();
    let mut provider = system.provider();
    let mut pads = system.pads_on(0, &store.id).await;
    provider.deliver(&store.ring()).await;
    for pad in &mut pads {
        pad.until_position(1).await;
    }

    system.push[0].terminate();
    for pad in &mut pads {
        assert!(pad.asked_to_reconnect().await <= Duration::from_secs(30));
        // Make before break: the next stream first.
        let mut next = Pad::open(pad.transport, system.push_at[1].pads, &pad.resumption(&token)).await;
        assert!(next.snapshot.resumed);
        provider.deliver(&store.ring()).await;
        let position = next.position() + 1;
        next.until_position(position).await;
        assert_eq!(pad.end().await, StreamEnd::of_drain(pad.transport), "{:?}", pad.transport);
    }
    assert_eq!(system.push[0].exit().await, 0);
}

#[tokio::test]
async fn while_it_drains_a_replica_is_not_ready_and_takes_no_new_stream() {
    let settings = [("DRAIN_WINDOW", "8s")];
    let mut system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let store = system.store("gangnam").await;
    // Enough pads that some have not been asked to reconnect yet.
    let mut pads = Vec::new();
    for _ in 0..4 {
        pads.extend(system.pads(&store.id).await);
    }
    system.push[0].terminate();
    let readiness = system.push[0].not_ready().await;
    assert!(readiness.len() > "not ready: ".len(), "a 503 says why in words: {readiness:?}");
    let asked = system.subscription(&store.id);
    for transport in Transport::ALL {
        let end = Pad::try_open(transport, system.push_at[0].pads, &asked).await.expect_err("no new stream");
        // A load balancer can try the next replica after a 503, not after a gRPC error in a 200.
        assert_eq!(end, StreamEnd::Http(503), "{transport:?}");
    }
    for pad in &mut pads {
        pad.asked_to_reconnect().await;
    }
    assert_eq!(system.push[0].exit().await, 0);
}

#[tokio::test]
async fn until_the_drain_delay_is_over_a_replica_that_is_not_ready_accepts_new_streams_and_ends_none() {
    let settings = [("DRAIN_DELAY", "8s"), ("DRAIN_WINDOW", "200ms")];
    let mut system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    system.push[0].terminate();
    system.push[0].not_ready().await;
    pads.extend(system.pads(&store.id).await);
    system.ring(&store).await;
    for pad in &mut pads {
        pad.until_position(1).await;
        assert_eq!(pad.reconnect_after, None, "{:?}: sent away too early", pad.transport);
    }
    for pad in &mut pads {
        pad.asked_to_reconnect().await;
    }
    let asked = system.subscription(&store.id);
    let refused = Pad::try_open(Transport::GrpcWeb, system.push_at[0].pads, &asked).await;
    assert_eq!(refused.expect_err("no new stream"), StreamEnd::Http(503));
    drop(pads);
    assert_eq!(system.push[0].exit().await, 0);
}

#[tokio::test]
async fn ingest_exits_0_and_its_log_continues_at_the_next_start() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    system.ring(&store).await;
    system.ingest.stop().await;
    system.ingest.start().await;
    system.ring(&store).await;
    pad.until_position(2).await;
}

#[tokio::test]
async fn a_second_sigterm_ends_a_draining_replica_immediately() {
    let settings = [("DRAIN_WINDOW", "600s")];
    let mut system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let store = system.store("gangnam").await;
    let _pads = system.pads(&store.id).await;
    shut_down(&system.push[0]).await;
    system.push[0].terminate();
    assert_eq!(system.push[0].exit().await, SECOND_SIGNAL);
}

#[tokio::test]
async fn a_second_sigterm_ends_ingest_immediately() {
    // An unfinished request, and an event that cannot be published, delay its end by ten seconds.
    let nobody = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let mut system = System::start(&nobody, 0).await;
    let store = system.store("gangnam").await;
    system.ring(&store).await;
    let _unfinished = unfinished_request(&system, "seq=1").await;
    // The next request is answered, so that one has been read.
    system.ring(&store).await;
    shut_down(&system.ingest).await;
    system.ingest.terminate();
    assert_eq!(system.ingest.exit().await, SECOND_SIGNAL);
}

#[tokio::test]
async fn ingest_answers_what_was_under_way_and_loses_none_of_it() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let record = || system.noted_ring(&store);
    let body = urlencoded(&record());
    let mut unfinished = unfinished_request(&system, &body).await;
    let (records, sent) = mpsc::channel(1);
    let of_bizcall = |cdr| IngestCallStreamRequest { source: "bizcall".to_owned(), cdr: Some(cdr) };
    must("a record", records.send(of_bizcall(record())).await);
    let mut client = system.calls().await;
    let sent = stream::unfold(sent, async |mut sent| Some((sent.recv().await?, sent)));
    let sent = client.ingest_call_stream(Box::pin(sent)).await;
    let mut answers = must("IngestCallStream", sent).into_inner();
    let answer = must("an answer", within("an answer", SOON, answers.message()).await);
    let answer = answer.expect("an answer for each record");
    assert_eq!(answer.status(), IngestStatus::Accepted, "{:?}", answer.error);
    let mut calls = vec![answer.call_id];

    shut_down(&system.ingest).await;
    // Its client has not closed it and has nothing to send: it gets a status, not a broken connection.
    is_shutting_down(
        &within("the stream's end", SOON, answers.message()).await.expect_err("it ends with a status"),
    );
    must("the last byte", unfinished.write_all(&body.as_bytes()[body.len() - 1..]).await);
    let mut said = String::new();
    must("an answer", within("an answer", SOON, unfinished.read_to_string(&mut said)).await);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let taken: CdrAnswer = must("JSON", serde_json::from_str(said.rsplit("\r\n").next().unwrap_or_default()));
    assert_eq!(taken.status, "accepted");
    calls.push(taken.call_id);
    assert_eq!(system.ingest.exit().await, 0);
    assert!(!system.ingest.logged().contains("did not end in time"), "{}", system.ingest.logged());
    drop(records);

    // Published before it ended, or found in its log at the next start.
    system.ingest.start().await;
    pad.until_position(2).await;
    assert_eq!(pad.shown(), calls);
}

#[tokio::test]
async fn ingest_answers_every_record_that_it_accepts_of_a_stream_that_never_pauses() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let number = store.virtual_number.clone();
    let sent = stream::repeat_with(move || IngestCallStreamRequest {
        source: "bizcall".to_owned(),
        cdr: Some(ring(&number, &cdr::caller())),
    });
    let mut client = system.calls().await;
    let mut answers = must("IngestCallStream", client.ingest_call_stream(sent).await).into_inner();
    let mut answered = 0;
    let status = loop {
        match within("an answer", SOON, answers.message()).await {
            Ok(Some(answer)) => {
                assert_eq!(answer.status(), IngestStatus::Accepted, "{:?}", answer.error);
                answered += 1;
                if answered == 500 {
                    system.ingest.terminate();
                }
            }
            Ok(None) => panic!("it ended without a status after {answered} answers"),
            Err(status) => break status,
        }
    };
    is_shutting_down(&status);
    drop(answers);
    drop(client);
    assert_eq!(system.ingest.exit().await, 0);
    system.ingest.start().await;
    let request = ListCallsRequest { store_id: store.id.clone(), ..ListCallsRequest::default() };
    let listed = must("ListCalls", system.calls().await.list_calls(request).await).into_inner();
    assert_eq!(listed.position, answered, "what was accepted, and nothing else");
}

#[tokio::test]
async fn reflection_that_a_client_keeps_open_ends_with_a_status_and_delays_no_shutdown() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let mut streams = Vec::new();
    for port in [system.ingest_at.grpc, system.push_at[0].pads] {
        let channel = channel(port).await;
        let questions = stream::pending::<ServerReflectionRequest>();
        let asked = ServerReflectionClient::new(channel).server_reflection_info(questions).await;
        streams.push(must("reflection", asked).into_inner());
    }
    system.push[0].terminate();
    system.ingest.terminate();
    for answers in &mut streams {
        is_shutting_down(
            &within("the stream's end", SOON, answers.message()).await.expect_err("it ends with a status"),
        );
    }
    for service in [&mut system.push[0], &mut system.ingest] {
        assert_eq!(service.exit().await, 0);
        assert!(!service.logged().contains("did not end in time"), "{}", service.logged());
    }
}
