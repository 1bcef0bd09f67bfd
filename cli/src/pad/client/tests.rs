//! A pad against a replica that this test plays, over a real WebSocket: what it asks for, in which order, and what it
//! shows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use ringpad_proto::v1::{
    Heartbeat, Reconnect, Snapshot, SubscribeResponse, Update, subscribe_response::Event,
};
use ringpad_runtime::{ErrorChain, Failure};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::PadClient;
use crate::{
    endpoint::Endpoint,
    pad::{Transport, connector::Connector, screen::Screen},
};

/// Every wait's bound.
const PATIENCE: Duration = Duration::from_secs(20);

/// A replica that the test plays, and a pad that connects to it.
struct FakeReplica {
    listener: TcpListener,
    pad: JoinHandle<Result<(), Failure>>,
    seen: Receiver<SubscribeResponse>,
}

/// One of the pad's streams.
struct Stream {
    socket: WebSocketStream<TcpStream>,
    /// What the pad asked for.
    asked: Value,
}

impl FakeReplica {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::at(listener.local_addr().unwrap()).unwrap();
        let connector =
            Connector::new(Transport::Websocket, endpoint, &crate::secret::GivenSecret::of("token")).unwrap();
        let (observer, seen) = channel();
        let pad = tokio::spawn(PadClient::new(connector, Screen::Observed(observer)).run());
        Self { listener, pad, seen }
    }

    /// Waits for the pad's next stream.
    async fn stream(&self) -> Stream {
        let accept = async {
            let (connection, _) = self.listener.accept().await.unwrap();
            let mut socket = accept_hdr_async(connection, agree).await.unwrap();
            let Some(Ok(Message::Text(asked))) = socket.next().await else { panic!("no first message") };
            Stream { socket, asked: serde_json::from_str(&asked).unwrap() }
        };
        timeout(PATIENCE, accept).await.unwrap()
    }

    /// The positions of the updates that the pad has shown by the time that it has shown `last`.
    fn positions_up_to(&self, last: u64) -> Vec<u64> {
        let mut positions = Vec::new();
        while positions.last() != Some(&last) {
            if let Some(Event::Update(update)) = self.seen.recv_timeout(PATIENCE).unwrap().event {
                positions.push(update.position);
            }
        }
        positions
    }
}

#[expect(clippy::result_large_err, reason = "tungstenite's signature")]
fn agree(_: &Request, mut answer: Response) -> Result<Response, ErrorResponse> {
    answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("ringpad.v1.json"));
    Ok(answer)
}

impl Stream {
    async fn send(&mut self, event: Event) {
        let message = serde_json::to_string(&SubscribeResponse { event: Some(event) }).unwrap();
        self.socket.send(Message::text(message)).await.unwrap();
    }

    async fn snapshot(&mut self, position: u64) {
        let resumed = self.asked["afterPosition"].is_string();
        let interval = Some(Duration::from_secs(5).into());
        let epoch = "e".to_owned();
        let snapshot =
            Snapshot { position, epoch, resumed, heartbeat_interval: interval, ..Snapshot::default() };
        self.send(Event::Snapshot(snapshot)).await;
    }

    async fn update(&mut self, position: u64) {
        self.send(Event::Update(Update { position, ..Update::default() })).await;
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "the reason".into() };
        self.socket.close(Some(frame)).await.unwrap();
    }

    /// Waits until the pad has closed this stream.
    async fn closed(mut self) {
        let closing = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(PATIENCE, closing).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_reconnect_it_opens_the_next_stream_before_it_closes_this_one_and_shows_each_position_once()
{
    let replica = FakeReplica::start().await;
    let mut first = replica.stream().await;
    assert_eq!((&first.asked["token"], &first.asked["afterPosition"]), (&Value::from("token"), &Value::Null));
    first.snapshot(7).await;
    first.update(8).await;
    first.send(Event::Reconnect(Reconnect { after: None })).await;

    let mut second = replica.stream().await;
    assert_eq!(
        (&second.asked["afterPosition"], &second.asked["epoch"]),
        (&Value::from("8"), &Value::from("e"))
    );
    assert_eq!(second.asked["session"], first.asked["session"]);
    // The old stream is still read while the new one is being opened.
    first.update(9).await;
    assert_eq!(replica.positions_up_to(9), [8, 9]);

    second.snapshot(8).await;
    first.closed().await;
    second.update(9).await;
    second.update(10).await;
    assert_eq!(replica.positions_up_to(10), [10]);
    replica.pad.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_cannot_open_the_next_stream_it_keeps_the_one_it_has() {
    let replica = FakeReplica::start().await;
    let mut first = replica.stream().await;
    first.snapshot(7).await;
    first.send(Event::Reconnect(Reconnect { after: None })).await;
    for position in [8, 9, 10] {
        replica.stream().await.close(1013).await;
        first.update(position).await;
        assert_eq!(replica.positions_up_to(position), [position]);
    }
    first.close(1001).await;
    let mut next = replica.stream().await;
    let after: u64 = next.asked["afterPosition"].as_str().and_then(|after| after.parse().ok()).unwrap();
    next.snapshot(after).await;
    for position in after + 1..=11 {
        next.update(position).await;
    }
    assert_eq!(replica.positions_up_to(11), [11]);
    replica.pad.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_stream_that_is_refused_does_not_end_the_one_it_has() {
    let replica = FakeReplica::start().await;
    let mut first = replica.stream().await;
    first.snapshot(7).await;
    first.send(Event::Reconnect(Reconnect { after: None })).await;
    replica.stream().await.close(4401).await;
    first.update(8).await;
    assert_eq!(replica.positions_up_to(8), [8]);
    first.close(1001).await;
    replica.stream().await.close(4401).await;
    let ended = timeout(PATIENCE, replica.pad).await.unwrap().unwrap();
    assert!(ended.is_err(), "it was refused and has no stream left");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_gap_that_a_heartbeat_shows_it_resumes_from_its_position() {
    let replica = FakeReplica::start().await;
    let mut first = replica.stream().await;
    first.snapshot(0).await;
    first.update(1).await;
    first.send(Event::Heartbeat(Heartbeat { position: 3, ..Heartbeat::default() })).await;
    let mut second = replica.stream().await;
    assert_eq!(second.asked["afterPosition"], "1");
    second.snapshot(1).await;
    for position in [2, 3] {
        second.update(position).await;
    }
    assert_eq!(replica.positions_up_to(3), [1, 2, 3]);
    replica.pad.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tries_again_after_a_busy_replica_and_ends_when_it_is_refused() {
    let replica = FakeReplica::start().await;
    replica.stream().await.close(1013).await;
    let mut second = replica.stream().await;
    second.snapshot(0).await;
    second.close(4401).await;
    let ended = timeout(PATIENCE, replica.pad).await.unwrap().unwrap();
    let Err(Failure::Other(why)) = ended else { panic!("{ended:?}") };
    assert!(ErrorChain(&*why).to_string().contains("the reason"), "{why:?}");
}
