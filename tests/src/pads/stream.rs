//! A stream as it comes over the wire: decoded, and not checked.

use std::net::SocketAddr;

use ringpad_proto::v1::{SubscribeResponse, subscribe_response::Event};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{End, Subscription, Transport, grpc, grpc_web, websocket};

/// Events that a pad may have unread; beyond it the pad is a slow one.
const UNREAD: usize = 16_384;

/// What the transports hand over.
#[derive(Debug)]
pub(super) enum Seen {
    Event(Box<SubscribeResponse>),
    End(End),
}

/// The sending end of a transport.
pub(super) type Seer = mpsc::Sender<Seen>;

/// One stream of a pad; it is closed when dropped.
#[derive(Debug)]
pub struct Stream {
    seen: mpsc::Receiver<Seen>,
    carrier: JoinHandle<()>,
}

impl Stream {
    /// Begins to connect, and returns at once.
    pub fn open(transport: Transport, replica: SocketAddr, asked: &Subscription) -> Self {
        let asked = asked.clone();
        Self::carried(async move |seer| match transport {
            Transport::Grpc => grpc::carry(replica, asked, &seer).await,
            Transport::GrpcWeb => grpc_web::carry(replica, asked, &seer).await,
            Transport::WebSocket => websocket::carry(replica, asked, &seer).await,
        })
    }

    /// A WebSocket with a first message of any form, or none.
    pub(super) fn of_websocket(replica: SocketAddr, first: Option<&str>) -> Self {
        let first = first.map(str::to_owned);
        Self::carried(async move |seer| websocket::end_after(replica, first.as_deref(), &seer).await)
    }

    fn carried<F>(carry: impl FnOnce(Seer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = End> + Send + 'static,
    {
        let (seer, seen) = mpsc::channel(UNREAD);
        let carrier = tokio::spawn(async move {
            let end = carry(seer.clone()).await;
            // The pad may be gone already.
            seer.send(Seen::End(end)).await.ok();
        });
        Self { seen, carrier }
    }

    /// The next event, however long it takes.
    ///
    /// # Errors
    /// How the stream ended.
    ///
    /// # Panics
    /// The event is of an unknown kind.
    pub async fn next(&mut self) -> Result<Event, End> {
        match self.seen.recv().await {
            Some(Seen::Event(response)) => Ok(response.event.expect("an event of a known kind")),
            Some(Seen::End(end)) => Err(end),
            None => Err(End::Cut("the test's own transport has ended".to_owned())),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}
