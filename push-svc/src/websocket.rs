//! The edge for WebSocket pads, the fallback where a proxy holds back streamed HTTP: `GET /v1/subscribe`, subprotocol
//! `ringpad.v1.json`. The pad's first message has its token; then it gets `SubscribeResponse`s in proto3 JSON, one in each
//! message.
//!
//! Memory is bounded: a read buffer of 1 KiB, and one frame of [`FRAME_BYTES`] that waits to be written. A pad that takes
//! nothing for [`SEND_TIMEOUT`] is disconnected.

mod closing;
mod handshake;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ringpad_runtime::{CancellationToken, serve::ConnectionPermit};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{
    self, Error, Message, Utf8Bytes,
    error::ProtocolError,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};
use tokio_util::task::TaskTracker;

use crate::{
    admission::{Admission, token::TokenFault},
    first_message::FirstMessage,
    pad_stream::{PadStream, PadStreams, Transport},
    stream_end::{LEAVING_STATUS, StreamEnd, Violation},
};
use handshake::{Handshake, Socket};

/// How long a pad may take to send its first message.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pad may take for one frame before it is disconnected.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest frame that is written; a longer message takes several.
const FRAME_BYTES: usize = 2 * 1024;

/// What the edge uses.
#[derive(Clone)]
pub(crate) struct WebSocketEdge {
    pub admission: Arc<Admission>,
    pub streams: Arc<PadStreams>,
    /// The tasks of the connections that were upgraded.
    pub connections: TaskTracker,
    /// Ends all connections without a Close.
    pub stop: CancellationToken,
}

/// The route of the WebSocket.
pub(crate) fn router(edge: WebSocketEdge) -> Router {
    Router::new().route("/v1/subscribe", any(upgrade)).with_state(edge)
}

async fn upgrade(State(edge): State<WebSocketEdge>, mut request: Request) -> Response {
    if edge.streams.is_leaving() {
        return LEAVING_STATUS.into_response();
    }
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(error) => return error.into(),
    };
    let is_allowed = edge.admission.allows_page(request.uri(), request.headers());
    let origin = if is_allowed { OriginCheck::Allowed } else { OriginCheck::Foreign };
    let (answer, socket) = handshake.accept::<Body>();
    let permit = request.extensions().get::<ConnectionPermit>().cloned();
    edge.connections.spawn(async move {
        // This task owns the connection now, and holds its permit.
        let _permit = permit;
        let served = async {
            match socket.await {
                Ok(socket) => serve(socket, &edge.streams, origin).await,
                Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
            }
        };
        tokio::select! {
            () = served => {}
            () = edge.stop.cancelled() => {}
        }
    });
    answer
}

/// The page that opened the WebSocket.
#[derive(Debug, Clone, Copy)]
enum OriginCheck {
    Allowed,
    Foreign,
}

/// How a connection ends.
enum WebSocketEnd {
    /// By us, for this reason.
    Stream(StreamEnd),
    /// By the pad, with a Close that must be answered.
    Close,
    /// The pad has disconnected, or takes nothing more.
    Disconnect,
}

/// Serves one pad from its first message to the Close.
async fn serve(mut socket: Socket, streams: &PadStreams, origin: OriginCheck) {
    // Boxed, because opening takes far more memory than what follows, and is over soon.
    let end = match Box::pin(open(&mut socket, streams, origin)).await {
        Ok(mut stream) => forward(&mut socket, &mut stream).await,
        Err(end) => end,
    };
    let closed = async {
        match end {
            WebSocketEnd::Stream(end) => closing::close(socket, &end).await,
            WebSocketEnd::Close => closing::answer(socket).await,
            WebSocketEnd::Disconnect => {}
        }
    };
    Box::pin(closed).await;
}

async fn open(
    socket: &mut Socket,
    streams: &PadStreams,
    origin: OriginCheck,
) -> Result<PadStream, WebSocketEnd> {
    let FirstMessage { token, request } = first_message(socket, origin).await.inspect_err(|end| {
        if let WebSocketEnd::Stream(end) = end {
            streams.count_refused(Transport::WebSocket, end);
        }
    })?;
    let token = if token.is_empty() { Err(TokenFault::Missing) } else { Ok(token.as_str()) };
    streams.open(token, request, Transport::WebSocket).await.map_err(WebSocketEnd::Stream)
}

async fn first_message(socket: &mut Socket, origin: OriginCheck) -> Result<FirstMessage, WebSocketEnd> {
    if let OriginCheck::Foreign = origin {
        return Err(WebSocketEnd::Stream(StreamEnd::Origin));
    }
    let first = async {
        loop {
            if let Some(text) = text(socket.next().await)? {
                return Ok(text);
            }
        }
    };
    let no_message = Err(WebSocketEnd::Stream(StreamEnd::NoFirstMessage));
    let text = timeout(FIRST_MESSAGE_TIMEOUT, first).await.unwrap_or(no_message)?;
    FirstMessage::parse(&text).map_err(|fault| WebSocketEnd::Stream(StreamEnd::Malformed(fault)))
}

/// Sends the messages of the stream until it or the connection ends.
async fn forward(socket: &mut Socket, stream: &mut PadStream) -> WebSocketEnd {
    loop {
        let message = tokio::select! {
            received = socket.next() => match text(received) {
                // Further messages of a pad are ignored.
                Ok(_) => continue,
                Err(end) => {
                    if let WebSocketEnd::Stream(end) = &end {
                        stream.end(end);
                    }
                    return end;
                }
            },
            message = stream.next() => message,
        };
        match message.and_then(|message| message.json()) {
            Ok(text) => {
                if send(socket, text).await.is_err() {
                    return WebSocketEnd::Disconnect;
                }
            }
            Err(end) => return WebSocketEnd::Stream(end),
        }
    }
}

/// The text of a received message, if it has one; pings are answered by the library.
fn text(received: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Utf8Bytes>, WebSocketEnd> {
    let violation = match received {
        Some(Ok(Message::Text(text))) => return Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(None),
        Some(Ok(Message::Close(_))) => return Err(WebSocketEnd::Close),
        Some(Ok(Message::Binary(_))) => Violation::Binary,
        Some(Err(Error::Utf8(_))) => Violation::NotUtf8,
        Some(Err(Error::Capacity(_))) => Violation::TooLong,
        Some(Err(Error::Protocol(fault))) if fault != ProtocolError::ResetWithoutClosingHandshake => {
            Violation::Protocol
        }
        Some(Err(_)) | None => return Err(WebSocketEnd::Disconnect),
    };
    Err(WebSocketEnd::Stream(StreamEnd::Violation(violation)))
}

/// The pad takes nothing more.
struct SendFailed;

/// Writes one text message, in as many frames as it takes.
async fn send(socket: &mut Socket, mut text: Bytes) -> Result<(), SendFailed> {
    let mut kind = Data::Text;
    loop {
        let part = text.split_to(text.len().min(FRAME_BYTES));
        let frame = Frame::message(part, OpCode::Data(kind), text.is_empty());
        match timeout(SEND_TIMEOUT, socket.send(Message::Frame(frame))).await {
            Ok(Ok(())) if text.is_empty() => return Ok(()),
            Ok(Ok(())) => kind = Data::Continue,
            Ok(Err(_)) | Err(_) => return Err(SendFailed),
        }
    }
}
