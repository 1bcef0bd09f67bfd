//! Serves one router on one port: HTTP/1.1 with upgrades (WebSocket) and HTTP/2 without TLS (gRPC).
//!
//! `tonic`'s own server cannot upgrade, and `axum::serve` never ends while a stream is open; so connections are served
//! by hyper directly. Each connection is a task of its own, and so is each request over HTTP/2; all of them are joined
//! before [`serve`] returns.

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
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

/// Serves `router` until `shutdown`; then accepts nothing more, lets open requests finish for `grace`, and cuts what is
/// left. Handlers find the peer's address as `ConnectInfo<SocketAddr>`. A request whose head has more than `head` bytes
/// over HTTP/1.1 is answered 431.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    head: usize,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let tasks = Tracked(connections.clone());
                let connection =
                    serve_connection(stream, peer, router.clone(), head, tasks, shutdown.clone());
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
    if timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting connections that did not end in time");
        cut.cancel();
        connections.wait().await;
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
    peer: SocketAddr,
    router: Router,
    head: usize,
    tasks: Tracked,
    shutdown: CancellationToken,
) {
    let socket = SockRef::from(&stream);
    if let Err(error) =
        stream.set_nodelay(true).and_then(|()| socket.set_tcp_user_timeout(Some(PEER_TIMEOUT)))
    {
        tracing::debug!(%error, "cannot set TCP options");
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(tasks);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .keep_alive_interval(HTTP2_PING.0)
        .keep_alive_timeout(HTTP2_PING.1);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended: Result<(), _> = tokio::select! {
        ended = connection.as_mut() => ended,
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
