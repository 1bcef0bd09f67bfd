//! One stream of a store's events, whatever it travels on, and the ways it ends.

use std::time::Duration;

use ringpad_proto::v1::{SubscribeResponse, subscribe_response::Event};
use ringpad_runtime::settings::one_line;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, Streaming};

use super::{progress::Cursor, websocket::WebSocket};
use crate::{http_client::root, terminal::harmless};

/// For how many heartbeat intervals a stream may be silent.
const SILENT_INTERVALS: f64 = 2.5;
/// The interval until the snapshot has told it.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// An open stream.
pub(super) struct Feed {
    source: Source,
    /// How far it has come.
    pub(super) cursor: Cursor,
    interval: Duration,
    dead_at: Instant,
}

/// What a stream travels on.
pub(super) enum Source {
    /// gRPC-Web or native gRPC.
    Grpc(Box<Streaming<SubscribeResponse>>),
    /// The fallback.
    WebSocket(Box<WebSocket>),
}

/// How a stream ends, or why it did not begin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum End {
    /// Trying again cannot mend it, e.g. an expired token.
    #[error("{0}")]
    Refused(String),
    /// Anything else.
    #[error("{0}")]
    Lost(String),
}

impl Feed {
    pub(super) fn new(source: Source) -> Self {
        let interval = DEFAULT_INTERVAL;
        Self { source, cursor: Cursor::default(), interval, dead_at: dead_at(interval) }
    }

    /// The next message. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// The stream has ended, or been silent for too long.
    pub(super) async fn next(&mut self) -> Result<SubscribeResponse, End> {
        let message = timeout_at(self.dead_at, self.source.next()).await;
        let message = message.unwrap_or_else(|_| Err(End::Lost("the stream is silent".to_owned())))?;
        if let Some(Event::Snapshot(snapshot)) = &message.event {
            self.interval = heartbeat_interval(snapshot.heartbeat_interval.as_ref());
        }
        self.dead_at = dead_at(self.interval);
        Ok(message)
    }
}

impl Source {
    async fn next(&mut self) -> Result<SubscribeResponse, End> {
        match self {
            Self::Grpc(stream) => match stream.message().await {
                Ok(Some(message)) => Ok(message),
                Ok(None) => Err(End::Lost("the stream has ended".to_owned())),
                Err(status) => Err(End::from(status)),
            },
            Self::WebSocket(socket) => socket.next().await,
        }
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        let said = match (std::error::Error::source(&status), status.message()) {
            // Not the server's words: it was not reached.
            (Some(source), _) => root(source),
            (None, "") => status.code().description().to_owned(),
            (None, message) => one_line(&harmless(message)),
        };
        match status.code() {
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
            | Code::InvalidArgument
            | Code::Unimplemented => Self::Refused(said),
            _ => Self::Lost(said),
        }
    }
}

fn dead_at(interval: Duration) -> Instant {
    Instant::now() + interval.mul_f64(SILENT_INTERVALS)
}

/// What the server promises, within reason: a faulty one must not make the pad wait for ever.
fn heartbeat_interval(told: Option<&pbjson_types::Duration>) -> Duration {
    let told = told.and_then(|told| Duration::try_from(*told).ok()).unwrap_or(DEFAULT_INTERVAL);
    told.clamp(Duration::from_millis(100), Duration::from_secs(300))
}
