//! The end of a WebSocket, by RFC 6455, section 7: both sides send a Close frame, the server ends the connection first.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::handshake::Socket;
use crate::end::End;

/// How long a pad may take for its part of the close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a close's reason at most: what a control frame has room for behind the code.
const REASON: usize = 123;

/// Says why the connection ends, and waits a moment for the pad's answer.
pub(super) async fn close(mut socket: Socket, end: &End) {
    let mut reason = end.to_string();
    reason.truncate(reason.floor_char_boundary(REASON));
    let frame = CloseFrame { code: end.close_code().into(), reason: reason.into() };
    let closed = async {
        // After a violation of the protocol nothing more can be read as frames: then this writes, and `next` ends at once.
        if socket.close(Some(frame)).await.is_ok() {
            hang_up(socket).await;
        }
    };
    if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
        tracing::debug!(code = end.close_code(), "a pad did not answer the close");
    }
}

/// Answers a pad's close with the same code.
pub(super) async fn answer(socket: Socket) {
    if timeout(CLOSE_TIMEOUT, hang_up(socket)).await.is_err() {
        tracing::debug!("a pad did not end its connection after its close");
    }
}

/// Ends the connection once the closes have been exchanged. What the pad has sent besides is read to its end: a
/// connection that is closed with something unread in it is reset, and the Close frame may be lost with it.
async fn hang_up(mut socket: Socket) {
    // Writes the answer that the library has made to a pad's close, or waits for the pad's.
    while let Some(Ok(_)) = socket.next().await {}
    let mut connection = socket.into_inner();
    let mut unread = [0; 1024];
    if connection.shutdown().await.is_ok() {
        while connection.read(&mut unread).await.is_ok_and(|read| read > 0) {}
    }
}
