//! A pad on gRPC-Web, by hand: an HTTP/1.1 POST whose response body is length-prefixed frames, the last of them (flag
//! 0x80) the trailers.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use prost::Message;
use ringpad_proto::v1::SubscribeResponse;
use tokio::net::TcpStream;
use tonic::Code;

use super::{Item, Items, StreamEnd, Subscription, grpc};

/// The media type of binary gRPC-Web.
const MEDIA_TYPE: &str = "application/grpc-web+proto";
/// A frame's flags and length.
const PREFIX: usize = 5;
/// The flag of the frame that carries the trailers.
const TRAILERS: u8 = 0x80;

/// Carries events until the stream's end.
pub(super) async fn carry(replica: SocketAddr, asked: Subscription, items: &Items) -> StreamEnd {
    match stream(replica, &asked, items).await {
        Ok(end) => end,
        Err(why) => StreamEnd::Lost(why),
    }
}

async fn stream(replica: SocketAddr, asked: &Subscription, items: &Items) -> Result<StreamEnd, String> {
    let stream = TcpStream::connect(replica).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let response =
            sender.send_request(request(replica, asked)).await.map_err(|error| error.to_string())?;
        read(response, items).await
    };
    // The connection is driven together with the exchange, and ends with it.
    tokio::select! {
        biased;
        end = exchange => end,
        broken = connection => Err(format!("the connection ended: {broken:?}")),
    }
}

/// A subscription as the bytes of an HTTP/1.1 request, for tests that use the socket directly.
pub fn raw_subscription(replica: SocketAddr, asked: &Subscription) -> Vec<u8> {
    let (head, body) = parts(replica, asked);
    let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn request(replica: SocketAddr, asked: &Subscription) -> Request<Full<Bytes>> {
    let (head, body) = parts(replica, asked);
    Request::from_parts(head, Full::new(body))
}

fn parts(replica: SocketAddr, asked: &Subscription) -> (http::request::Parts, Bytes) {
    let message = grpc::request(asked).encode_to_vec();
    let mut body = BytesMut::with_capacity(PREFIX + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("a small message"));
    body.put_slice(&message);
    let mut request = Request::post("/ringpad.v1.PadService/Subscribe")
        .header(header::HOST, replica.to_string())
        .header(header::CONTENT_TYPE, MEDIA_TYPE)
        .header(header::ACCEPT, MEDIA_TYPE)
        .header("x-grpc-web", "1");
    if let Some(token) = &asked.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(origin) = &asked.origin {
        request = request.header(header::ORIGIN, origin);
    }
    let request = request.body(()).expect("the test's request is valid");
    (request.into_parts().0, body.freeze())
}

async fn read(response: Response<Incoming>, items: &Items) -> Result<StreamEnd, String> {
    if response.status() != http::StatusCode::OK {
        return Ok(StreamEnd::Http(response.status().as_u16()));
    }
    if response.headers().contains_key("grpc-status") {
        return Ok(end(response.headers()));
    }
    assert_eq!(
        response.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes),
        Some(MEDIA_TYPE.as_bytes())
    );
    let (head, mut body) = response.into_parts();
    // If this fails, the pad was dropped, and the carrier ends with it.
    items.send(Item::Opened(head.headers)).await.ok();
    let mut unread = BytesMut::new();
    loop {
        while let Some((flags, message)) = frame(&mut unread) {
            if flags & TRAILERS != 0 {
                return Ok(end(&trailers(&message)));
            }
            let event = SubscribeResponse::decode(message).map_err(|error| error.to_string())?;
            if items.send(Item::Event(Box::new(event))).await.is_err() {
                return Err("the pad was dropped".to_owned());
            }
        }
        match body.frame().await {
            Some(Ok(more)) => unread.extend_from_slice(more.data_ref().ok_or("HTTP trailers on gRPC-Web")?),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("the body ended without a trailers frame".to_owned()),
        }
    }
}

/// Takes one whole frame, if there is one.
fn frame(unread: &mut BytesMut) -> Option<(u8, Bytes)> {
    let length = u32::from_be_bytes(unread.get(1..PREFIX)?.try_into().ok()?) as usize;
    if unread.len() < PREFIX + length {
        return None;
    }
    let flags = unread.get_u8();
    unread.advance(PREFIX - 1);
    Some((flags, unread.split_to(length).freeze()))
}

/// Reads trailers, which have the form of an HTTP/1.1 header block.
fn trailers(block: &[u8]) -> HeaderMap {
    let text = String::from_utf8_lossy(block);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let parsed = lines.filter_map(|(name, value)| {
        let name = name.trim().to_ascii_lowercase();
        Some((name.parse::<header::HeaderName>().ok()?, value.trim().parse().ok()?))
    });
    parsed.collect()
}

fn end(headers: &HeaderMap) -> StreamEnd {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let code = text("grpc-status").unwrap_or_default();
    match code.parse::<i32>() {
        Ok(code) => grpc::of_code(Code::from_i32(code), &text("grpc-message").unwrap_or_default()),
        Err(_) => StreamEnd::Unknown(format!("grpc-status {code:?}")),
    }
}
