//! One connection, from its first byte to its last.

use std::{
    error::Error,
    net::SocketAddr,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Clients, ConnectionPermit, HalfClose, Heads, Limits, PortMetrics, Tracked,
    lenient::LenientStream,
    reading::{TURN, Watch, watch},
    requests::{Idle, Requests},
    shares::Shares,
};

/// Bytes that an HTTP/2 stream may have waiting for a slow peer.
const HTTP2_SEND_BUFFER: usize = 64 * 1024;
/// How often an HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Calls that a client may have open at a time on one HTTP/2 connection. It holds further ones back.
const STREAMS: u32 = 200;

/// Bytes of a call's request that may be unread. With so many, the client waits: this window, and not the connection's, is
/// what holds a fast sender back.
///
/// HTTP/2's own initial window (RFC 9113, section 6.9.2), and no smaller one: h2 (0.4.20) can stop a call for ever when
/// its client has sent between a smaller window and 21,845 bytes before it received our settings. The settings make the
/// client's window negative then, and h2 looks for what it owes the client only when further bytes are read.
///
/// Small compared to the connection's window, because h2 does not make a client wait that sends small frames, it ends
/// the connection: `GOAWAY ENHANCE_YOUR_CALM`, `too_many_data_frames`. Each unread DATA frame of fewer than 256 bytes
/// counts for 256 less its length, which is given back when the frame is read; together they may count for half of the
/// connection's window. That is how many small frames it keeps in memory, where each takes some 256 bytes besides its own.
const STREAM_WINDOW: u32 = 65_535;
/// The length of the smallest frames with which an internal client may fill the windows of all its calls at once. The
/// shortest record has 39 bytes with its source and gRPC's header.
const SMALL_FRAME: u64 = 32;
const _: () = assert!(
    (256 - SMALL_FRAME) * STREAMS as u64 * STREAM_WINDOW as u64 / SMALL_FRAME
        < connection_window(Clients::Internal) as u64 / 2
);

/// Bytes of all calls of a connection that may wait. Never what a client waits for, since the windows of all its calls
/// together are smaller; it is here for h2's budget of small frames.
const fn connection_window(clients: Clients) -> u32 {
    match clients {
        // 130 MB of frames of one byte that nobody reads. No sender of records is cut off for how fast it sends, see
        // SMALL_FRAME. What is left of the budget, 42,000,000, is for frames to calls that were answered before
        // their end, e.g. for a wrong token: h2 counts them, and never gives them back. That is 210,000 records of 60 bytes.
        Clients::Internal => 1 << 28,
        // 17 MB of them. Nobody streams a request to such a port: each is a few hundred bytes, and is read at once.
        Clients::Public => 1 << 25,
    }
}

/// Calls that a client may open and take back before we have looked at them; one more ends the connection
/// (`too_many_resets`, against CVE-2023-44487). It never comes to that: we look at what came after each [`TURN`] of bytes,
/// and a call that is opened and taken back has 25 of them (headers of 9 + 3, and a reset of 9 + 4), so that there are 328
/// at most. Who goes on so is slowed down, and not cut off, since patient calls may be on the same connection.
const RESETS_IN_A_TURN: usize = 2 * STREAMS as usize;
const _: () = assert!(TURN / 25 + 1 < RESETS_IN_A_TURN);

/// Frames that a client may send to calls that have ended, over a connection's life; one more ends the connection
/// (`too_many_internal_resets`, against CVE-2025-8671). h2 remembers 50 such calls for a second, and counts each frame to a
/// further one. A client that streams records of 60 bytes on all its calls, and is told on all of them to go, has 201,600
/// of them on their way: 200 × 65,535 / 65.
const LATE_FRAMES: usize = STREAMS as usize * (STREAM_WINDOW as usize / 64);

/// How long a connection may idle before its first request and between two. Longer than load balancers keep their
/// connections (60 s), or they would send a request into one that is just being closed.
const IDLE: Duration = if cfg!(test) { Duration::from_secs(1) } else { Duration::from_secs(75) };
/// How long a first request's head may take from its first byte on: who sends it byte by byte holds nothing for long.
const FIRST_HEAD: Duration = if cfg!(test) { Duration::from_millis(250) } else { Duration::from_secs(10) };
/// How long a peer may leave what it was sent unacknowledged: a tablet that lost its Wi-Fi says no goodbye.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an HTTP/1.1 connection must have been silent to be closed when the process leaves. Over HTTP/1.1 a client can
/// only be told with an answer that it is to send no more; one in the middle of its work sends its next request before.
const QUIET: Duration = Duration::from_millis(if cfg!(test) { 10_000 } else { 500 });

/// Whose connection it is.
pub(super) struct Caller {
    pub(super) peer: SocketAddr,
    pub(super) permit: ConnectionPermit,
    pub(super) shares: Shares,
}

