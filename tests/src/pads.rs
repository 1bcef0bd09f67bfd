//! Pads on all three transports, independent of the product's own clients. They check what `docs/protocol.md` promises of every
//! stream: first the snapshot, directly after it a heartbeat, then each position once and in order, and heartbeats with the last
//! position.
//!
//! `pads/grpc.rs`, `pads/grpc_web.rs` and `pads/websocket.rs` only carry events; the checks are here.

mod grpc;
mod grpc_web;
mod stream;
mod websocket;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use ringpad_proto::v1::{Call, Early, Snapshot, Update, subscribe_response::Event};

use crate::wait::{SOON, within};

pub use grpc_web::raw_subscription;
pub use stream::Stream;
use stream::{Item, Items};

/// The transport of a pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Native gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web over HTTP/1.1, as a browser's fetch does it.
    GrpcWeb,
    /// The fallback.
    WebSocket,
}

impl Transport {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::GrpcWeb, Self::WebSocket];
}

/// A pad's request for a stream.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The bearer token; `None` sends none.
    pub token: Option<String>,
    /// The pad's last position, and its epoch.
    pub after: Option<(u64, String)>,
    /// A uuid for each page load; empty sends none.
    pub session: String,
    /// The page's origin, as a browser sends it.
    pub origin: Option<String>,
}

impl Subscription {
    /// A pad's first stream: a session of its own, no position.
    pub fn new(token: &str) -> Self {
        let session = uuid::Uuid::new_v4().to_string();
        Self { token: Some(token.to_owned()), after: None, session, origin: None }
    }

    /// The request of the same pad when it resumes after a position.
    #[must_use]
    pub fn after(mut self, position: u64, epoch: &str) -> Self {
        self.after = Some((position, epoch.to_owned()));
        self
    }
}

/// How a stream ended. Each variant is a row of the tables of ends in `docs/protocol.md`: a gRPC status and its close code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// `UNAUTHENTICATED`, 4401.
    Unauthenticated,
    /// `PERMISSION_DENIED`, 4403.
    PermissionDenied,
    /// `NOT_FOUND`, 4404.
    NotFound,
    /// 4408.
    NoFirstMessage,
    /// `ABORTED`, 4409.
    Replaced,
    /// `RESOURCE_EXHAUSTED`, 4429.
    Exhausted,
    /// `INVALID_ARGUMENT`, 1007.
    Malformed,
    /// 1001. See [`Self::of_drain`].
    GoingAway,
    /// `UNAVAILABLE`, 1013.
    Unavailable,
    /// Another HTTP status than the transport's own.
    Http(u16),
    /// The connection broke, or could not be made.
    Lost(String),
    /// Anything that is not in the tables.
    Unknown(String),
}

impl StreamEnd {
    /// The end of a stream on this transport whose replica drains.
    pub fn of_drain(transport: Transport) -> Self {
        match transport {
            Transport::WebSocket => Self::GoingAway,
            Transport::Grpc | Transport::GrpcWeb => Self::Unavailable,
        }
    }

    /// Whether the pad may try again: the end has nothing to do with its token or its store.
    pub fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::GoingAway | Self::Unavailable | Self::Http(502..=504))
    }
}

/// A pad that has its snapshot.
#[derive(Debug)]
pub struct Pad {
    /// Its transport.
    pub transport: Transport,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// All updates so far.
    pub updates: Vec<Update>,
    /// Rings shown ahead of their turn.
    pub early: Vec<Early>,
    /// Every call that it has, as the pad page would show it.
    pub calls: BTreeMap<String, Call>,
    /// The delay of the replica's `reconnect`.
    pub reconnect_after: Option<Duration>,
    /// Heartbeats after the first one.
    pub heartbeats: u64,
    stream: Stream,
}

impl Pad {
    /// Connects, and waits for the snapshot and the heartbeat after it.
    ///
    /// # Panics
    /// They do not come.
    pub async fn open(transport: Transport, replica: SocketAddr, asked: &Subscription) -> Self {
        let opened = Self::try_open(transport, replica, asked).await;
        opened
            .unwrap_or_else(|end| panic!("{transport:?} pad of {replica} ended before its snapshot: {end:?}"))
    }

    /// Connects, and waits for the snapshot and the heartbeat after it.
    ///
    /// # Errors
    /// How the stream ended instead.
    ///
    /// # Panics
    /// Neither comes, or something else comes first.
    pub async fn try_open(
        transport: Transport,
        replica: SocketAddr,
        asked: &Subscription,
    ) -> Result<Self, StreamEnd> {
        let mut stream = Stream::open(transport, replica, asked);
        let snapshot = match soon(&mut stream).await? {
            Event::Snapshot(snapshot) => snapshot,
            other => panic!("{transport:?}: the first event is not a snapshot: {other:?}"),
        };
        let known = snapshot.open_calls.iter().chain(&snapshot.recent_calls);
        let calls = known.map(|call| (call.id.clone(), call.clone())).collect();
        let pad = Self {
            transport,
            updates: Vec::new(),
            early: Vec::new(),
            calls,
            reconnect_after: None,
            heartbeats: 0,
            stream,
            snapshot,
        };
        pad.first_heartbeat().await
    }

    /// Opens a WebSocket, sends `first` (or nothing) as its first message, and returns how the stream ends.
    ///
    /// # Panics
    /// It does not end.
    pub async fn end_of_websocket(replica: SocketAddr, first: Option<&str>) -> StreamEnd {
        let mut stream = Stream::of_websocket(replica, first);
        within("the end of a WebSocket", SOON, async {
            loop {
                if let Err(end) = stream.next().await {
                    return end;
                }
            }
        })
        .await
    }

