//! Serves one router on one port: HTTP/1.1 with upgrades (WebSocket) and HTTP/2 without TLS (gRPC).
//!
//! `tonic`'s own server cannot upgrade, and `axum::serve` never ends while a stream is open; so connections are served
//! by hyper directly. Each connection is a task of its own, and so is each request over HTTP/2; all of them are joined
//! before [`serve`] returns.

mod connection;
mod frames;
pub mod lenient;
mod metrics;
mod pace;
mod reading;
mod requests;
mod shares;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::rt::Executor;
use ipnet::IpNet;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Failure, forwarded};
use connection::Caller;
use metrics::Refused;
pub use metrics::{PortMetrics, ServeMetrics};
pub use requests::{InTime, is_late};
use shares::{Share, Shares};

/// Bytes of a request's head over HTTP/1.1 for which a connection has room without more: hyper's smallest buffer. Who
/// expects no long queries takes it, for it is most of what an idle connection costs.
pub const SMALL_HEAD: usize = 8 * 1024;
/// What a connection too many is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
    content-length: 21\r\nconnection: close\r\n\r\ntoo many connections\n";
/// What a connection too many of one address is told.
const TOO_MANY_OF_ONE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
    content-length: 38\r\nconnection: close\r\n\r\ntoo many connections of your address.\n";
/// Refused connections that are read to their end, so that the refusal arrives; further ones are just closed.
const REFUSED_TOGETHER: usize = 64;
/// How long a client may take to take its refusal.
const REFUSAL: Duration = Duration::from_secs(1);
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
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's head over HTTP/1.1; more is answered 431. Also most of what an idle connection costs.
    pub head: usize,
    /// Connections at a time; one more is answered 503 and closed.
    pub connections: usize,
    /// Connections of one address at a time; one more is answered 503 and closed. A proxy of ours may have any number, and
    /// so many requests at a time for each address that it forwards; one more is answered 429.
    pub per_address: usize,
    /// The proxies of ours, whose word counts about whom they forward requests for; see [`forwarded`].
    pub proxies: Arc<[IpNet]>,
    /// Who can reach the port.
    pub clients: Clients,
    /// Paths of the calls whose requests go on for as long as their clients like. Every other request must come whole within
    /// 10 s of its head.
    pub streams: &'static [&'static str],
    /// How a client is understood that closes its side behind a request over HTTP/1.x.
    pub half_close: HalfClose,
    /// How requests' heads over HTTP/1.x are read.
    pub heads: Heads,
}

/// Who can reach a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Anyone, with or without a token.
    Public,
    /// Our own services, which may send many small messages over one HTTP/2 connection.
    Internal,
}

/// How requests' heads over HTTP/1.x are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// By the book: what hyper does not take it answers by itself.
    Strict,
    /// From senders that do not keep to it: what has a plain meaning is read, and handlers see what has none; see [`lenient`].
    Lenient,
}

/// A client over HTTP/1.x that closes its side of the connection (`shutdown(SHUT_WR)`) before it has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfClose {
    /// It has said everything and waits for its answer: senders over HTTP/1.0 do so. That one is gone is noticed when
    /// the answer is written, so this is for answers that end.
    Allow,
    /// It is gone, and what streams to it ends at once: a closed tablet looks the same.
    Disconnect,
}

/// A connection's place among those that its port takes. Requests have it as an extension; who takes the connection over
/// (an upgrade) keeps it as long as the connection.
#[derive(Debug, Clone)]
pub struct ConnectionPermit {
    _room: Arc<OwnedSemaphorePermit>,
    /// Of the connection's own address, or of the one that a request was forwarded for.
    _share: Option<Arc<Share>>,
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
        room: Arc::new(Semaphore::new(limits.connections)),
        shares: Shares::new(limits.per_address),
        limits,
        metrics,
        shutdown: shutdown.clone(),
        cut: CancellationToken::new(),
        // Not all of the tracked tasks are connections: over HTTP/2 each request is one as well.
        connections: TaskTracker::new(),
        refused: TaskTracker::new(),
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
    shares: Shares,
    refused: TaskTracker,
}

impl Port {
    /// Serves a new connection, or refuses it if there are too many.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let permit = match self.permit(peer) {
            Ok(permit) => permit,
            Err(why) => {
                self.metrics.refused(why, peer.ip());
                if self.refused.len() < REFUSED_TOGETHER {
                    let told = if why == Refused::Port { TOO_MANY } else { TOO_MANY_OF_ONE };
                    self.refused.spawn(refuse(stream, told));
                }
                return;
            }
        };
        let caller = Caller { peer, permit, shares: self.shares.clone() };
        let connection = connection::serve(
            stream,
            caller,
            self.router.clone(),
            self.limits.clone(),
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

    /// The place of a connection from `peer`.
    fn permit(&self, peer: SocketAddr) -> Result<ConnectionPermit, Refused> {
        let share = match forwarded::contains(&self.limits.proxies, peer.ip()) {
            true => None,
            false => Some(Arc::new(self.shares.take(peer.ip()).ok_or(Refused::Address)?)),
        };
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Refused::Port)?;
        Ok(ConnectionPermit { _room: Arc::new(room), _share: share })
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
async fn refuse(mut stream: TcpStream, words: &'static [u8]) {
    let told = async {
        stream.write_all(words).await?;
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
