//! The end of a WebSocket, by RFC 6455, section 7: both sides send a Close frame, the server ends the connection first.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::handshake::Socket;
use crate::stream_end::StreamEnd;

/// How long a pad may take for its Close and the end of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of the reason at most: a control frame has room for 125, of which the code takes 2.
const REASON_BYTES: usize = 123;

/// Sends a Close with the reason, and waits a moment for the pad's answer.
pub(super) async fn close(mut socket: Socket, end: &StreamEnd) {
    let mut reason = end.to_string();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES));
    let frame = CloseFrame { code: end.close_code().into(), reason: reason.into() };
    let closed = async {
        // After a violation of the protocol no frame can be read any more: then this still writes, and `next` ends at once.
        if socket.close(Some(frame)).await.is_ok() {
            hang_up(socket).await;
        }
    };
    if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
        tracing::debug!(code = end.close_code(), "a pad did not answer the Close");
    }
}

/// Answers a pad's Close with the same code.
pub(super) async fn answer(socket: Socket) {
    if timeout(CLOSE_TIMEOUT, hang_up(socket)).await.is_err() {
        tracing::debug!("a pad did not end its connection after its Close");
    }
}

/// Ends the connection after both Close frames. Everything that the pad has sent is read: a connection that is closed with
/// unread data is reset, and then our Close frame may be lost.
async fn hang_up(mut socket: Socket) {
    // Writes the library's answer to the pad's Close, or waits for the pad's answer to ours.
    while let Some(Ok(_)) = socket.next().await {}
    let mut connection = socket.into_inner();
    let mut unread = [0; 1024];
    if connection.shutdown().await.is_ok() {
        while connection.read(&mut unread).await.is_ok_and(|read| read > 0) {}
    }
}
