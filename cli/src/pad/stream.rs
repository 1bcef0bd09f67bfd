//! One stream of a store's events, over any of the transports.

use std::time::Duration;

use ringpad_proto::v1::{SubscribeResponse, subscribe_response::Event};
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

use super::{progress::StreamPosition, stream_error::StreamError, websocket::WebSocket};

/// For how many heartbeat intervals a stream may be silent.
const SILENT_INTERVALS: f64 = 2.5;
/// The interval before the snapshot has named it.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// An open stream.
pub(super) struct EventStream {
    connection: Connection,
    /// The last position that it brought.
    pub(super) cursor: StreamPosition,
    interval: Duration,
    /// When it counts as dead, unless something comes before.
    silent_at: Instant,
}

/// The connection that carries a stream.
pub(super) enum Connection {
    /// gRPC-Web or native gRPC.
    Grpc(Box<Streaming<SubscribeResponse>>),
    /// The fallback.
    WebSocket(Box<WebSocket>),
}

impl EventStream {
    pub(super) fn new(connection: Connection) -> Self {
        let interval = DEFAULT_INTERVAL;
        Self { connection, cursor: StreamPosition::default(), interval, silent_at: silent_at(interval) }
    }

    /// The next message. Cancel-safe: no message is lost if this is dropped.
    ///
    /// # Errors
    /// The stream has ended, or been silent for too long.
    pub(super) async fn next(&mut self) -> Result<SubscribeResponse, StreamError> {
        let message = timeout_at(self.silent_at, self.connection.next()).await;
        let waited = self.interval.mul_f64(SILENT_INTERVALS).as_secs_f64();
        let message =
            message.unwrap_or_else(|_| Err(StreamError::Lost(format!("no message for {waited:.1} s"))))?;
        if let Some(Event::Snapshot(snapshot)) = &message.event {
            self.interval = heartbeat_interval(snapshot.heartbeat_interval.as_ref());
        }
        self.silent_at = silent_at(self.interval);
        Ok(message)
    }
}

impl Connection {
    async fn next(&mut self) -> Result<SubscribeResponse, StreamError> {
        match self {
            Self::Grpc(stream) => match stream.message().await {
                Ok(Some(message)) => Ok(message),
                Ok(None) => Err(StreamError::Lost("the stream has ended".to_owned())),
                Err(status) => Err(StreamError::from(status)),
            },
            Self::WebSocket(socket) => socket.next().await,
        }
    }
}

fn silent_at(interval: Duration) -> Instant {
    Instant::now() + interval.mul_f64(SILENT_INTERVALS)
}

/// The interval that the server promises, within bounds: a faulty server must not make the pad wait for ever.
fn heartbeat_interval(promised: Option<&pbjson_types::Duration>) -> Duration {
    let interval = promised.and_then(|interval| Duration::try_from(*interval).ok());
    interval.unwrap_or(DEFAULT_INTERVAL).clamp(Duration::from_millis(100), Duration::from_secs(300))
}
