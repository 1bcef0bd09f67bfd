//! Serves one router on one port: HTTP/1.1 with upgrades (WebSocket) and HTTP/2 without TLS (gRPC).
//!
//! `tonic`'s own server cannot upgrade, and `axum::serve` never ends while a stream is open; so hyper serves the connections
//! directly. Each connection is a task, and over HTTP/2 each request too; all of them are joined before [`serve`] returns.

mod admission;
mod connection;
mod frames;
mod http2;
pub mod lenient;
mod limits;
mod long_stream;
mod metrics;
mod port;
mod reading;
mod requests;
mod reset_debt;
mod shares;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use admission::ConnectionPermit;
pub use http2::{LATE_FRAMES, STREAM_WINDOW, STREAMS, unread_frames};
pub use limits::{Clients, ConnectionLimits, HalfClose, Heads, Limits, SMALL_HEAD, Timeouts};
pub use long_stream::LongStream;
pub use metrics::{PortMetrics, ServeMetrics};
pub use requests::{InTime, is_late};
pub use reset_debt::{COST as RESET_COST, CREDIT as RESET_CREDIT};

use self::{admission::ConnectionAdmission, metrics::Refused, port::Port};
use crate::failure::Failure;

/// The answer to a connection if the port has as many as it takes.
const PORT_FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
    content-length: 21\r\nconnection: close\r\n\r\ntoo many connections\n";
/// The answer to a connection if its address has as many as it may have.
const ADDRESS_FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
    content-length: 40\r\nconnection: close\r\n\r\ntoo many connections from your address.\n";
/// Refused connections that get an answer at the same time; further ones are only closed.
const ANSWERED_REFUSALS: usize = 64;
/// How long a client may take to read its refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that the system accepts for us before we take them; Linux lowers it to `net.core.somaxconn`, which is 4,096 by
/// default. The system drops further ones, and a client tries again only after a second: too late for a pad that comes back.
const BACKLOG: u32 = 4096;
/// Pause after a failed `accept`, e.g. because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`.
///
/// # Errors
/// Names the setting and the address, e.g. when the port is in use.
pub async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    listen(address).map_err(|error| Failure::other(format!("{setting}: cannot listen on {address}"), error))
}

/// As `TcpListener::bind`, which has room for 128 connections.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Otherwise the address of a process that has ended could not be used for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `shutdown`; then accepts nothing more, lets open requests finish for `grace`, and aborts the rest.
/// Handlers find the peer's address as `ConnectInfo<SocketAddr>`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: PortMetrics,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let admission = ConnectionAdmission::new(&limits);
    let server = Server {
        port: Arc::new(Port { router, limits, admission, metrics, shutdown: shutdown.clone() }),
        cut: CancellationToken::new(),
        connections: TaskTracker::new(),
        refusals: TaskTracker::new(),
    };
    loop {
        // Accepting comes first, so that connections which the system has accepted for us are served, and not reset.
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => server.take(stream, address),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    server.leave(grace).await;
}

/// The tasks of one port.
struct Server {
    port: Arc<Port>,
    /// Cancelled to abort connections.
    cut: CancellationToken,
    /// Connections and, over HTTP/2, requests.
    connections: TaskTracker,
    refusals: TaskTracker,
}

impl Server {
    /// Serves a new connection, or refuses it if there are too many.
    fn take(&self, stream: TcpStream, address: SocketAddr) {
        let peer = match self.port.admission.connect(address) {
            Ok(peer) => peer,
            Err(reason) => {
                self.port.metrics.refused(reason, address.ip());
                if self.refusals.len() < ANSWERED_REFUSALS {
                    let answer = if reason == Refused::Port { PORT_FULL } else { ADDRESS_FULL };
                    self.refusals.spawn(refuse(stream, answer));
                }
                return;
            }
        };
        // Boxed, because a task has room for each place that a future moves through.
        let connection =
            Box::pin(connection::serve(stream, peer, Arc::clone(&self.port), self.connections.clone()));
        let cut = self.cut.clone();
        self.connections.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// Waits for the connections, and aborts those that do not end in time.
    async fn leave(self, grace: Duration) {
        self.connections.close();
        self.refusals.close();
        if timeout(grace, self.connections.wait()).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                "aborting connections that did not end in time"
            );
            self.cut.cancel();
            self.connections.wait().await;
        }
        self.refusals.wait().await;
    }
}

/// Sends the refusal, and waits until the client has read it: a connection that is closed with unread bytes is reset, and the
/// client's system then drops the answer.
async fn refuse(mut stream: TcpStream, answer: &'static [u8]) {
    let sent = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        io::Result::Ok(())
    };
    match timeout(REFUSAL_TIMEOUT, sent).await {
        Ok(Ok(())) => reading::read_to_end(stream).await,
        Ok(Err(error)) => tracing::debug!(%error, "a refused connection ended"),
        Err(_) => tracing::debug!("the client of a refused connection does not read"),
    }
}