/// Serves one connection until it ends. From `shutdown` on it takes no new request, but those that are on their way.
pub(super) async fn serve(
    stream: TcpStream,
    caller: Caller,
    router: Router,
    limits: Limits,
    metrics: PortMetrics,
    tasks: Tracked,
    shutdown: CancellationToken,
) {
    let socket = SockRef::from(&stream);
    if let Err(error) =
        stream.set_nodelay(true).and_then(|()| socket.set_tcp_user_timeout(Some(PEER_TIMEOUT)))
    {
        tracing::debug!(%error, "cannot set TCP options");
    }
    let (stream, watch) = watch(stream);
    let (stream, refused) =
        LenientStream::new(stream, (limits.heads == Heads::Lenient).then_some(limits.head));
    let number = AtomicU64::new(0);
    let builder = builder(&limits, tasks);
    let requests = Requests::new(router, caller, limits, metrics.clone(), shutdown.clone());
    let mut idle = requests.idle();
    let service = service_fn(move |mut request: Request<Incoming>| {
        // Over HTTP/1.x requests come one after the other, and over HTTP/2 none is refused there.
        refused.tell(number.fetch_add(1, Ordering::Relaxed) + 1, &mut request);
        requests.answer(request)
    });
    let ended = {
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let resets = |resets| metrics.taken_back(resets);
        // In this order: a request that has come is served before anything is closed.
        let ended = tokio::select! {
            biased;
            ended = watch.drive(connection.as_mut(), resets) => Some(ended),
            late = late(&mut idle, &watch) => match late {
                Late::Head => {
                    tracing::debug!("no request in time");
                    return;
                }
                Late::Idle => None,
            },
            () = shutdown.cancelled() => {
                // Over HTTP/2 a client is told at once, and calls that come before it knows are served.
                tokio::select! {
                    biased;
                    ended = watch.drive(connection.as_mut(), resets) => Some(ended),
                    () = quiet(&watch) => None,
                }
            }
        };
        match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                // Who is told to go and does not, with answers that it never took, is not waited for.
                tokio::select! {
                    biased;
                    ended = watch.drive(connection.as_mut(), resets) => ended,
                    () = idle.lasts(PEER_TIMEOUT) => return,
                }
            }
        }
    };
    if let Err(error) = ended {
        note(error.as_ref(), &metrics);
    }
    // Who was silent has sent nothing that could be unread, and many clients leave such a connection as it is.
    if !shutdown.is_cancelled() || watch.last_byte().elapsed() < QUIET {
        watch.last_words().await;
    }
}

fn builder(limits: &Limits, tasks: Tracked) -> Builder<Tracked> {
    let mut builder = Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(limits.head)
        .half_close(limits.half_close == HalfClose::Allow);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(limits.clients))
        .max_pending_accept_reset_streams(RESETS_IN_A_TURN)
        .max_local_error_reset_streams(LATE_FRAMES)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .keep_alive_interval(HTTP2_PING.0)
        .keep_alive_timeout(HTTP2_PING.1);
    builder
}

/// What a connection without a request has missed.
enum Late {
    /// The request's head began, and did not end.
    Head,
    /// Nothing came, or nothing but the beginning of HTTP/2.
    Idle,
}

/// Resolves if the first request has not begun in time, or over HTTP/2 if there has been none for a while.
async fn late(idle: &mut Idle, watch: &Watch) -> Late {
    let bound = Instant::now() + IDLE;
    let no_request = async {
        loop {
            let now = Instant::now();
            let next = match watch.first_byte() {
                Some(first) if !watch.is_http2() => {
                    let head = first + FIRST_HEAD;
                    if head <= now {
                        return Late::Head;
                    }
                    head
                }
                _ if bound <= now => return Late::Idle,
                _ => bound.min(now + FIRST_HEAD),
            };
            sleep_until(next).await;
        }
    };
    tokio::select! {
        late = no_request => return late,
        () = idle.begun() => {}
    }
    if !watch.is_http2() {
        // Between two requests over HTTP/1.1 hyper looks at the time.
        return std::future::pending().await;
    }
    idle.lasts(IDLE).await;
    Late::Idle
}

/// Resolves once a connection can be told to go, as the process leaves.
async fn quiet(watch: &Watch) {
    while !watch.is_http2() {
        let quiet = watch.last_byte() + QUIET;
        if quiet <= Instant::now() {
            return;
        }
        sleep_until(quiet).await;
    }
}

/// A peer that goes away in the middle is everyday life, not worth a line above DEBUG. One that was cut off is: all calls on
/// its connection fail with it.
fn note(error: &(dyn Error + 'static), metrics: &PortMetrics) {
    tracing::debug!(%error, "connection ended");
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<h2::Error>() {
            Some(error) if error.is_go_away() && error.is_library() => return metrics.ended(error),
            _ => cause = error.source(),
        }
    }
}
