//! A connection's bytes, read turn by turn: a few, and then the calls that they brought are begun before more are read.
//!
//! hyper reads for as long as there is something to read, up to a megabyte before any other task of that thread runs.
//! What a client sends faster than we look at it would so come in one heap: thousands of streams that were opened and
//! taken back before the first of them was looked at.

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

use super::{frames::Frames, pace::Pace};

/// Bytes that are read from a connection in a turn at most.
pub(super) const TURN: usize = 8 * 1024;
/// How long a client has to take what it was told last, once we have closed our side.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a client may take nothing of what it is sent. One that is gone does not acknowledge either, and is found out by
/// that; this is for one that is there and does not read.
const STUCK: Duration = if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(30) };

/// A TCP stream whose reading is watched. Once it is dropped, the [`Watch`] has the stream back.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Option<TcpStream>,
    reading: Arc<Mutex<Reading>>,
    give_back: Option<oneshot::Sender<TcpStream>>,
    /// While the client takes nothing: until when it may.
    stuck: Option<Pin<Box<Sleep>>>,
}

/// Sees what is read from a connection, and says when.
#[derive(Debug)]
pub(super) struct Watch {
    reading: Arc<Mutex<Reading>>,
    stream: oneshot::Receiver<TcpStream>,
}

#[derive(Debug)]
struct Reading {
    turn: Turn,
    frames: Frames,
    pace: Pace,
    resets: u32,
    /// When the first byte came.
    first: Option<Instant>,
    /// When something was last read or written.
    last: Instant,
}

#[derive(Debug)]
enum Turn {
    /// So many bytes may be read.
    Left(usize),
    /// The connection waits, having taken back too many streams.
    Paused,
    /// Nobody drives the connection turn by turn any more: it is a WebSocket.
    Free,
}

/// Watches what is read from `stream`.
pub(super) fn watch(stream: TcpStream) -> (Watched, Watch) {
    let reading = Reading {
        turn: Turn::Left(TURN),
        frames: Frames::default(),
        pace: Pace::default(),
        resets: 0,
        first: None,
        last: Instant::now(),
    };
    let reading = Arc::new(Mutex::new(reading));
    let (give_back, given_back) = oneshot::channel();
    let watched = Watched {
        stream: Some(stream),
        reading: Arc::clone(&reading),
        give_back: Some(give_back),
        stuck: None,
    };
    (watched, Watch { reading, stream: given_back })
}

fn lock(reading: &Mutex<Reading>) -> MutexGuard<'_, Reading> {
    // Whoever held it and panicked left nothing half done that matters: at most a wrong count.
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Polls `connection` to its end, each time with a turn to read.
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
        let waits = match reading.pace.resume(Instant::now()) {
            Some(resume) => {
                let sleep = pause.get_or_insert_with(|| Box::pin(sleep_until(resume)));
                sleep.as_mut().reset(resume);
                sleep.as_mut().poll(cx).is_pending()
            }
            None => false,
        };
        reading.turn = if waits { Turn::Paused } else { Turn::Left(TURN) };
    }

    /// Returns how many streams were taken back in this turn.
    fn end_turn(&self) -> u32 {
        let mut reading = lock(&self.reading);
        let resets = std::mem::take(&mut reading.resets);
        reading.pace.charge(resets, Instant::now());
        resets
    }

    /// Whether the client has begun to speak HTTP/2.
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

    /// Once the connection has been served: reads what the client still sends, until it closes its side too. A stream that
    /// is closed with something unread in it is reset, and the client's system throws away the answers that the client
    /// has not looked at yet.
    pub(super) async fn last_words(mut self) {
        lock(&self.reading).turn = Turn::Free;
        // None is given back by a WebSocket, which lives on.
        if let Ok(stream) = self.stream.try_recv() {
            read_out(stream).await;
        }
    }
}

/// Reads until the peer closes its side, for a while.
pub(super) async fn read_out(mut stream: TcpStream) {
    let mut unread = [0; 1024];
    let read = async { while !matches!(stream.read(&mut unread).await, Ok(0) | Err(_)) {} };
    if timeout(LAST_WORDS, read).await.is_err() {
        tracing::debug!("a client has not closed its side in time");
    }
}

impl Reading {
    /// How many bytes may be read now; with none, whoever reads is woken when there is another turn.
    fn left(&self, waker: &Waker) -> usize {
        match self.turn {
            Turn::Left(0) => {
                waker.wake_by_ref();
                0
            }
            Turn::Left(left) => left,
            Turn::Paused => 0,
            Turn::Free => usize::MAX,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = now;
        if let Turn::Left(left) = &mut self.turn {
            *left -= bytes.len().min(*left);
            self.resets += self.frames.follow(bytes);
        }
    }
}

impl Watched {
    /// The stream; there is one until this is dropped.
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Notes what became of writing; an error if nothing has been taken for too long.
    fn wrote(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(STUCK)));
            ready!(stuck.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.stuck = None;
        lock(&self.reading).last = Instant::now();
        written
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let (Some(stream), Some(give_back)) = (self.stream.take(), self.give_back.take()) {
            // Nobody waits for it when a WebSocket ends: then it is closed here.
            drop(give_back.send(stream));
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = lock(&self.reading).left(cx.waker());
        if left == 0 {
            return Poll::Pending;
        }
        let room = left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(self.stream()?.poll_read(cx, &mut part))?;
        lock(&self.reading).read(part.filled());
        let read = part.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
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
