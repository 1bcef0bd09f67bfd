//! The edge for WebSocket pads, the fallback where a proxy holds back streamed HTTP: `GET /v1/subscribe`, subprotocol
//! `ringpad.v1.json`. The first message says who the pad is; then `SubscribeResponse`s in proto3 JSON, one a message.
//!
//! Memory is bounded: 1 KiB to read into, one frame of [`FRAME_BYTES`] waiting to be written, and a pad that takes
//! nothing for [`SEND_TIMEOUT`] is gone.

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
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};
use tokio_util::task::TaskTracker;

use crate::{
    auth::TokenFault, end::End, first_message::FirstMessage, grpc::LEAVING, metrics::Transport,
    pad_stream::PadStream, pads::Pads,
};
use handshake::{Handshake, Socket};

/// How long a pad may take to say who it is.
const FIRST_MESSAGE: Duration = Duration::from_secs(5);
/// How long a pad may take for one frame before it counts as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a pad to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
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
    /// The pad is gone, or takes nothing more.
    Pad,
}

/// Serves one pad from its first message to the close.
async fn serve(mut socket: Socket, pads: &Arc<Pads>, from: From) {
    let opened = match from {
        // Boxed: opening takes far more room than what follows, and is over soon.
        From::Allowed => Box::pin(open(&mut socket, pads)).await,
        From::Elsewhere => Err(never_began(pads, End::Origin)),
    };
    let gone = match opened {
        Ok(mut stream) => talk(&mut socket, &mut stream).await,
        Err(gone) => gone,
    };
    if let Gone::Ended(end) = gone {
        Box::pin(close(socket, &end)).await;
    }
}

/// Counts a stream that never began.
fn never_began(pads: &Pads, end: End) -> Gone {
    pads.metrics.end(Transport::WebSocket, end.reason());
    Gone::Ended(end)
}

async fn open(socket: &mut Socket, pads: &Arc<Pads>) -> Result<PadStream, Gone> {
    let deadline = Instant::now() + FIRST_MESSAGE;
    let text = loop {
        match timeout_at(deadline, socket.next()).await {
            Err(_) => return Err(never_began(pads, End::NoFirstMessage)),
            Ok(Some(Ok(Message::Text(text)))) => break text,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Ok(Message::Binary(_) | Message::Frame(_)))) => {
                return Err(never_began(pads, End::Malformed("a text message is expected".to_owned())));
            }
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return Err(Gone::Pad),
        }
    };
    let FirstMessage { token, request } =
        FirstMessage::parse(&text).map_err(|wrong| never_began(pads, End::Malformed(wrong)))?;
    let token = if token.is_empty() { Err(TokenFault::Missing) } else { Ok(token.as_str()) };
    pads.open(token, request, Transport::WebSocket).await.map_err(Gone::Ended)
}

async fn talk(socket: &mut Socket, stream: &mut PadStream) -> Gone {
    loop {
        let message = tokio::select! {
            received = socket.next() => match received {
                // Nothing a pad says after its first message matters; pings are answered by the library.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Gone::Pad,
                Some(Ok(_)) => continue,
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

/// Says why, and waits a moment for the answer, so that the pad reads the reason before the connection is gone.
async fn close(mut socket: Socket, end: &End) {
    let frame = CloseFrame { code: end.close_code().into(), reason: end.to_string().into() };
    let closing = async {
        socket.close(Some(frame)).await?;
        while socket.next().await.transpose()?.is_some() {}
        Ok::<_, tungstenite::Error>(())
    };
    if !matches!(timeout(CLOSE_TIMEOUT, closing).await, Ok(Ok(()))) {
        tracing::debug!(code = end.close_code(), "a pad did not answer the close");
    }
}
