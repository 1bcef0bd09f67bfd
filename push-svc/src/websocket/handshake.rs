//! From an HTTP/1.1 request to a WebSocket, by RFC 6455.
//!
//! axum's extractor is not used, because it cannot write a snapshot in small frames: tungstenite keeps a buffer as long as
//! the longest frame that it has written, for each connection and as long as the connection lives.

use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

/// The only subprotocol.
const PROTOCOL: &str = "ringpad.v1.json";
/// The largest message from a pad; a token fits.
const MESSAGE_BYTES: usize = 16 * 1024;
/// The read buffer of a connection. After its first message a pad sends hardly anything.
const READ_BYTES: usize = 1024;
/// How many bytes may wait to be written. In fact only one small frame does.
const UNWRITTEN_BYTES: usize = 64 * 1024;

/// A pad's socket. Boxed, because a task has room for each place that it moves through.
pub(super) type Socket = Box<WebSocketStream<TokioIo<Upgraded>>>;

/// A request that may become a WebSocket.
pub(super) struct Handshake {
    upgrade: OnUpgrade,
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

/// The only version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Why a request cannot become a WebSocket.
pub(super) enum HandshakeError {
    /// Its method is not GET.
    Method,
    /// It does not ask for a WebSocket.
    NotAsked,
    /// It asks for another version of the protocol, or names none.
    Version,
    /// Another header is wrong.
    Malformed(&'static str),
}

impl Handshake {
    /// Checks the request.
    pub(super) fn read<B>(request: &mut Request<B>) -> Result<Self, HandshakeError> {
        let malformed = HandshakeError::Malformed;
        let headers = request.headers();
        if request.method() != Method::GET {
            return Err(HandshakeError::Method);
        }
        if !lists(headers, &header::CONNECTION, "upgrade") || !lists(headers, &header::UPGRADE, "websocket") {
            return Err(HandshakeError::NotAsked);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(HandshakeError::Version);
        }
        let key =
            headers.get(header::SEC_WEBSOCKET_KEY).ok_or(malformed("Sec-WebSocket-Key is missing\n"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
            .map_err(|_| malformed("Sec-WebSocket-Key is wrong\n"))?;
        let protocol = lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
            .then_some(const { HeaderValue::from_static(PROTOCOL) });
        let upgrade = request
            .extensions_mut()
            .remove::<OnUpgrade>()
            .ok_or(malformed("this connection cannot become a WebSocket\n"))?;
        Ok(Self { upgrade, accept, protocol })
    }

    /// The answer to the request, and a future that yields the socket once the answer is sent.
    pub(super) fn accept<B: Default>(self) -> (Response<B>, BoxFuture<'static, hyper::Result<Socket>>) {
        let mut answer = Response::new(B::default());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        headers.extend(self.protocol.map(|protocol| (header::SEC_WEBSOCKET_PROTOCOL, protocol)));
        let upgrade = self.upgrade;
        let socket = async move {
            let connection = TokioIo::new(upgrade.await?);
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BYTES)
                .write_buffer_size(0)
                .max_write_buffer_size(UNWRITTEN_BYTES)
                .max_message_size(Some(MESSAGE_BYTES))
                .max_frame_size(Some(MESSAGE_BYTES));
            Ok(Box::new(WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await))
        };
        (answer, socket.boxed())
    }
}

impl<B: From<&'static str>> From<HandshakeError> for Response<B> {
    fn from(error: HandshakeError) -> Self {
        let (status, why) = match error {
            HandshakeError::Method => (StatusCode::METHOD_NOT_ALLOWED, "GET is expected\n"),
            HandshakeError::NotAsked => (StatusCode::UPGRADE_REQUIRED, "a WebSocket handshake is expected\n"),
            HandshakeError::Version => {
                (StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version: 13 is expected\n")
            }
            HandshakeError::Malformed(why) => (StatusCode::BAD_REQUEST, why),
        };
        let mut answer = Self::new(B::from(why));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            // RFC 9110, sections 15.5.22 and 7.8; RFC 6455, section 4.4.
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
        }
        answer
    }
}

/// Whether a header with a list has this word.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(word))
}
