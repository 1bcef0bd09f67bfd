//! A pad on the WebSocket fallback: JSON by proto3's rules, one event a message.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message, client::IntoClientRequest, http::HeaderValue, protocol::frame::coding::CloseCode,
    },
};

use super::{Item, Items, StreamEnd, Subscription};

/// The subprotocol that both sides speak.
const SUBPROTOCOL: &str = "ringpad.v1.json";

/// Carries events until the stream's end.
pub(super) async fn carry(replica: SocketAddr, asked: Subscription, items: &Items) -> StreamEnd {
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
    carry_after(replica, asked.origin.as_deref(), Some(&first.to_string()), items).await
}

/// Opens a WebSocket with a first message of any form, or none, and carries events until the stream's end.
pub(super) async fn carry_after(
    replica: SocketAddr,
    origin: Option<&str>,
    first: Option<&str>,
    items: &Items,
) -> StreamEnd {
    let (mut socket, headers) = match connect(replica, origin).await {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    if let Some(first) = first {
        // If this fails, the server has closed, and its close frame is read below.
        socket.send(Message::text(first)).await.ok();
    }
    // If this fails, the pad was dropped, and the carrier ends with it.
    items.send(Item::Opened(headers)).await.ok();
    read(&mut socket, items).await
}

async fn connect(
    replica: SocketAddr,
    origin: Option<&str>,
) -> Result<(WebSocketStream<TcpStream>, HeaderMap), StreamEnd> {
    let mut request =
        format!("ws://{replica}/v1/subscribe").into_client_request().expect("an address is a URI");
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("an origin is a header's value"));
    }
    let stream = TcpStream::connect(replica).await.map_err(|error| StreamEnd::Lost(error.to_string()))?;
    let (socket, response) = client_async(request, stream).await.map_err(|error| match error {
        tungstenite::Error::Http(response) => StreamEnd::Http(response.status().as_u16()),
        other => StreamEnd::Lost(other.to_string()),
    })?;
    let agreed = response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes);
    assert_eq!(agreed, Some(SUBPROTOCOL.as_bytes()), "the subprotocol");
    Ok((socket, response.into_parts().0.headers))
}

async fn read(socket: &mut WebSocketStream<TcpStream>, items: &Items) -> StreamEnd {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let event = serde_json::from_str(&text)
                    .unwrap_or_else(|error| panic!("not an event ({error}): {text}"));
                if items.send(Item::Event(Box::new(event))).await.is_err() {
                    return StreamEnd::Lost("the pad was dropped".to_owned());
                }
            }
            Some(Ok(Message::Close(Some(frame)))) => return of_close(frame.code, &frame.reason),
            Some(Ok(Message::Close(None))) => return StreamEnd::Unknown("closed without a code".to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(other)) => panic!("a message that is not a text: {other:?}"),
            Some(Err(error)) => return StreamEnd::Lost(error.to_string()),
            None => return StreamEnd::Lost("the connection ended without a close frame".to_owned()),
        }
    }
}

fn of_close(code: CloseCode, reason: &str) -> StreamEnd {
    match u16::from(code) {
        4401 => StreamEnd::Unauthenticated,
        4403 => StreamEnd::PermissionDenied,
        4404 => StreamEnd::NotFound,
        1007 => StreamEnd::Malformed,
        4408 => StreamEnd::NoFirstMessage,
        4409 => StreamEnd::Replaced,
        4429 => StreamEnd::Exhausted,
        1001 => StreamEnd::GoingAway,
        1013 => StreamEnd::Unavailable,
        other => StreamEnd::Unknown(format!("{other}: {reason}")),
    }
}
