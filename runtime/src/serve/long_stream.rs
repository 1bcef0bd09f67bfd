//! An answer over HTTP/1.1 that stays open, without hyper.
//!
//! hyper keeps two buffers of 8 KiB for a connection as long as it serves it. For a stream on which hardly anything is sent
//! that is three times as much as everything else. So the connection's task takes such an answer and the socket from hyper,
//! and writes the answer itself, in chunks (RFC 9112, section 7.1). The connection ends with the answer.

use std::{
    io::{self, Write as _},
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::{
    Response,
    header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING},
    http::response::Parts,
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, tcp::ReadHalf},
    time::timeout,
};

use super::requests::AnswerBody;

/// Marks an answer as one that stays open for long, as an extension of it. Over HTTP/1.1 its connection then takes little
/// memory, and ends with it. A client that closes its side has disconnected. The request must have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongStream;

/// Writes an answer and the end of the connection. `write_timeout`: how long the client may take nothing.
///
/// # Errors
/// The client has disconnected or takes nothing, or the answer broke off.
pub(super) fn send(
    stream: &mut TcpStream,
    answer: Response<AnswerBody>,
    write_timeout: Duration,
) -> impl Future<Output = io::Result<()>> {
    let (parts, mut body) = answer.into_parts();
    // Not in the future, so that the answer's headers do not stay in memory.
    let head = head(&parts);
    async move {
        let (mut client, mut out) = stream.split();
        let sent = async {
            write(&mut out, head?, write_timeout).await?;
            while let Some(frame) = body.frame().await {
                // Trailers are left out: over HTTP/1.1 a client must have asked for them.
                if let Ok(data) = frame.map_err(io::Error::other)?.into_data()
                    && data.has_remaining()
                {
                    let length = format!("{:x}\r\n", data.remaining());
                    let chunk = Buf::chain(length.as_bytes(), data).chain(b"\r\n".as_slice());
                    write(&mut out, chunk, write_timeout).await?;
                }
            }
            write(&mut out, b"0\r\n\r\n".as_slice(), write_timeout).await?;
            out.shutdown().await
        };
        tokio::select! {
            biased;
            sent = sent => sent,
            () = disconnected(&mut client) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

fn head(parts: &Parts) -> io::Result<Bytes> {
    let mut head = Vec::with_capacity(512);
    let status = parts.status;
    write!(head, "HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default())?;
    let ours = [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING];
    for (name, value) in parts.headers.iter().filter(|(name, _)| !ours.contains(name)) {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let date = httpdate::HttpDate::from(SystemTime::now());
    write!(head, "date: {date}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")?;
    Ok(head.into())
}

async fn write(out: &mut (impl AsyncWrite + Unpin), mut bytes: impl Buf, within: Duration) -> io::Result<()> {
    while bytes.has_remaining() {
        timeout(within, out.write_buf(&mut bytes)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}

/// Resolves when the client has closed its side. A client that sends more is not read any further: the connection has no
/// next request.
async fn disconnected(client: &mut ReadHalf<'_>) {
    if let Ok(1..) = client.read(&mut [0]).await {
        std::future::pending().await
    }
}
