//! Reads requests over HTTP/1.x that hyper refuses, because old senders write them so.
//!
//! ```text
//! socket ─► LenientStream ─► hyper ─► handler
//!                 │                      ▲
//!                 └── UnreadableHead ────┘   with the request that replaces it
//! ```
//!
//! hyper itself answers a request line with a raw blank, `"`, `<` or a byte of another encoding than UTF-8, with a 400 without
//! a body, and ignores a query from its first `#` on. Old senders write such lines, and their meaning is plain. So the head
//! of a request is kept until it is complete, and then passed on unchanged, or with the target percent-encoded. A request
//! that cannot be read is removed, with everything after it on the connection; a request for the same path replaces it, and
//! its handler finds the fault in an [`UnreadableHead`]. So it is counted, answered and kept like any other.
//!
//! Nothing is repaired where two readers could find different ends of a message (request smuggling): two lengths, a length
//! together with `Transfer-Encoding`, or blanks around a header's name are refused, as RFC 9112 requires.

mod body;
mod fault;
mod head;
mod repair;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use hyper::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use fault::{HeadFault, UnreadableHead};
pub use repair::HeadRepair;

/// Bytes read from the socket at a time.
const READ: usize = 4 * 1024;
/// Bytes of its buffer that a connection keeps between two requests.
const KEPT: usize = 1024;

/// A stream whose requests are repaired before hyper reads them.
#[derive(Debug)]
pub(super) struct LenientStream<S> {
    stream: S,
    repair: Option<HeadRepair>,
    /// Bytes that can be read, from `read` on.
    ready: Vec<u8>,
    read: usize,
    ended: bool,
    unreadable: UnreadableRequest,
}

/// The number of the request that replaces an unreadable one, and the head of the latter.
#[derive(Debug, Clone, Default)]
pub(super) struct UnreadableRequest(Arc<Mutex<Option<(u64, UnreadableHead)>>>);

impl UnreadableRequest {
    /// Attaches the unreadable head to the request that replaces it. `number`: of the request; the first is 1.
    pub(super) fn attach<B>(&self, number: u64, request: &mut Request<B>) {
        let mut unreadable = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, head)) = unreadable.take_if(|(replaced, _)| *replaced == number) {
            request.extensions_mut().insert(head);
        }
    }

    fn set(&self, number: u64, head: UnreadableHead) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, head));
    }
}

impl<S> LenientStream<S> {
    /// Repairs requests with heads of at most `head` bytes; with `None`, nothing is repaired.
    pub(super) fn new(stream: S, head: Option<usize>) -> (Self, UnreadableRequest) {
        let unreadable = UnreadableRequest::default();
        let lenient = Self {
            stream,
            repair: head.map(HeadRepair::new),
            ready: Vec::new(),
            read: 0,
            ended: false,
            unreadable: unreadable.clone(),
        };
        (lenient, unreadable)
    }

    /// Copies bytes that are ready.
    fn copy_ready(&mut self, buffer: &mut ReadBuf<'_>) {
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
                this.copy_ready(buffer);
                return Poll::Ready(Ok(()));
            }
            let Some(repair) = &mut this.repair else {
                return Pin::new(&mut this.stream).poll_read(cx, buffer);
            };
            if repair.is_finished() {
                // hyper closes after the answer to the last request; an end before it would mean that the client has left.
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
                repair.finish(&mut this.ready)
            } else {
                repair.push(came.filled(), &mut this.ready)
            };
            if let Some(unreadable) = unreadable {
                this.unreadable.set(repair.passed_on(), unreadable);
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
