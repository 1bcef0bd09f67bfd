//! The WebSocket fallback: `GET /v1/subscribe`. The pad sends one message, then reads one event a message, in proto3 JSON.

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

use super::stream_error::StreamError;
use crate::{endpoint::Endpoint, terminal::harmless};

const SUBPROTOCOL: &str = "ringpad.v1.json";
/// Bytes of one message at most: more than a snapshot of 200 calls has.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// An open WebSocket.
pub(super) struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    /// Connects and asks for the stream.
    pub(super) async fn open(
        endpoint: &Endpoint,
        token: &str,
        request: &SubscribeRequest,
    ) -> Result<Self, StreamError> {
        let lost = |error: std::io::Error| StreamError::Lost(error.to_string());
        let connection = TcpStream::connect(endpoint.host_and_port()).await.map_err(lost)?;
        connection.set_nodelay(true).map_err(lost)?;
        let config = WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE));
        let (mut socket, _) =
            client_async_with_config(upgrade(endpoint)?, connection, Some(config)).await.map_err(ended)?;
        let first = Message::text(first_message(token, request)?);
        socket.send(first).await.map_err(ended)?;
        Ok(Self(socket))
    }

    /// The next message. Cancel-safe: no message is lost if this is dropped.
    pub(super) async fn next(&mut self) -> Result<SubscribeResponse, StreamError> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return read(&text),
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                // Pings are answered by tungstenite, and the subprotocol has no binary messages.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(ended(error)),
                None => return Err(StreamError::Lost("the stream has ended".to_owned())),
            }
        }
    }
}

fn upgrade(endpoint: &Endpoint) -> Result<http::Request<()>, StreamError> {
    let uri = endpoint.join("/v1/subscribe").map_err(|error| StreamError::Refused(error.to_string()))?;
    let uri = uri.to_string().replacen("http:", "ws:", 1);
    let mut request = uri.into_client_request().map_err(ended)?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(request)
}

/// The request, with the token that gRPC carries in a header.
fn first_message(token: &str, request: &SubscribeRequest) -> Result<String, StreamError> {
    let mut message =
        serde_json::to_value(request).map_err(|error| StreamError::Refused(error.to_string()))?;
    message["token"] = Value::from(token);
    Ok(message.to_string())
}

fn read(text: &str) -> Result<SubscribeResponse, StreamError> {
    // Without serde's own message, which may quote a caller's number.
    serde_json::from_str(text).map_err(|error| {
        StreamError::Refused(format!(
            "push-svc sent something this version cannot read (column {})",
            error.column()
        ))
    })
}

/// What a close code means; see `docs/protocol.md`.
fn closed(frame: Option<CloseFrame>) -> StreamError {
    let Some(frame) = frame else {
        return StreamError::Lost("the stream has ended".to_owned());
    };
    let code = u16::from(frame.code);
    let why = match one_line(&harmless(frame.reason.as_str())) {
        why if why.is_empty() => format!("closed with code {code}"),
        why => why,
    };
    match code {
        4401 | 4403 | 4404 => StreamError::Refused(why),
        _ => StreamError::Lost(why),
    }
}

fn ended(error: tungstenite::Error) -> StreamError {
    match error {
        tungstenite::Error::Http(answer) => match answer.status() {
            status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED) => {
                StreamError::Refused(format!("this address does not serve WebSockets ({status})"))
            }
            status => StreamError::Lost(format!("the server refused the connection for now ({status})")),
        },
        error => StreamError::Lost(one_line(&error.to_string())),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_has_the_names_of_the_protocol() {
        let request =
            SubscribeRequest { after_position: Some(0), epoch: "e".to_owned(), session: "s".to_owned() };
        let message: Value = serde_json::from_str(&first_message("t", &request).unwrap()).unwrap();
        assert_eq!(message["token"], "t");
        assert_eq!(message["afterPosition"], "0");
        assert_eq!((&message["epoch"], &message["session"]), (&Value::from("e"), &Value::from("s")));
    }

    #[test]
    fn close_codes_decide_whether_the_pad_comes_back() {
        let frame = |code: u16| Some(CloseFrame { code: code.into(), reason: "".into() });
        for code in [4401, 4403, 4404] {
            assert!(matches!(closed(frame(code)), StreamError::Refused(_)), "{code}");
        }
        for code in [1001, 1013, 4408, 4409, 4429] {
            assert!(matches!(closed(frame(code)), StreamError::Lost(_)), "{code}");
        }
        assert!(matches!(closed(None), StreamError::Lost(_)));
    }

    #[test]
    fn an_unreadable_message_is_not_quoted() {
        for call in [r#"{"revision":"N 821012345678"}"#, r#"{"startedAt":"+821012345678"}"#] {
            let StreamError::Refused(why) = read(&format!(r#"{{"update":{{"call":{call}}}}}"#)).unwrap_err()
            else {
                panic!("not refused")
            };
            assert!(!why.contains("821012345678"), "{why}");
        }
    }

    #[test]
    fn fields_of_a_newer_server_are_ignored() {
        let message = read(r#"{"update":{"position":"7","mood":"good","call":{"colour":[1]}}}"#).unwrap();
        assert_eq!(message, read(r#"{"update":{"position":7,"call":{}}}"#).unwrap());
    }
}
