//! Reads a connection in turns of a few bytes: the calls in them begin before more is read.
//!
//! hyper reads as long as there is something to read, up to a megabyte before any other task of that thread runs. So it
//! could find thousands of calls that a fast client has opened and cancelled before the first of them begins.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};

use super::{frames::Frames, reset_debt::ResetDebt};

/// Bytes that are read from a connection in one turn at most.
pub(super) const TURN: usize = 8 * 1024;
/// How long a client may take to close its side once we have closed ours.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A TCP stream that is read in turns. When it is dropped, the [`StreamWatch`] gets the stream.
#[derive(Debug)]
pub(super) struct WatchedStream {
    stream: Option<TcpStream>,
    reading: Arc<Mutex<ReadState>>,
    give_back: Option<oneshot::Sender<TcpStream>>,
    /// How long the client may leave the socket's buffer full. TCP notices a client that has disconnected; this is for a
    /// client that acknowledges and does not read.
    write_timeout: Duration,
    /// While the buffer is full: the end of that time.
    write_deadline: Option<Pin<Box<Sleep>>>,
}

/// Allows turns of reading, and sees what is read.
#[derive(Debug)]
pub(super) struct StreamWatch {
    reading: Arc<Mutex<ReadState>>,
    stream: oneshot::Receiver<TcpStream>,
}

#[derive(Debug)]
struct ReadState {
    allowance: ReadAllowance,
    frames: Frames,
    debt: ResetDebt,
    resets: u32,
    /// When the first byte came.
    first: Option<Instant>,
    /// When something was last read or written.
    last: Instant,
}

#[derive(Debug)]
enum ReadAllowance {
    /// So many bytes may be read.
    Left(usize),
    /// Nothing is read for now, because the client has cancelled too many calls.
    Paused,
    /// Without turns: the connection is a WebSocket now.
    Unlimited,
}

/// Lets `stream` be read in turns.
pub(super) fn watch(stream: TcpStream, write_timeout: Duration) -> (WatchedStream, StreamWatch) {
    let reading = ReadState {
        allowance: ReadAllowance::Left(TURN),
        frames: Frames::default(),
        debt: ResetDebt::default(),
        resets: 0,
        first: None,
        last: Instant::now(),
    };
    let reading = Arc::new(Mutex::new(reading));
    let (give_back, given_back) = oneshot::channel();
    let watched = WatchedStream {
        stream: Some(stream),
        reading: Arc::clone(&reading),
        give_back: Some(give_back),
        write_timeout,
        write_deadline: None,
    };
    (watched, StreamWatch { reading, stream: given_back })
}

fn lock(reading: &Mutex<ReadState>) -> MutexGuard<'_, ReadState> {
    // A panic while it was locked leaves at most a wrong count.
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StreamWatch {
    /// Polls `connection` to its end, with one turn for each poll. `resets` gets the number of cancelled calls.
    pub(super) async fn drive<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        resets: impl Fn(u32),
    ) -> C::Output {
        let mut pause: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            self.begin_turn(&mut pause, cx);
            let ended = connection.as_mut().poll(cx);
            resets(self.end_turn());
            ended
        })
        .await
    }

    fn begin_turn(&self, pause: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) {
        let mut reading = lock(&self.reading);
        let waits = match reading.debt.resume(Instant::now()) {
            Some(resume) => {
                let sleep = pause.get_or_insert_with(|| Box::pin(sleep_until(resume)));
                sleep.as_mut().reset(resume);
                sleep.as_mut().poll(cx).is_pending()
            }
            None => false,
        };
        reading.allowance = if waits { ReadAllowance::Paused } else { ReadAllowance::Left(TURN) };
    }

    /// Returns how many calls were cancelled in this turn.
    fn end_turn(&self) -> u32 {
        let mut reading = lock(&self.reading);
        let resets = std::mem::take(&mut reading.resets);
        reading.debt.charge(resets, Instant::now());
        resets
    }

    /// Whether the client uses HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        lock(&self.reading).frames.is_http2()
    }

    /// When the first byte came.
    pub(super) fn first_byte(&self) -> Option<Instant> {
        lock(&self.reading).first
    }

    /// When something was last read or written.
    pub(super) fn last_byte(&self) -> Instant {
        lock(&self.reading).last
    }

    /// Reads what the client still sends after the connection has been served, until it closes its side too. A socket that is
    /// closed with unread bytes is reset, and the client's system then drops the answers that the client has not read.
    pub(super) async fn read_to_end(self) {
        lock(&self.reading).allowance = ReadAllowance::Unlimited;
        if let Some(stream) = self.into_stream() {
            read_to_end(stream).await;
        }
    }

    /// The stream, once hyper has dropped it; `None` if a WebSocket has it.
    pub(super) fn into_stream(mut self) -> Option<TcpStream> {
        self.stream.try_recv().ok()
    }
}

/// Reads until the client closes its side, for a second at most.
pub(super) async fn read_to_end(mut stream: TcpStream) {
    let mut unread = [0; 1024];
    let read = async { while !matches!(stream.read(&mut unread).await, Ok(0) | Err(_)) {} };
    if timeout(CLOSE_TIMEOUT, read).await.is_err() {
        tracing::debug!("a client has not closed its side in time");
    }
}

impl ReadState {
    /// How many bytes may be read now. With none, the reader is woken in its next turn.
    fn left(&self, waker: &Waker) -> usize {
        match self.allowance {
            ReadAllowance::Left(0) => {
                waker.wake_by_ref();
                0
            }
            ReadAllowance::Left(left) => left,
            ReadAllowance::Paused => 0,
            ReadAllowance::Unlimited => usize::MAX,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = now;
        if let ReadAllowance::Left(left) = &mut self.allowance {
            *left -= bytes.len().min(*left);
            self.resets += self.frames.read(bytes);
        }
    }
}

impl WatchedStream {
    /// The stream, which is there until this is dropped.
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Checks the result of a write; an error if nothing could be written for too long.
    fn wrote(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            let time = self.write_timeout;
            let deadline = self.write_deadline.get_or_insert_with(|| Box::pin(sleep(time)));
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.write_deadline = None;
        lock(&self.reading).last = Instant::now();
        written
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        if let (Some(stream), Some(give_back)) = (self.stream.take(), self.give_back.take()) {
            // Nobody waits for it when a WebSocket ends: then the failed send closes it.
            drop(give_back.send(stream));
        }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = lock(&self.reading).left(cx.waker());
        if left == 0 {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if left >= buffer.remaining() {
            // The usual case, in which nothing of the buffer must be initialized.
            ready!(self.stream()?.poll_read(cx, buffer))?;
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(left));
            ready!(self.stream()?.poll_read(cx, &mut part))?;
            let read = part.filled().len();
            buffer.advance(read);
        }
        lock(&self.reading).read(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, bytes);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(cx, bytes);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
