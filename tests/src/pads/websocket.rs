//! A pad on the WebSocket fallback: JSON by proto3's rules, one event a message.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message, client::IntoClientRequest, http::HeaderValue, protocol::frame::coding::CloseCode,
    },
};

use super::{End, Seen, Seer, Subscription};

/// The subprotocol that both sides speak.
const SUBPROTOCOL: &str = "ringpad.v1.json";

/// Carries events until the stream's end.
pub(super) async fn carry(replica: SocketAddr, asked: Subscription, seer: &Seer) -> End {
    let mut socket = match connect(replica, asked.origin.as_deref()).await {
        Ok(socket) => socket,
        Err(end) => return end,
    };
    let mut first = json!({});
    if let Some(token) = &asked.token {
        first["token"] = json!(token);
    }
    if let Some((position, epoch)) = &asked.after {
        // proto3 JSON writes 64-bit numbers as strings.
        first["afterPosition"] = json!(position.to_string());
        first["epoch"] = json!(epoch);
    }
    if !asked.session.is_empty() {
        first["session"] = json!(asked.session);
    }
    // If this fails, the server has closed, and says why below.
    socket.send(Message::text(first.to_string())).await.ok();
    read(&mut socket, seer).await
}

/// Opens a WebSocket with a first message of any form, or none, and carries events until the end.
pub(super) async fn end_after(replica: SocketAddr, first: Option<&str>, seer: &Seer) -> End {
    let mut socket = match connect(replica, None).await {
        Ok(socket) => socket,
        Err(end) => return end,
    };
    if let Some(first) = first {
        // If this fails, the server has closed, and says why below.
        socket.send(Message::text(first)).await.ok();
    }
    read(&mut socket, seer).await
}

async fn connect(replica: SocketAddr, origin: Option<&str>) -> Result<WebSocketStream<TcpStream>, End> {
    let mut request =
        format!("ws://{replica}/v1/subscribe").into_client_request().expect("an address is a URI");
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("an origin is a header's value"));
    }
    let stream = TcpStream::connect(replica).await.map_err(|error| End::Cut(error.to_string()))?;
    let (socket, response) = client_async(request, stream).await.map_err(|error| match error {
        tungstenite::Error::Http(response) => End::Http(response.status().as_u16()),
        other => End::Cut(other.to_string()),
    })?;
    let agreed = response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes);
    assert_eq!(agreed, Some(SUBPROTOCOL.as_bytes()), "the subprotocol");
    Ok(socket)
}

async fn read(socket: &mut WebSocketStream<TcpStream>, seer: &Seer) -> End {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let event =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("no event ({error}): {text}"));
                if seer.send(Seen::Event(Box::new(event))).await.is_err() {
                    return End::Cut("nobody looks any more".to_owned());
                }
            }
            Some(Ok(Message::Close(Some(frame)))) => return of_close(frame.code, &frame.reason),
            Some(Ok(Message::Close(None))) => return End::Unknown("closed without a code".to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(other)) => panic!("a message that is no text: {other:?}"),
            Some(Err(error)) => return End::Cut(error.to_string()),
            None => return End::Cut("the connection ended without a close frame".to_owned()),
        }
    }
}

fn of_close(code: CloseCode, reason: &str) -> End {
    match u16::from(code) {
        4401 => End::Unauthenticated,
        4403 => End::PermissionDenied,
        4404 => End::NotFound,
        4408 => End::NoFirstMessage,
        4409 => End::Replaced,
        4429 => End::Exhausted,
        1001 | 1013 => End::Unavailable,
        other => End::Unknown(format!("{other}: {reason}")),
    }
}
