//! Answers that stay open.

use std::time::Duration;

use axum::{
    Extension,
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream::unfold};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use super::{AT_ONCE, Arc, Handlers, State, TestPort, client::headers};
use crate::serve::LongStream;

/// How long what must happen may take. Only a failure takes it.
pub(super) const SOON: Duration = Duration::from_secs(20);
const LONG: &str = "POST /long HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";

/// Answers with what the test sends, once the request has been read.
pub(super) async fn handler(State(handlers): State<Arc<Handlers>>, body: Bytes) -> Response {
    assert_eq!(body, "hi");
    let pieces = handlers.long.lock().unwrap().take().unwrap();
    let pieces = unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
    let body = Body::from_stream(pieces.map(Ok::<_, std::convert::Infallible>));
    (Extension(LongStream), [("x-own", "1"), ("date", "never")], body).into_response()
}

/// A port, and what its next long stream sends.
async fn start() -> (TestPort, mpsc::Sender<Bytes>) {
    let port = TestPort::start().await;
    let (pieces, stream) = mpsc::channel(1);
    *port.handlers.long.lock().unwrap() = Some(stream);
    (port, pieces)
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let read = async {
        let mut said = Vec::new();
        while !said.ends_with(end.as_bytes()) {
            assert!(stream.read_buf(&mut said).await.unwrap() > 0, "{:?}", String::from_utf8_lossy(&said));
        }
        String::from_utf8(said).unwrap()
    };
    timeout(SOON, read).await.unwrap_or_else(|_| panic!("no {end:?} came"))
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    timeout(SOON, stream.read_to_string(&mut said)).await.unwrap().unwrap();
    said
}

#[tokio::test]
async fn each_piece_is_a_chunk_and_the_connection_ends_with_the_answer() {
    let (port, pieces) = start().await;
    let mut client = port.http1().await;
    client.write_all(LONG.as_bytes()).await.unwrap();
    let head = until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in ["x-own: 1", "transfer-encoding: chunked", "connection: close"] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    assert!(head.matches("\r\ndate: ").count() == 1 && !head.contains("never"), "{head}");
    pieces.send("first".into()).await.unwrap();
    assert_eq!(until(&mut client, "first\r\n").await, "5\r\nfirst\r\n");
    // An empty chunk would end the answer.
    pieces.send(Bytes::new()).await.unwrap();
    pieces.send(vec![b'x'; 70_000].into()).await.unwrap();
    let chunk = until(&mut client, "xx\r\n").await;
    assert!(chunk.starts_with("11170\r\nxx") && chunk.len() == 70_009, "{} bytes", chunk.len());
    drop(pieces);
    assert_eq!(rest(&mut client).await, "0\r\n\r\n");
}

#[tokio::test]
async fn it_ends_when_the_client_closes_its_side() {
    let (port, pieces) = start().await;
    let mut client = port.http1().await;
    client.write_all(LONG.as_bytes()).await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    client.shutdown().await.unwrap();
    timeout(SOON, pieces.closed()).await.unwrap();
    assert_eq!(rest(&mut client).await, "", "without the chunk that ends an answer");
}

#[tokio::test]
async fn it_ends_when_the_client_takes_nothing() {
    let (port, pieces) = start().await;
    let mut client = port.http1().await;
    client.write_all(LONG.as_bytes()).await.unwrap();
    let fill = async { while pieces.send(vec![b'x'; 64 * 1024].into()).await.is_ok() {} };
    timeout(SOON, fill).await.unwrap();
}

#[tokio::test]
async fn what_the_client_sends_behind_its_request_is_not_served() {
    let (port, pieces) = start().await;
    let mut client = port.http1().await;
    client.write_all(format!("{LONG}{AT_ONCE}").as_bytes()).await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    client.write_all(AT_ONCE.as_bytes()).await.unwrap();
    pieces.send("first".into()).await.unwrap();
    assert_eq!(until(&mut client, "first\r\n").await, "5\r\nfirst\r\n");
    drop(pieces);
    assert_eq!(rest(&mut client).await, "0\r\n\r\n");
}

#[tokio::test]
async fn it_is_finished_when_the_port_leaves() {
    let (port, pieces) = start().await;
    let mut client = port.http1().await;
    client.write_all(LONG.as_bytes()).await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    port.shutdown.cancel();
    pieces.send("last".into()).await.unwrap();
    assert_eq!(until(&mut client, "last\r\n").await, "4\r\nlast\r\n");
    drop(pieces);
    assert_eq!(rest(&mut client).await, "0\r\n\r\n");
    drop(client);
    timeout(SOON, port.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn clients_over_http_1_0_and_http_2_get_it_too() {
    let (port, pieces) = start().await;
    let mut client = port.http1().await;
    client.write_all(LONG.replace("1.1", "1.0").as_bytes()).await.unwrap();
    let head = until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.0 200") && !head.contains("chunked"), "{head}");
    pieces.send("first".into()).await.unwrap();
    drop(pieces);
    assert_eq!(rest(&mut client).await, "first");

    let (pieces, stream) = mpsc::channel(1);
    *port.handlers.long.lock().unwrap() = Some(stream);
    let mut client = port.client().await;
    client.send([headers(1, "/long"), super::client::frame(0, 1, 1, b"hi")].concat()).await;
    pieces.send("first".into()).await.unwrap();
    drop(pieces);
    assert_eq!(client.answer(1).await, b"first");
}
