//! Serves one router on one port: HTTP/1.1 with upgrades (WebSocket) and HTTP/2 without TLS (gRPC).
//!
//! `tonic`'s own server cannot upgrade, and `axum::serve` never ends while a stream is open; so connections are served
//! by hyper directly. Each connection is a task of its own, and so is each request over HTTP/2; all of them are joined
//! before [`serve`] returns.

mod connection;
mod frames;
pub mod mend;
mod metrics;
mod pace;
mod reading;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::rt::Executor;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Failure;
use connection::Caller;
pub use metrics::{PortMetrics, ServeMetrics};

/// Bytes of a request's head over HTTP/1.1 for which a connection has room without more: hyper's smallest buffer. Who
/// expects no long queries takes it, for it is most of what an idle connection costs.
pub const SMALL_HEAD: usize = 8 * 1024;
/// What a connection too many is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
    content-length: 21\r\nconnection: close\r\n\r\ntoo many connections\n";
/// Refused connections that are read to their end, so that the refusal arrives; further ones are just closed.
const REFUSED_TOGETHER: usize = 64;
/// How long a client may take to take its refusal.
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
    /// How requests' heads over HTTP/1.x are read.
    pub heads: Heads,
}

/// How requests' heads over HTTP/1.x are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// By the book: what hyper does not take it answers by itself.
    Strict,
    /// From senders that do not keep to it: what has a plain meaning is read, and handlers see what has none; see [`mend`].
    Mended,
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
    metrics: PortMetrics,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let mut port = Port {
        router,
        limits,
        metrics,
        shutdown: shutdown.clone(),
        cut: CancellationToken::new(),
        // Not all of the tracked tasks are connections: over HTTP/2 each request is one as well.
        connections: TaskTracker::new(),
        room: Arc::new(Semaphore::new(limits.connections)),
        refused: TaskTracker::new(),
        warned: None,
    };
    loop {
        // In this order: what the system has accepted for us until now is served, and not reset.
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => port.take(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    port.leave(grace).await;
}

/// A port that is being served.
struct Port {
    router: Router,
    limits: Limits,
    metrics: PortMetrics,
    shutdown: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
    room: Arc<Semaphore>,
    refused: TaskTracker,
    warned: Option<Instant>,
}

impl Port {
    /// Serves a new connection, or refuses it if there are too many.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            if self.warned.is_none_or(|at| at.elapsed() > WARNING) {
                tracing::warn!(
                    connections = self.limits.connections,
                    "refusing connections: there are too many"
                );
                self.warned = Some(Instant::now());
            }
            if self.refused.len() < REFUSED_TOGETHER {
                self.refused.spawn(refuse(stream));
            }
            return;
        };
        let caller = Caller { peer, place: Place { _permit: Arc::new(permit) } };
        let connection = connection::serve(
            stream,
            caller,
            self.router.clone(),
            self.limits,
            self.metrics.clone(),
            Tracked(self.connections.clone()),
            self.shutdown.clone(),
        );
        let cut = self.cut.clone();
        self.connections.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// Waits for the connections, and cuts those that do not end in time.
    async fn leave(self, grace: Duration) {
        self.connections.close();
        self.refused.close();
        if timeout(grace, self.connections.wait()).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                "cutting connections that did not end in time"
            );
            self.cut.cancel();
            self.connections.wait().await;
        }
        self.refused.wait().await;
    }
}

/// Says why, and waits until the peer has taken it: a connection that is closed with something unread in it is reset, and
/// the answer with it.
async fn refuse(mut stream: TcpStream) {
    let told = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await?;
        io::Result::Ok(())
    };
    match timeout(REFUSAL, told).await {
        Ok(Ok(())) => reading::read_out(stream).await,
        Ok(Err(error)) => tracing::debug!(%error, "a refused connection ended"),
        Err(_) => tracing::debug!("a refused connection took no refusal"),
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
