//! Pads on all three transports, behind one face.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{
    SinkExt, StreamExt,
    stream::{BoxStream, unfold},
};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use ringpad_proto::v1::{
    Early, Heartbeat, Snapshot, SubscribeRequest, SubscribeResponse, pad_service_client::PadServiceClient,
    subscribe_response::Event,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};
use tonic::{Code, transport::Endpoint};

use crate::harness::PATIENCE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Grpc,
    GrpcWeb,
    WebSocket,
}

pub const TRANSPORTS: [Transport; 3] = [Transport::Grpc, Transport::GrpcWeb, Transport::WebSocket];

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Grpc(Code),
    WebSocket(u16),
    Http(u16),
}

impl Ended {
    /// The same end on this transport.
    pub fn on(transport: Transport, code: Code, close: u16) -> Self {
        match transport {
            Transport::Grpc | Transport::GrpcWeb => Self::Grpc(code),
            Transport::WebSocket => Self::WebSocket(close),
        }
    }
}

type Messages = BoxStream<'static, Result<SubscribeResponse, Ended>>;

pub struct TestPad {
    messages: Messages,
    /// The last position it was sent.
    pub position: u64,
    /// Of an HTTP/1.1 response.
    pub headers: http::HeaderMap,
}

impl TestPad {
    pub async fn connect(
        transport: Transport,
        address: SocketAddr,
        token: &str,
        request: SubscribeRequest,
        origin: Option<&str>,
    ) -> Self {
        let opening = async {
            match transport {
                Transport::Grpc => (grpc(address, token, request, origin).await, http::HeaderMap::new()),
                Transport::GrpcWeb => grpc_web(address, token, request, origin).await,
                Transport::WebSocket => {
                    let mut first = serde_json::to_value(&request).unwrap();
                    first["token"] = token.into();
                    (websocket(address, Some(first.to_string()), origin).await, http::HeaderMap::new())
                }
            }
        };
        let (messages, headers) = timeout(PATIENCE, opening).await.expect("the stream opens");
        Self { messages, position: 0, headers }
    }

    /// The next message, or how the stream ended.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        let next = timeout(PATIENCE, self.messages.next()).await.expect("a message or an end");
        Ok(next.expect("no message after the end")?.event.expect("every message is one of them"))
    }

    pub async fn snapshot(&mut self) -> Snapshot {
        match self.next().await {
            Ok(Event::Snapshot(snapshot)) => {
                self.position = snapshot.position;
                snapshot
            }
            other => panic!("a snapshot comes first, not {other:?}"),
        }
    }

    pub async fn heartbeat(&mut self) -> Heartbeat {
        match self.next().await {
            Ok(Event::Heartbeat(heartbeat)) => heartbeat,
            other => panic!("a heartbeat was expected, not {other:?}"),
        }
    }

    /// Snapshot and first heartbeat.
    pub async fn begin(&mut self) -> Snapshot {
        let snapshot = self.snapshot().await;
        assert_eq!(self.heartbeat().await.position, snapshot.position);
        snapshot
    }

    /// Takes updates up to `position`, each the next one.
    pub async fn updates_to(&mut self, position: u64) {
        while self.position < position {
            match self.next().await {
                Ok(Event::Update(update)) => {
                    assert_eq!(update.position, self.position + 1, "the next one and no other");
                    assert_eq!(update.call.unwrap().revision, update.position);
                    self.position = update.position;
                }
                Ok(Event::Heartbeat(heartbeat)) => assert_eq!(heartbeat.position, self.position),
                // On a slow machine; its update follows in place.
                Ok(Event::Early(early)) => assert!(early.call.unwrap().revision > self.position + 1),
                other => panic!("an update was expected, not {other:?}"),
            }
        }
    }

    /// The next ring that is shown ahead of its turn; no update may come before it.
    pub async fn early(&mut self) -> Early {
        loop {
            match self.next().await {
                Ok(Event::Early(early)) => return early,
                Ok(Event::Heartbeat(heartbeat)) => assert_eq!(heartbeat.position, self.position),
                other => panic!("an early ring was expected, not {other:?}"),
            }
        }
    }

    /// The next ring that is shown ahead of its turn, after any updates.
    pub async fn early_among_updates(&mut self) -> Early {
        loop {
            match self.next().await {
                Ok(Event::Early(early)) => return early,
                Ok(Event::Update(update)) => {
                    assert_eq!(update.position, self.position + 1, "the next one and no other");
                    self.position = update.position;
                }
                Ok(Event::Heartbeat(heartbeat)) => assert_eq!(heartbeat.position, self.position),
                other => panic!("an early ring was expected, not {other:?}"),
            }
        }
    }

    /// How the stream ends; what comes before is of no interest.
    pub async fn end(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.next().await {
                return ended;
            }
        }
    }
}

