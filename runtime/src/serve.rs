//! Serves one router on one port: HTTP/1.1 with upgrades (WebSocket) and HTTP/2 without TLS (gRPC).
//!
//! `tonic`'s own server cannot upgrade, and `axum::serve` never ends while a stream is open; so connections are served
//! by hyper directly. Each connection is a task of its own, and so is each request over HTTP/2; all of them are joined
//! before [`serve`] returns.

use std::{future::pending, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::Failure;

/// Bytes of a request's head over HTTP/1.1 for which a connection has room without more: hyper's smallest buffer. Who
/// expects no long queries takes it, for it is most of what an idle connection costs.
pub const SMALL_HEAD: usize = 8 * 1024;
/// Bytes that an HTTP/2 stream may have waiting for a slow peer.
const HTTP2_SEND_BUFFER: usize = 64 * 1024;
/// How long a connection may idle between two requests over HTTP/1.1, and take for a request's head. Longer than load
/// balancers keep their connections (60 s), or they would send a request into one that is just being closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a peer may leave what it was sent unacknowledged: a tablet that lost its Wi-Fi says no goodbye.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// How long a new connection may take for its first request: who only opens connections holds nothing for long.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// What a connection too many is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
    content-length: 21\r\nconnection: close\r\n\r\ntoo many connections\n";
/// Refused connections that are read to their end, so that the refusal arrives; further ones are just closed.
const REFUSED_TOGETHER: usize = 64;
/// And how long that may take.
const REFUSAL: Duration = Duration::from_secs(1);
/// How often it is said in the log that connections are refused.
const WARNING: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`.
///
/// # Errors
/// Names the setting and the address, e.g. when the port is in use.
pub async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::other(format!("{setting}: cannot listen on {address}"), error))
}

/// What one port takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's head over HTTP/1.1; more is answered 431. Also most of what an idle connection costs.
    pub head: usize,
    /// Connections at a time; one more is answered 503 and closed.
    pub connections: usize,
    /// How a client is understood that closes its side behind a request over HTTP/1.x.
    pub half_closed: HalfClosed,
}

/// A client over HTTP/1.x that closes its side of the connection (`shutdown(SHUT_WR)`) before it has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfClosed {
    /// It has said everything and waits for its answer: senders over HTTP/1.0 do so. That one is gone is noticed when
    /// the answer is written, so this is for answers that end.
    Waits,
    /// It is gone, and what streams to it ends at once: a closed tablet looks the same.
    Gone,
}

/// A connection's place among those that its port takes. Requests have it as an extension; who takes the connection over
/// (an upgrade) keeps it as long as the connection.
#[derive(Debug, Clone)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Serves `router` until `shutdown`; then accepts nothing more, lets open requests finish for `grace`, and cuts what is
/// left. Handlers find the peer's address as `ConnectInfo<SocketAddr>`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let (connections, refused) = (TaskTracker::new(), TaskTracker::new());
    // Not all of the tracked tasks are connections: over HTTP/2 each request is one as well.
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut warned: Option<Instant> = None;
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                    if warned.is_none_or(|at| at.elapsed() > WARNING) {
                        tracing::warn!(
                            connections = limits.connections,
                            "refusing connections: there are too many"
                        );
                        warned = Some(Instant::now());
                    }
                    if refused.len() < REFUSED_TOGETHER {
                        refused.spawn(refuse(stream));
                    }
                    continue;
                };
                let tasks = Tracked(connections.clone());
                let caller = Caller { peer, place: Place { _permit: Arc::new(permit) } };
                let connection =
                    serve_connection(stream, caller, router.clone(), limits, tasks, shutdown.clone());
                let cut = cut.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    refused.close();
    if timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting connections that did not end in time");
        cut.cancel();
        connections.wait().await;
    }
    refused.wait().await;
}

/// What every request of a connection carries.
#[derive(Clone)]
struct Caller {
    peer: SocketAddr,
    place: Place,
}

/// Says why, and waits until the peer has taken it: a connection that is closed with something unread in it is reset, and
/// the answer with it.
async fn refuse(mut stream: TcpStream) {
    let told = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(REFUSAL, told).await {
        tracing::debug!(%error, "a refused connection ended");
    }
}

/// Runs hyper's tasks where they are joined.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

async fn serve_connection(
    stream: TcpStream,
    caller: Caller,
    router: Router,
    limits: Limits,
    tasks: Tracked,
    shutdown: CancellationToken,
) {
    let socket = SockRef::from(&stream);
    if let Err(error) =
        stream.set_nodelay(true).and_then(|()| socket.set_tcp_user_timeout(Some(PEER_TIMEOUT)))
    {
        tracing::debug!(%error, "cannot set TCP options");
    }
    let begun = CancellationToken::new();
    let first = begun.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        first.cancel();
        request.extensions_mut().insert(ConnectInfo(caller.peer));
        request.extensions_mut().insert(caller.place.clone());
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(limits.head)
        .half_close(limits.half_closed == HalfClosed::Waits);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .keep_alive_interval(HTTP2_PING.0)
        .keep_alive_timeout(HTTP2_PING.1);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended: Result<(), _> = tokio::select! {
        ended = connection.as_mut() => ended,
        () = no_request(&begun) => {
            tracing::debug!("no request in time");
            return;
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A peer that goes away in the middle is everyday life, not worth a line above DEBUG.
        tracing::debug!(%error, "connection ended");
    }
}

/// Resolves if the first request has not begun in time.
async fn no_request(begun: &CancellationToken) {
    if timeout(FIRST_REQUEST, begun.cancelled()).await.is_ok() {
        pending::<()>().await;
    }
}
