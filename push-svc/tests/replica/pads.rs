//! A pad of the end-to-end tests' harness, with what these tests expect of its stream.

use std::net::SocketAddr;

use ringpad_proto::v1::{Early, Heartbeat, Snapshot, SubscribeRequest, subscribe_response::Event};
use ringpad_tests::pads::{Stream, Subscription};
pub use ringpad_tests::pads::{StreamEnd, Transport};
use tokio::time::timeout;

use crate::harness::PATIENCE;

pub const TRANSPORTS: [Transport; 3] = Transport::ALL;

pub struct TestPad {
    stream: Stream,
    /// The last position it was sent.
    pub position: u64,
    /// Of the HTTP answer, if there was a stream.
    pub headers: http::HeaderMap,
    /// How the stream ended before it was open.
    refused: Option<StreamEnd>,
}

impl TestPad {
    pub async fn connect(
        transport: Transport,
        replica: SocketAddr,
        token: &str,
        request: SubscribeRequest,
        origin: Option<&str>,
    ) -> Self {
        let SubscribeRequest { after_position, epoch, session } = request;
        let asked = Subscription {
            token: Some(token.to_owned()),
            after: after_position.map(|position| (position, epoch)),
            session,
            origin: origin.map(str::to_owned),
        };
        // Nothing is read ahead: a pad whose events are not taken is a slow one.
        Self::opened(Stream::open_with_room(1, transport, replica, &asked)).await
    }

    /// A WebSocket with this first message, or none.
    pub async fn on_websocket(replica: SocketAddr, first: Option<&str>) -> Self {
        Self::opened(Stream::of_websocket(replica, first)).await
    }

    async fn opened(mut stream: Stream) -> Self {
        let opened = timeout(PATIENCE, stream.opened()).await.expect("the stream opens or ends");
        let (headers, refused) = match opened {
            Ok(headers) => (headers, None),
            Err(end) => (http::HeaderMap::new(), Some(end)),
        };
        Self { stream, position: 0, headers, refused }
    }

    /// The next event, or how the stream ended.
    pub async fn next(&mut self) -> Result<Event, StreamEnd> {
        if let Some(end) = self.refused.take() {
            return Err(end);
        }
        timeout(PATIENCE, self.stream.next()).await.expect("an event or the stream's end")
    }

    pub async fn snapshot(&mut self) -> Snapshot {
        match self.next().await {
            Ok(Event::Snapshot(snapshot)) => {
                self.position = snapshot.position;
                snapshot
            }
            other => panic!("a snapshot comes first, not {other:?}"),
        }
    }

    pub async fn heartbeat(&mut self) -> Heartbeat {
        match self.next().await {
            Ok(Event::Heartbeat(heartbeat)) => heartbeat,
            other => panic!("a heartbeat was expected, not {other:?}"),
        }
    }

    /// Snapshot and first heartbeat.
    pub async fn begin(&mut self) -> Snapshot {
        let snapshot = self.snapshot().await;
        assert_eq!(self.heartbeat().await.position, snapshot.position);
        snapshot
    }

    /// Takes updates up to `position`, each the next one.
    pub async fn updates_to(&mut self, position: u64) {
        while self.position < position {
            match self.next().await {
                Ok(Event::Update(update)) => {
                    assert_eq!(update.position, self.position + 1, "the next one and no other");
                    assert_eq!(update.call.unwrap().revision, update.position);
                    self.position = update.position;
                }
                Ok(Event::Heartbeat(heartbeat)) => assert_eq!(heartbeat.position, self.position),
                // On a slow machine; its update follows in order.
                Ok(Event::Early(early)) => assert!(early.call.unwrap().revision > self.position + 1),
                other => panic!("an update was expected, not {other:?}"),
            }
        }
    }

    /// The next ring that is sent early; no update may come before it.
    pub async fn early(&mut self) -> Early {
        loop {
            match self.next().await {
                Ok(Event::Early(early)) => return early,
                Ok(Event::Heartbeat(heartbeat)) => assert_eq!(heartbeat.position, self.position),
                other => panic!("an early ring was expected, not {other:?}"),
            }
        }
    }

    /// The next ring that is sent early, after any updates.
    pub async fn early_among_updates(&mut self) -> Early {
        loop {
            match self.next().await {
                Ok(Event::Early(early)) => return early,
                Ok(Event::Update(update)) => {
                    assert_eq!(update.position, self.position + 1, "the next one and no other");
                    self.position = update.position;
                }
                Ok(Event::Heartbeat(heartbeat)) => assert_eq!(heartbeat.position, self.position),
                other => panic!("an early ring was expected, not {other:?}"),
            }
        }
    }

    /// How the stream ends; all messages before are skipped.
    pub async fn end(&mut self) -> StreamEnd {
        loop {
            if let Err(ended) = self.next().await {
                return ended;
            }
        }
    }
}
