//! What one port takes from its clients, and how long it waits for them. docs/reference.md has the same figures, and says what
//! happens when each of them is reached.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;

/// Bytes of a request's head over HTTP/1.1 for which a connection has room: hyper's smallest buffer. It is most of the
/// memory of an idle connection, so a larger one is only for ports that expect long queries.
pub const SMALL_HEAD: usize = 8 * 1024;

/// What one port takes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: ConnectionLimits,
    /// Bytes of a request's head over HTTP/1.1; more is answered 431.
    pub head: usize,
    /// Our own proxies, whose `X-Forwarded-For` is trusted; see [`forwarded`](crate::forwarded).
    pub proxies: Arc<[IpNet]>,
    /// Who can reach the port.
    pub clients: Clients,
    /// Paths of the calls whose requests are streams without a time limit. Every other request must arrive within
    /// [`Timeouts::body`].
    pub streams: &'static [&'static str],
    /// What it means that a client closes its side behind a request over HTTP/1.x.
    pub half_close: HalfClose,
    /// How requests' heads over HTTP/1.x are read.
    pub heads: Heads,
    /// How long clients may take.
    pub timeouts: Timeouts,
}

impl Limits {
    /// A port for these clients: small heads that keep to the standard, no proxies, no streams, and the usual timeouts.
    pub fn new(connections: ConnectionLimits, clients: Clients) -> Self {
        Self {
            connections,
            head: SMALL_HEAD,
            proxies: Arc::default(),
            clients,
            streams: &[],
            half_close: HalfClose::Allow,
            heads: Heads::Strict,
            timeouts: Timeouts::default(),
        }
    }
}

/// How many connections a port takes at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of all clients; one more is answered 503 and closed.
    pub total: usize,
    /// Of one address; one more is answered 503 and closed. One of our proxies may have any number of connections, and so
    /// many requests at the same time for each address that it forwards for; one more is answered 429.
    pub per_address: usize,
}

/// Who can reach a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Any client, with or without a token.
    Public,
    /// Our own services, which may send many small messages over one HTTP/2 connection.
    Internal,
}

/// How requests' heads over HTTP/1.x are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// By the standard: hyper itself answers a head that breaks it.
    Strict,
    /// Leniently: a head with a plain meaning is repaired, and handlers get the fault of any other one; see
    /// [`lenient`](super::lenient).
    Lenient,
}

/// What it means that a client over HTTP/1.x closes its side of the connection (`shutdown(SHUT_WR)`) before it has its
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfClose {
    /// The client still waits for its answer, as senders over HTTP/1.0 do. That a client has disconnected is noticed only
    /// when the answer is written, so this is for answers that end.
    Allow,
    /// The client has disconnected, and a stream to it ends at once: a closed tablet looks the same.
    Disconnect,
}

/// How long a port waits for its clients.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Without a request, on a new connection and between two requests. Longer than load balancers keep their idle
    /// connections (60 s), which would otherwise send a request into one that is being closed.
    pub idle: Duration,
    /// From the first byte of a connection to the end of the first request's head.
    pub first_head: Duration,
    /// From a request's head to the end of its body, unless it is one of [`Limits::streams`].
    pub body: Duration,
    /// Until a client that acknowledges data at TCP's level, but does not read it, is disconnected.
    pub write: Duration,
    /// Until a client that does not acknowledge data at TCP's level is disconnected, e.g. a tablet that lost its Wi-Fi; and
    /// until one that should leave, and does not take its answers, is disconnected.
    pub unacknowledged: Duration,
    /// Without a byte, until an HTTP/1.1 connection is closed when the process leaves. HTTP/1.1 can ask a client to leave
    /// only with an answer, and a busy client sends its next request within this time.
    pub quiet: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(75),
            first_head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(30),
            unacknowledged: Duration::from_secs(30),
            quiet: Duration::from_millis(500),
        }
    }
}
