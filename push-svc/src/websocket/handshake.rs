//! From an HTTP/1.1 request to a WebSocket, by RFC 6455.
//!
//! By hand, and not with axum's extractor, because a snapshot must be written in small frames: tungstenite keeps a
//! buffer of the largest frame it ever wrote, for each connection and for good.

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

/// The one subprotocol.
const PROTOCOL: &str = "ringpad.v1.json";
/// The largest message from a pad; a token fits.
const MESSAGE_BYTES: usize = 16 * 1024;
/// What each connection reads into. After its first message a pad says hardly anything.
const READ_BYTES: usize = 1024;
/// What may wait to be written. Only one small frame ever does.
const UNWRITTEN_BYTES: usize = 64 * 1024;

/// A pad's socket.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A request that may become a WebSocket.
pub(super) struct Handshake {
    upgrade: OnUpgrade,
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

/// The one version of the protocol that there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Why a request cannot become a WebSocket.
pub(super) enum NoWebSocket {
    /// Its method is not GET.
    Method,
    /// It does not ask for a WebSocket.
    NotAsked,
    /// It asks for another version of the protocol, or for none.
    Version,
    /// The rest is wrong, as it says.
    Malformed(&'static str),
}

impl Handshake {
    /// Checks the request.
    pub(super) fn read<B>(request: &mut Request<B>) -> Result<Self, NoWebSocket> {
        let wrong = NoWebSocket::Malformed;
        let headers = request.headers();
        if request.method() != Method::GET {
            return Err(NoWebSocket::Method);
        }
        if !lists(headers, &header::CONNECTION, "upgrade") || !lists(headers, &header::UPGRADE, "websocket") {
            return Err(NoWebSocket::NotAsked);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(NoWebSocket::Version);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(wrong("Sec-WebSocket-Key is missing\n"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
            .map_err(|_| wrong("Sec-WebSocket-Key is wrong\n"))?;
        let protocol = lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
            .then_some(const { HeaderValue::from_static(PROTOCOL) });
        let upgrade = request
            .extensions_mut()
            .remove::<OnUpgrade>()
            .ok_or(wrong("this connection cannot become a WebSocket\n"))?;
        Ok(Self { upgrade, accept, protocol })
    }

    /// The answer to the request, and what becomes the socket once the answer is sent.
    pub(super) fn accept<B: Default>(self) -> (Response<B>, impl Future<Output = hyper::Result<Socket>>) {
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
            Ok(WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await)
        };
        (answer, socket)
    }
}

impl<B: From<&'static str>> From<NoWebSocket> for Response<B> {
    fn from(no: NoWebSocket) -> Self {
        let (status, why) = match no {
            NoWebSocket::Method => (StatusCode::METHOD_NOT_ALLOWED, "GET is expected\n"),
            NoWebSocket::NotAsked => (StatusCode::UPGRADE_REQUIRED, "a WebSocket handshake is expected\n"),
            NoWebSocket::Version => (StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version: 13 is expected\n"),
            NoWebSocket::Malformed(why) => (StatusCode::BAD_REQUEST, why),
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

/// Whether a header that lists words has this one.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(word))
}
