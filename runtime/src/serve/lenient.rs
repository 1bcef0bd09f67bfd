//! Requests over HTTP/1.x as people's systems write them, mended to what hyper takes.
//!
//! ```text
//! socket ─► LenientStream ─► hyper ─► handler
//!              │                  ▲
//!              └─ UnreadableHead ─────┘   beside a request that stands in its place
//! ```
//!
//! hyper answers a request line with a raw blank, `"`, `<` or a byte of another encoding than UTF-8 by itself, with a bare
//! 400, and cuts a query at its first `#`. Old senders write such lines, and they mean something plain. So a request's head
//! is held back until it is whole, and then passed on as it came, or with the target percent-encoded. What cannot be read is
//! taken out, with what is behind it on the connection; a request for the same path is passed on in its place, and its
//! handler finds out why, as [`UnreadableHead`]. So it is counted, answered and kept like any other.
//!
//! Where a message would end for one reader here and for another there (request smuggling), nothing is mended: two lengths,
//! a length beside `Transfer-Encoding`, blanks around a header's name are refused, as RFC 9112 has it.

mod body;
mod head;
mod repair;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use repair::HeadRepair;

/// Bytes read from the socket at a time.
const READ: usize = 4 * 1024;
/// Bytes of memory that a connection keeps between two requests.
const KEPT: usize = 1024;

/// A request that could not be read, the last one of its connection. The request that stands in its place has it as an
/// extension: a GET of the same path, if that could be told, with the `X-Forwarded-For` headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableHead {
    /// Why.
    pub fault: HeadFault,
    /// Its head as it came, as far as it was read.
    pub head: Bytes,
}

/// Why a request could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeadFault {
    /// The request line is none: a method, a target and a version.
    RequestLine,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    Version,
    /// The target is no path, and no address.
    Target,
    /// A line is no header: no name, a blank around it, a control character.
    Header,
    /// Where the body ends cannot be told for certain.
    Length,
    /// The client closed its side in the middle of the head.
    Incomplete,
    /// The target is too long.
    TargetTooLong,
    /// The head is too long, or has more than 100 headers.
    HeadTooLong,
}

impl HeadFault {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestLine => "request_line",
            Self::Version => "version",
            Self::Target => "target",
            Self::Header => "header",
            Self::Length => "length",
            Self::Incomplete => "broken_off",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLong => "head_too_long",
        }
    }
}

/// A stream whose requests are mended before they are read.
#[derive(Debug)]
pub(super) struct LenientStream<S> {
    stream: S,
    requests: Option<HeadRepair>,
    /// What can be read, from `read` on.
    ready: Vec<u8>,
    read: usize,
    ended: bool,
    refused: Refused,
}

/// The number of the request that stands in the place of an unreadable one, and that one.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused(Arc<Mutex<Option<(u64, UnreadableHead)>>>);

impl Refused {
    /// Gives the request of this number, the first being 1, what it stands for.
    pub(super) fn tell<B>(&self, number: u64, request: &mut Request<B>) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, unreadable)) = refused.take_if(|(refused, _)| *refused == number) {
            request.extensions_mut().insert(unreadable);
        }
    }

    fn note(&self, number: u64, unreadable: UnreadableHead) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, unreadable));
    }
}

impl<S> LenientStream<S> {
    /// Mends requests with heads of at most so many bytes; without a number, all is read as it comes.
    pub(super) fn new(stream: S, head: Option<usize>) -> (Self, Refused) {
        let refused = Refused::default();
        let mended = Self {
            stream,
            requests: head.map(HeadRepair::new),
            ready: Vec::new(),
            read: 0,
            ended: false,
            refused: refused.clone(),
        };
        (mended, refused)
    }

    /// Hands on what is ready.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let unread = &self.ready[self.read..];
        let part = unread.len().min(buffer.remaining());
        buffer.put_slice(&unread[..part]);
        self.read += part;
        if self.read == self.ready.len() {
            self.ready.clear();
            self.ready.shrink_to(KEPT);
            self.read = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LenientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.read < this.ready.len() {
                this.hand_on(buffer);
                return Poll::Ready(Ok(()));
            }
            let Some(requests) = &mut this.requests else {
                return Pin::new(&mut this.stream).poll_read(cx, buffer);
            };
            if requests.have_ended() {
                // hyper closes behind the answer to the last request; an end before it would mean that the client is gone.
                return Poll::Pending;
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; READ];
            let mut came = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut came))?;
            this.ended = came.filled().is_empty();
            let unreadable = if this.ended {
                requests.end(&mut this.ready)
            } else {
                requests.take(came.filled(), &mut this.ready)
            };
            if let Some(unreadable) = unreadable {
                this.refused.note(requests.begun(), unreadable);
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LenientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
