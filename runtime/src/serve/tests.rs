//! Clients that send fast, cancel, are idle or late. They send frame by frame, so that the tests set the order.

mod bounds;
mod client;
mod long_stream;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    routing::any,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Clients, ConnectionLimits, Limits, ServeMetrics, Timeouts, bind, serve};
use crate::forwarded;
use client::{Client, Frame, data, headers, reset};

/// Short, but for `quiet`: no connection is closed before its next request.
const SHORT: Timeouts = Timeouts {
    idle: Duration::from_secs(1),
    first_head: Duration::from_millis(250),
    body: Duration::from_millis(500),
    write: Duration::from_millis(500),
    unacknowledged: Duration::from_secs(30),
    quiet: Duration::from_secs(10),
};

/// A port with a few handlers.
struct TestPort {
    registry: Registry,
    address: std::net::SocketAddr,
    handlers: Arc<Handlers>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

/// `/wait` waits for the gate, then reads its request and answers with its length; `/at-once` answers and reads nothing.
#[derive(Default)]
struct Handlers {
    gate: CancellationToken,
    open: AtomicUsize,
    most_open: AtomicUsize,
    /// What `/long` answers.
    long: Mutex<Option<mpsc::Receiver<Bytes>>>,
}

/// A call that is being handled.
struct Open<'a>(&'a Handlers);

impl Handlers {
    fn enter(&self) -> Open<'_> {
        let open = self.open.fetch_add(1, SeqCst) + 1;
        self.most_open.fetch_max(open, SeqCst);
        Open(self)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}

async fn wait(State(handlers): State<Arc<Handlers>>, body: Body) -> String {
    let _open = handlers.enter();
    handlers.gate.cancelled().await;
    axum::body::to_bytes(body, usize::MAX).await.map_or(0, |body| body.len()).to_string()
}

/// Answers when the whole request has arrived, or with the error.
async fn whole(State(handlers): State<Arc<Handlers>>, body: Body) -> String {
    let _open = handlers.enter();
    axum::body::to_bytes(body, usize::MAX)
        .await
        .map_or_else(|why| format!("{why}, done"), |_| "done".to_owned())
}

/// Reads its request for as long as that takes, and answers how long it was.
async fn read(body: Body) -> String {
    axum::body::to_bytes(body, usize::MAX).await.map_or(0, |body| body.len()).to_string()
}

/// An answer that does not end.
async fn endless() -> Body {
    Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, Infallible>(vec![b'x'; 64 * 1024])))
}

impl TestPort {
    async fn start() -> Self {
        Self::start_for(Clients::Internal, &[]).await
    }

    /// A port that trusts these proxies.
    async fn start_for(clients: Clients, proxies: &[&str]) -> Self {
        let mut registry = Registry::default();
        let metrics = ServeMetrics::new(&mut registry).port("test");
        let listener = bind("a test", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let handlers = Arc::new(Handlers::default());
        let router = Router::new()
            .route("/wait", any(wait))
            .route("/read", any(read))
            .route("/at-once", any(async || "done"))
            .route("/whole", any(whole))
            .route("/endless", any(endless))
            .route("/long", any(long_stream::handler))
            .with_state(handlers.clone());
        let shutdown = CancellationToken::new();
        let limits = Limits {
            proxies: proxies.iter().map(|proxy| forwarded::network(proxy).unwrap()).collect(),
            streams: &["/wait", "/read"],
            timeouts: SHORT,
            ..Limits::new(ConnectionLimits { total: 16, per_address: 12 }, clients)
        };
        let serving =
            tokio::spawn(serve(listener, router, limits, metrics, shutdown.clone(), Duration::from_secs(20)));
        Self { registry, address, handlers, shutdown, serving }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    async fn http1(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// The server's answer to a request over HTTP/1.1, up to `done`.
async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"done") {
        let read = stream.read_buf(&mut said).await.unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&said));
    }
    String::from_utf8_lossy(&said).into_owned()
}

const AT_ONCE: &str = "GET /at-once HTTP/1.1\r\nhost: x\r\n\r\n";

/// Fills the windows of so many calls with frames of one size, while nobody reads them.
async fn send_fast(calls: u32, size: usize) {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    let (window, streams) = (client.stream_window, (0..calls).map(|call| 2 * call + 1));
    let mut sent = Vec::new();
    for stream in streams.clone() {
        sent.extend(headers(stream, "/wait"));
    }
    // One frame of each call after the other.
    for begin in (0..window).step_by(size) {
        for stream in streams.clone() {
            sent.extend(data(stream, size.min(window - begin), false));
        }
    }
    client.send(sent).await;
    client.ping().await;
    port.handlers.gate.cancel();
    client.send(streams.clone().flat_map(|stream| data(stream, 0, true)).collect()).await;
    let expected = window.to_string().into_bytes();
    for stream in streams {
        assert_eq!(client.answer(stream).await, expected, "{calls} calls, frames of {size}");
    }
}

#[tokio::test]
async fn a_fast_sender_waits_whatever_the_size_of_its_frames() {
    for (calls, size) in
        [(1, 1), (4, 1), (32, 7), (200, 32), (200, 65), (200, 255), (200, 256), (200, 16_384)]
    {
        send_fast(calls, size).await;
    }
}

