//! The edge for WebSocket pads, the fallback where a proxy holds back streamed HTTP: `GET /v1/subscribe`, subprotocol
//! `ringpad.v1.json`. The first message says who the pad is; then `SubscribeResponse`s in proto3 JSON, one a message.
//!
//! Memory is bounded: 1 KiB to read into, one frame of [`FRAME_BYTES`] waiting to be written, and a pad that takes
//! nothing for [`SEND_TIMEOUT`] is gone.

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
use ringpad_runtime::{CancellationToken, serve::Place};
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
    auth::TokenFault,
    end::{End, Violation},
    first_message::FirstMessage,
    grpc::LEAVING,
    metrics::Transport,
    pad_stream::PadStream,
    pads::Pads,
};
use handshake::{Handshake, Socket};

/// How long a pad may take to say who it is.
const FIRST_MESSAGE: Duration = Duration::from_secs(5);
/// How long a pad may take for one frame before it counts as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest frame that is written; a longer message takes several.
const FRAME_BYTES: usize = 2 * 1024;

/// What the edge needs.
#[derive(Clone)]
pub(crate) struct Edge {
    /// What all edges share.
    pub pads: Arc<Pads>,
    /// The tasks of the connections that were upgraded.
    pub connections: TaskTracker,
    /// Cuts whatever connection is left.
    pub cut: CancellationToken,
}

/// The route of the WebSocket.
pub(crate) fn router(edge: Edge) -> Router {
    Router::new().route("/v1/subscribe", any(upgrade)).with_state(edge)
}

async fn upgrade(State(edge): State<Edge>, mut request: Request) -> Response {
    if edge.pads.hub.is_leaving() {
        return LEAVING.into_response();
    }
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(no) => return no.into(),
    };
    let from = if edge.pads.origins.admit(request.uri(), request.headers()) {
        From::Allowed
    } else {
        From::Elsewhere
    };
    let (answer, socket) = handshake.accept::<Body>();
    let place = request.extensions().get::<Place>().cloned();
    edge.connections.spawn(async move {
        // The connection is this task's now, and its place with it.
        let _place = place;
        let served = async {
            match socket.await {
                Ok(socket) => serve(socket, &edge.pads, from).await,
                Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
            }
        };
        tokio::select! {
            () = served => {}
            () = edge.cut.cancelled() => {}
        }
    });
    answer
}

/// Where the page is from.
#[derive(Debug, Clone, Copy)]
enum From {
    Allowed,
    Elsewhere,
}

/// How a connection came to its end.
enum Gone {
    /// We end it, and say why.
    Ended(End),
    /// The pad has closed it, and waits for the answer to that.
    Closed,
    /// The pad is gone, or takes nothing more.
    Pad,
}

/// Serves one pad from its first message to the close.
async fn serve(mut socket: Socket, pads: &Arc<Pads>, from: From) {
    let opened = match from {
        // Boxed: opening takes far more room than what follows, and is over soon.
        From::Allowed => Box::pin(open(&mut socket, pads)).await,
        From::Elsewhere => Err(never_began(pads, Gone::Ended(End::Origin))),
    };
    let gone = match opened {
        Ok(mut stream) => talk(&mut socket, &mut stream).await,
        Err(gone) => gone,
    };
    let closed = async {
        match gone {
            Gone::Ended(end) => closing::close(socket, &end).await,
            Gone::Closed => closing::answer(socket).await,
            Gone::Pad => {}
        }
    };
    Box::pin(closed).await;
}

/// Counts a stream that never began.
fn never_began(pads: &Pads, gone: Gone) -> Gone {
    if let Gone::Ended(end) = &gone {
        pads.metrics.end(Transport::WebSocket, end.reason());
    }
    gone
}

async fn open(socket: &mut Socket, pads: &Arc<Pads>) -> Result<PadStream, Gone> {
    let first = async {
        loop {
            if let Some(text) = text(socket.next().await)? {
                return Ok(text);
            }
        }
    };
    let first = timeout(FIRST_MESSAGE, first).await.unwrap_or(Err(Gone::Ended(End::NoFirstMessage)));
    let first =
        first.and_then(|text| FirstMessage::parse(&text).map_err(|wrong| Gone::Ended(End::Malformed(wrong))));
    let FirstMessage { token, request } = first.map_err(|gone| never_began(pads, gone))?;
    let token = if token.is_empty() { Err(TokenFault::Missing) } else { Ok(token.as_str()) };
    pads.open(token, request, Transport::WebSocket).await.map_err(Gone::Ended)
}

async fn talk(socket: &mut Socket, stream: &mut PadStream) -> Gone {
    loop {
        let message = tokio::select! {
            received = socket.next() => match text(received) {
                // Nothing a pad says after its first message matters.
                Ok(_) => continue,
                Err(gone) => {
                    if let Gone::Ended(end) = &gone {
                        stream.end(end);
                    }
                    return gone;
                }
            },
            message = stream.next() => message,
        };
        match message.and_then(|message| message.json()) {
            Ok(text) => {
                if send(socket, text).await.is_err() {
                    return Gone::Pad;
                }
            }
            Err(end) => return Gone::Ended(end),
        }
    }
}

/// The text in what was received, if it is one; pings are answered by the library.
fn text(received: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Utf8Bytes>, Gone> {
    let violation = match received {
        Some(Ok(Message::Text(text))) => return Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(None),
        Some(Ok(Message::Close(_))) => return Err(Gone::Closed),
        Some(Ok(Message::Binary(_))) => Violation::Binary,
        Some(Err(Error::Utf8(_))) => Violation::NotUtf8,
        Some(Err(Error::Capacity(_))) => Violation::TooLong,
        Some(Err(Error::Protocol(fault))) if fault != ProtocolError::ResetWithoutClosingHandshake => {
            Violation::Protocol
        }
        Some(Err(_)) | None => return Err(Gone::Pad),
    };
    Err(Gone::Ended(End::Violation(violation)))
}

/// The pad takes nothing more.
struct Stuck;

/// Writes one text message, in as many frames as it takes.
async fn send(socket: &mut Socket, mut text: Bytes) -> Result<(), Stuck> {
    let mut kind = Data::Text;
    loop {
        let part = text.split_to(text.len().min(FRAME_BYTES));
        let frame = Frame::message(part, OpCode::Data(kind), text.is_empty());
        match timeout(SEND_TIMEOUT, socket.send(Message::Frame(frame))).await {
            Ok(Ok(())) if text.is_empty() => return Ok(()),
            Ok(Ok(())) => kind = Data::Continue,
            Ok(Err(_)) | Err(_) => return Err(Stuck),
        }
    }
}