    async fn first_heartbeat(mut self) -> Result<Self, StreamEnd> {
        match soon(&mut self.stream).await? {
            Event::Heartbeat(heartbeat) => assert_eq!(heartbeat.position, self.snapshot.position),
            other => panic!("{:?}: no heartbeat directly after the snapshot: {other:?}", self.transport),
        }
        Ok(self)
    }

    /// The last position it has.
    pub fn position(&self) -> u64 {
        self.updates.last().map_or(self.snapshot.position, |update| update.position)
    }

    /// The ids of the calls in its updates, in their order.
    pub fn shown(&self) -> Vec<String> {
        self.updates.iter().filter_map(|update| Some(update.call.as_ref()?.id.clone())).collect()
    }

    /// A request to resume at this pad's position.
    pub fn resumption(&self, token: &str) -> Subscription {
        Subscription::new(token).after(self.position(), &self.snapshot.epoch)
    }

    /// Waits for the next update.
    ///
    /// # Panics
    /// It does not come, or the stream ends.
    pub async fn update(&mut self) -> Update {
        self.until_position(self.position() + 1).await;
        self.updates.last().cloned().expect("an update has come")
    }

    /// The next update, however long it takes.
    ///
    /// # Panics
    /// The stream ends, or nothing comes in time.
    pub async fn update_at_any_time(&mut self) -> Update {
        let before = self.updates.len();
        loop {
            if let Some(update) = self.updates.get(before) {
                return update.clone();
            }
            if let Err(end) = self.next().await {
                panic!("{:?} pad: the stream ended: {end:?}", self.transport);
            }
        }
    }

    /// Waits until so many heartbeats have come after the first.
    ///
    /// # Panics
    /// The stream ends, or nothing comes in time.
    pub async fn until_heartbeats(&mut self, count: u64) {
        while self.heartbeats < count {
            if let Err(end) = self.next().await {
                panic!("{:?} pad: the stream ended: {end:?}", self.transport);
            }
        }
    }

    /// Waits until the pad has this position, and not a later one.
    ///
    /// # Panics
    /// It does not come, or the stream ends.
    pub async fn until_position(&mut self, position: u64) {
        self.until_position_within(position, SOON).await;
    }

    /// The same with a bound for the whole wait.
    ///
    /// # Panics
    /// It does not come, or the stream ends.
    pub async fn until_position_within(&mut self, position: u64, bound: Duration) {
        if let Err(end) = self.reach(position, bound).await {
            let at = self.position();
            panic!(
                "{:?} pad did not get position {position}: it has {at}, and the stream ended: {end:?}",
                self.transport
            );
        }
        assert_eq!(self.position(), position, "{:?} pad", self.transport);
    }

    /// Reads until the pad has this position.
    ///
    /// # Errors
    /// How the stream ended before.
    ///
    /// # Panics
    /// Neither happens in time.
    pub async fn reach(&mut self, position: u64, bound: Duration) -> Result<(), StreamEnd> {
        within(&format!("{:?} pad gets position {position}", self.transport), bound, async {
            while self.position() < position {
                self.next().await?;
            }
            Ok(())
        })
        .await
    }

    /// Waits until the replica asks the pad to reconnect, and returns the delay.
    ///
    /// # Panics
    /// It does not, or the stream ends first.
    pub async fn asked_to_reconnect(&mut self) -> Duration {
        within("a reconnect", SOON, async {
            loop {
                if let Some(after) = self.reconnect_after {
                    return after;
                }
                if let Err(end) = self.next().await {
                    panic!("{:?} pad: the stream ended without reconnect: {end:?}", self.transport);
                }
            }
        })
        .await
    }

    /// Reads to the stream's end.
    ///
    /// # Panics
    /// It does not end.
    pub async fn end(&mut self) -> StreamEnd {
        within(&format!("the end of a {:?} stream", self.transport), 2 * SOON, async {
            loop {
                if let Err(end) = self.next().await {
                    return end;
                }
            }
        })
        .await
    }

    /// Takes one event and checks it.
    async fn next(&mut self) -> Result<(), StreamEnd> {
        match soon(&mut self.stream).await? {
            Event::Update(update) => self.take(update),
            Event::Early(early) => self.early.push(early),
            Event::Heartbeat(heartbeat) => {
                assert_eq!(
                    heartbeat.position,
                    self.position(),
                    "{:?}: the heartbeat's position",
                    self.transport
                );
                self.heartbeats += 1;
            }
            Event::Reconnect(reconnect) => {
                let after = reconnect.after.expect("reconnect has a delay");
                self.reconnect_after = Some(Duration::try_from(after).expect("a delay is not negative"));
            }
            Event::Snapshot(_) => panic!("{:?}: a second snapshot", self.transport),
        }
        Ok(())
    }

    fn take(&mut self, update: Update) {
        let transport = self.transport;
        assert_eq!(update.position, self.position() + 1, "{transport:?}: positions are contiguous");
        let call = update.call.clone().expect("an update has a call");
        assert_eq!(call.revision, update.position, "{transport:?}: a call's revision is its last position");
        let before = self.calls.insert(call.id.clone(), call);
        assert!(
            before.is_none_or(|before| before.revision < update.position),
            "{transport:?}: a revision grows"
        );
        self.updates.push(update);
    }
}

async fn soon(stream: &mut Stream) -> Result<Event, StreamEnd> {
    within("an event or the stream's end", SOON, stream.next()).await
}
