//! The WebSocket fallback: `GET /v1/subscribe`, proto3 JSON, one message each way to begin with.

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, StatusCode, header::SEC_WEBSOCKET_PROTOCOL};
use ringpad_proto::v1::{SubscribeRequest, SubscribeResponse};
use ringpad_runtime::settings::one_line;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::feed::End;
use crate::{endpoint::Endpoint, terminal::harmless};

const SUBPROTOCOL: &str = "ringpad.v1.json";
/// Bytes of one message: a snapshot of 200 calls has room to spare.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// An open WebSocket.
pub(super) struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    /// Connects and asks for the stream.
    pub(super) async fn open(
        endpoint: &Endpoint,
        token: &str,
        request: &SubscribeRequest,
    ) -> Result<Self, End> {
        let lost = |error: std::io::Error| End::Lost(error.to_string());
        let connection = TcpStream::connect(endpoint.host_and_port()).await.map_err(lost)?;
        connection.set_nodelay(true).map_err(lost)?;
        let config = WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE));
        let (mut socket, _) =
            client_async_with_config(upgrade(endpoint)?, connection, Some(config)).await.map_err(ended)?;
        let first = Message::text(first_message(token, request)?);
        socket.send(first).await.map_err(ended)?;
        Ok(Self(socket))
    }

    /// The next message. Dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> Result<SubscribeResponse, End> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return read(&text),
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                // Pings are answered by tungstenite, and the subprotocol has no binary messages.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(ended(error)),
                None => return Err(End::Lost("the stream has ended".to_owned())),
            }
        }
    }
}

fn upgrade(endpoint: &Endpoint) -> Result<http::Request<()>, End> {
    let uri = endpoint.join("/v1/subscribe").map_err(|error| End::Refused(error.to_string()))?;
    let uri = uri.to_string().replacen("http:", "ws:", 1);
    let mut request = uri.into_client_request().map_err(ended)?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(request)
}

/// The request, with the token that gRPC carries in a header.
fn first_message(token: &str, request: &SubscribeRequest) -> Result<String, End> {
    let mut message = serde_json::to_value(request).map_err(|error| End::Refused(error.to_string()))?;
    message["token"] = Value::from(token);
    Ok(message.to_string())
}

fn read(text: &str) -> Result<SubscribeResponse, End> {
    // Not the reason itself: it may quote what was read, and with it a caller's number.
    serde_json::from_str(text).map_err(|error| {
        End::Refused(format!("push-svc sent something this version cannot read (column {})", error.column()))
    })
}

/// What a close code means, see the contract.
fn closed(frame: Option<CloseFrame>) -> End {
    let Some(frame) = frame else {
        return End::Lost("the stream has ended".to_owned());
    };
    let code = u16::from(frame.code);
    let why = match one_line(&harmless(frame.reason.as_str())) {
        why if why.is_empty() => format!("closed with code {code}"),
        why => why,
    };
    match code {
        4401 | 4403 | 4404 => End::Refused(why),
        _ => End::Lost(why),
    }
}

fn ended(error: tungstenite::Error) -> End {
    match error {
        tungstenite::Error::Http(answer) => match answer.status() {
            status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED) => {
                End::Refused(format!("no WebSocket here ({status})"))
            }
            status => End::Lost(format!("not now ({status})")),
        },
        error => End::Lost(one_line(&error.to_string())),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_is_the_contracts() {
        let request =
            SubscribeRequest { after_position: Some(0), epoch: "e".to_owned(), session: "s".to_owned() };
        let message: Value = serde_json::from_str(&first_message("t", &request).unwrap()).unwrap();
        assert_eq!(message["token"], "t");
        assert_eq!(message["afterPosition"], "0");
        assert_eq!((&message["epoch"], &message["session"]), (&Value::from("e"), &Value::from("s")));
    }

    #[test]
    fn close_codes_say_whether_to_come_back() {
        let frame = |code: u16| Some(CloseFrame { code: code.into(), reason: "".into() });
        for code in [4401, 4403, 4404] {
            assert!(matches!(closed(frame(code)), End::Refused(_)), "{code}");
        }
        for code in [1001, 1013, 4408, 4409, 4429] {
            assert!(matches!(closed(frame(code)), End::Lost(_)), "{code}");
        }
        assert!(matches!(closed(None), End::Lost(_)));
    }

    #[test]
    fn an_unreadable_message_is_not_quoted() {
        for call in [r#"{"revision":"N 821012345678"}"#, r#"{"startedAt":"+821012345678"}"#] {
            let End::Refused(why) = read(&format!(r#"{{"update":{{"call":{call}}}}}"#)).unwrap_err() else {
                panic!("not refused")
            };
            assert!(!why.contains("821012345678"), "{why}");
        }
    }

    #[test]
    fn what_a_newer_server_adds_is_left_alone() {
        let message = read(r#"{"update":{"position":"7","mood":"good","call":{"colour":[1]}}}"#).unwrap();
        assert_eq!(message, read(r#"{"update":{"position":7,"call":{}}}"#).unwrap());
    }
}
