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
use ringpad_runtime::Failure;
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

use super::Visit;
use crate::{
    endpoint::Endpoint,
    pad::{Transport, door::Door, screen::Screen},
};

/// Every wait's bound.
const PATIENCE: Duration = Duration::from_secs(20);

/// The replica, and a pad that comes to it.
struct Played {
    replica: TcpListener,
    pad: JoinHandle<Result<(), Failure>>,
    seen: Receiver<SubscribeResponse>,
}

/// One of the pad's streams.
struct Stream {
    socket: WebSocketStream<TcpStream>,
    /// What the pad asked for.
    asked: Value,
}

impl Played {
    async fn start() -> Self {
        let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::at(replica.local_addr().unwrap()).unwrap();
        let door = Door::new(Transport::Websocket, endpoint, &crate::secret::Given::of("token")).unwrap();
        let (looking_on, seen) = channel();
        let pad = tokio::spawn(Visit::new(door, Screen::Seen(looking_on)).stay());
        Self { replica, pad, seen }
    }

    /// Waits for the pad's next stream.
    async fn stream(&self) -> Stream {
        let accept = async {
            let (connection, _) = self.replica.accept().await.unwrap();
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
    async fn say(&mut self, event: Event) {
        let message = serde_json::to_string(&SubscribeResponse { event: Some(event) }).unwrap();
        self.socket.send(Message::text(message)).await.unwrap();
    }

    async fn snapshot(&mut self, position: u64) {
        let resumed = self.asked["afterPosition"].is_string();
        let interval = Some(Duration::from_secs(5).into());
        let epoch = "e".to_owned();
        let snapshot =
            Snapshot { position, epoch, resumed, heartbeat_interval: interval, ..Snapshot::default() };
        self.say(Event::Snapshot(snapshot)).await;
    }

    async fn update(&mut self, position: u64) {
        self.say(Event::Update(Update { position, ..Update::default() })).await;
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "said why".into() };
        self.socket.close(Some(frame)).await.unwrap();
    }

    /// Waits until the pad has closed this stream.
    async fn closed(mut self) {
        let closing = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(PATIENCE, closing).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_leave_it_opens_the_next_stream_before_it_closes_this_one_and_shows_each_position_once() {
    let played = Played::start().await;
    let mut first = played.stream().await;
    assert_eq!((&first.asked["token"], &first.asked["afterPosition"]), (&Value::from("token"), &Value::Null));
    first.snapshot(7).await;
    first.update(8).await;
    first.say(Event::Reconnect(Reconnect { after: None })).await;

    let mut second = played.stream().await;
    assert_eq!(
        (&second.asked["afterPosition"], &second.asked["epoch"]),
        (&Value::from("8"), &Value::from("e"))
    );
    assert_eq!(second.asked["session"], first.asked["session"]);
    // The old stream is still read while the new one is being opened.
    first.update(9).await;
    assert_eq!(played.positions_up_to(9), [8, 9]);

    second.snapshot(8).await;
    first.closed().await;
    second.update(9).await;
    second.update(10).await;
    assert_eq!(played.positions_up_to(10), [10]);
    played.pad.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_next_stream_can_be_had_it_stays_with_the_one_it_has() {
    let played = Played::start().await;
    let mut first = played.stream().await;
    first.snapshot(7).await;
    first.say(Event::Reconnect(Reconnect { after: None })).await;
    for position in [8, 9, 10] {
        played.stream().await.close(1013).await;
        first.update(position).await;
        assert_eq!(played.positions_up_to(position), [position]);
    }
    first.close(1001).await;
    let mut next = played.stream().await;
    let after: u64 = next.asked["afterPosition"].as_str().and_then(|after| after.parse().ok()).unwrap();
    next.snapshot(after).await;
    for position in after + 1..=11 {
        next.update(position).await;
    }
    assert_eq!(played.positions_up_to(11), [11]);
    played.pad.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_stream_that_is_refused_does_not_end_the_one_it_has() {
    let played = Played::start().await;
    let mut first = played.stream().await;
    first.snapshot(7).await;
    first.say(Event::Reconnect(Reconnect { after: None })).await;
    played.stream().await.close(4401).await;
    first.update(8).await;
    assert_eq!(played.positions_up_to(8), [8]);
    first.close(1001).await;
    played.stream().await.close(4401).await;
    let ended = timeout(PATIENCE, played.pad).await.unwrap().unwrap();
    assert!(ended.is_err(), "turned away, with no stream left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_on_a_quiet_line_brings_it_back_from_where_it_was() {
    let played = Played::start().await;
    let mut first = played.stream().await;
    first.snapshot(0).await;
    first.update(1).await;
    first.say(Event::Heartbeat(Heartbeat { position: 3, ..Heartbeat::default() })).await;
    let mut second = played.stream().await;
    assert_eq!(second.asked["afterPosition"], "1");
    second.snapshot(1).await;
    for position in [2, 3] {
        second.update(position).await;
    }
    assert_eq!(played.positions_up_to(3), [1, 2, 3]);
    played.pad.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_back_after_a_busy_replica_and_ends_when_turned_away() {
    let played = Played::start().await;
    played.stream().await.close(1013).await;
    let mut second = played.stream().await;
    second.snapshot(0).await;
    second.close(4401).await;
    let ended = timeout(PATIENCE, played.pad).await.unwrap().unwrap();
    assert!(matches!(&ended, Err(Failure::Other(why)) if why.contains("said why")), "{ended:?}");
}