async fn grpc(address: SocketAddr, token: &str, request: SubscribeRequest, origin: Option<&str>) -> Messages {
    let channel = Endpoint::try_from(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut request = tonic::Request::new(request);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    if let Some(origin) = origin {
        request.metadata_mut().insert("origin", origin.parse().unwrap());
    }
    let ended = |status: tonic::Status| match status.code() {
        // What the gRPC specification makes of an HTTP 503.
        Code::Unavailable if status.message().contains("503") => Ended::Http(503),
        code => Ended::Grpc(code),
    };
    match PadServiceClient::new(channel).subscribe(request).await {
        Ok(response) => response.into_inner().map(move |message| message.map_err(ended)).boxed(),
        Err(status) => one(Err(ended(status))),
    }
}

fn one(end: Result<SubscribeResponse, Ended>) -> Messages {
    futures_util::stream::iter([end]).boxed()
}

/// gRPC-Web over HTTP/1.1, read by hand.
async fn grpc_web(
    address: SocketAddr,
    token: &str,
    request: SubscribeRequest,
    origin: Option<&str>,
) -> (Messages, http::HeaderMap) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let encoded = request.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
    body.extend(encoded);
    let mut request = http::Request::post("/ringpad.v1.PadService/Subscribe")
        .header("host", address.to_string())
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .header("authorization", format!("Bearer {token}"));
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let response = sender.send_request(request.body(Full::<Bytes>::from(body)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let headers = head.headers.clone();
    if head.status != http::StatusCode::OK {
        return (one(Err(Ended::Http(head.status.as_u16()))), headers);
    }
    if let Some(code) = head.headers.get("grpc-status") {
        return (one(Err(Ended::Grpc(Code::from_bytes(code.as_bytes())))), headers);
    }
    let state = (body, BytesMut::new(), sender, connection);
    let messages = unfold(state, async |(mut body, mut read, sender, connection)| {
        let message = loop {
            if let Some(frame) = frame(&mut read) {
                break frame;
            }
            let data = body.frame().await?.unwrap().into_data().unwrap();
            read.extend_from_slice(&data);
        };
        Some((message, (body, read, sender, connection)))
    });
    (messages.boxed(), headers)
}

/// The next frame: a message, or the trailers.
fn frame(read: &mut BytesMut) -> Option<Result<SubscribeResponse, Ended>> {
    let length = u32::from_be_bytes(read.get(1..5)?.try_into().unwrap()) as usize;
    if read.len() < 5 + length {
        return None;
    }
    let flag = read[0];
    read.advance(5);
    let payload: Bytes = read.split_to(length).freeze();
    Some(if flag & 0x80 == 0 {
        Ok(SubscribeResponse::decode(payload).unwrap())
    } else {
        let trailers = String::from_utf8(payload.to_vec()).unwrap();
        let status = trailers.lines().find_map(|line| line.strip_prefix("grpc-status:")).unwrap();
        Err(Ended::Grpc(Code::from_bytes(status.trim().as_bytes())))
    })
}

/// A WebSocket that sends one message, or none.
pub async fn websocket(address: SocketAddr, first: Option<String>, origin: Option<&str>) -> Messages {
    let mut request = format!("ws://{address}/v1/subscribe").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "ringpad.v1.json".parse().unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, response) = match client_async(request, stream).await {
        Ok(opened) => opened,
        Err(tungstenite::Error::Http(response)) => return one(Err(Ended::Http(response.status().as_u16()))),
        Err(error) => panic!("no WebSocket: {error}"),
    };
    assert_eq!(response.headers().get("sec-websocket-protocol").unwrap(), "ringpad.v1.json");
    if let Some(first) = first {
        socket.send(Message::text(first)).await.unwrap();
    }
    let messages = unfold(socket, async |mut socket| {
        loop {
            match socket.next().await? {
                Ok(Message::Text(text)) => {
                    break Some((Ok(serde_json::from_str(&text).unwrap()), socket));
                }
                Ok(Message::Close(frame)) => {
                    let code = frame.expect("a close says why").code.into();
                    break Some((Err(Ended::WebSocket(code)), socket));
                }
                Ok(_) => {}
                Err(error) => panic!("the WebSocket broke: {error}"),
            }
        }
    });
    messages.boxed()
}

impl From<Messages> for TestPad {
    fn from(messages: Messages) -> Self {
        Self { messages, position: 0, headers: http::HeaderMap::new() }
    }
}