#[tokio::test]
async fn a_client_that_sends_before_it_has_our_settings_may_go_on_sending() {
    let port = TestPort::start().await;
    // Sixteen lengths from where h2 stops a call whose window is made smaller to where it does not.
    for early in (16_000..22_400).step_by(400) {
        let first = early.min(16_384);
        let early_frames = vec![headers(1, "/read"), data(1, first, false), data(1, early - first, false)];
        let mut client = Client::begin(port.address, early_frames).await;
        // Nothing says when the handler has read everything: so it has had time for that in most of the rounds.
        client.ping().await;
        client.acknowledge_settings().await;
        client.send_within_the_window(1, 100_000 - early).await;
        assert_eq!(client.answer(1).await, b"100000", "{early} bytes came early");
    }
}

#[tokio::test]
async fn many_calls_cancelled_at_once_cost_no_other_call_and_begin_a_few_at_a_time() {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    client.send([headers(1, "/wait"), data(1, 4, true)].concat()).await;
    let heap = (0..5_000).flat_map(|call| [headers(2 * call + 3, "/wait"), reset(2 * call + 3)].concat());
    client.send(heap.collect()).await;
    client.ping().await;
    port.handlers.gate.cancel();
    assert_eq!(client.answer(1).await, b"4");
    assert!(
        port.metrics().contains("ringpad_http2_resets_total{port=\"test\"} 5000\n"),
        "{}",
        port.metrics()
    );
    let most = port.handlers.most_open.load(SeqCst);
    assert!(most <= 400, "{most} calls were handled at a time");
}

#[tokio::test]
async fn a_client_that_gets_early_answers_while_it_sends_keeps_its_connection() {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    // An open call, so that the connection is not idle however long the frames take.
    client.send(headers(1, "/wait")).await;
    let streams = (1..200).map(|call| 2 * call + 1);
    client.send(streams.clone().flat_map(|stream| headers(stream, "/at-once")).collect()).await;
    for stream in streams.clone() {
        assert_eq!(client.answer(stream).await, b"done");
    }
    // Frames that were on their way when the answers were written, one of each call after the other.
    let late = (0..client.stream_window / 65).flat_map(|_| streams.clone());
    client.send(late.flat_map(|stream| data(stream, 65, false)).collect()).await;
    client.ping().await;
    client.send(headers(401, "/at-once")).await;
    assert_eq!(client.answer(401).await, b"done");
}

#[tokio::test]
async fn a_connection_that_we_end_is_counted() {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    client.send(data(0, 4, false)).await;
    assert!(matches!(client.next().await, Some(Frame::GoAway(1))), "PROTOCOL_ERROR");
    assert!(client.next().await.is_none());
    port.shutdown.cancel();
    let TestPort { registry, serving, .. } = port;
    serving.await.unwrap();
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let ended = "ringpad_http2_connections_ended_total{port=\"test\",reason=\"PROTOCOL_ERROR\"} 1\n";
    assert!(text.contains(ended), "{text}");
}

#[tokio::test]
async fn an_idle_client_is_asked_to_leave_and_a_call_on_its_way_is_served() {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    assert!(matches!(client.next().await, Some(Frame::GoAway(0))), "NO_ERROR");
    // The ping is answered after the call: so the call arrives while the server waits for the client to know.
    let Some(Frame::Ping(asked)) = client.next().await else { panic!("no ping behind it") };
    client.send(headers(1, "/at-once")).await;
    assert_eq!(client.answer(1).await, b"done");
    client.pong(asked).await;
    while client.next().await.is_some() {}
}

#[tokio::test]
async fn a_client_that_sends_nothing_at_first_may_call_later() {
    let port = TestPort::start().await;
    let mut silent = port.http1().await;
    let mut slow = port.http1().await;
    slow.write_all(b"GET /at-once HTTP/1.1\r\nx").await.unwrap();
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap_or(0), 0, "a slow head is cut");
    assert!(ask(&mut silent, AT_ONCE).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_without_a_byte_is_closed_after_the_idle_timeout() {
    let port = TestPort::start().await;
    let mut silent = port.http1().await;
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0, "and not by a reset");
}

#[tokio::test]
async fn a_port_that_leaves_announces_the_end_of_a_connection_with_its_next_answer() {
    let port = TestPort::start().await;
    let mut stream = port.http1().await;
    assert!(!ask(&mut stream, AT_ONCE).await.contains("connection: close"));
    port.shutdown.cancel();
    assert!(ask(&mut stream, AT_ONCE).await.contains("connection: close"));
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    drop(stream);
    port.serving.await.unwrap();
}

#[tokio::test]
async fn a_port_that_leaves_finishes_its_calls_and_asks_http_2_clients_to_leave() {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    client.send(headers(1, "/wait")).await;
    client.ping().await;
    port.shutdown.cancel();
    assert!(matches!(client.next().await, Some(Frame::GoAway(0))));
    client.send([headers(3, "/wait"), data(3, 3, true)].concat()).await;
    let Some(Frame::Ping(asked)) = client.next().await else { panic!("no ping behind it") };
    client.pong(asked).await;
    port.handlers.gate.cancel();
    assert_eq!(client.answer(3).await, b"3", "it came before the client knew");
    client.send(data(1, 0, true)).await;
    assert_eq!(client.answer(1).await, b"0");
    while client.next().await.is_some() {}
    drop(client);
    port.serving.await.unwrap();
}

#[tokio::test]
async fn an_answer_arrives_although_the_client_is_still_sending() {
    let port = TestPort::start().await;
    let mut stream = port.http1().await;
    let head = "POST /at-once HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // More than the sockets hold, and the handler does not read it: the server must read it nevertheless.
    let (mut reading, mut writing) = stream.into_split();
    let sending = tokio::spawn(async move { writing.write_all(&vec![b'x'; 4_000_000]).await });
    let mut said = Vec::new();
    reading.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
    sending.await.unwrap().unwrap();
}
