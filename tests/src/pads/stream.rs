//! A stream as it comes over the wire: decoded, and not checked.

use std::net::SocketAddr;

use http::HeaderMap;
use ringpad_proto::v1::{SubscribeResponse, subscribe_response::Event};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{StreamEnd, Subscription, Transport, grpc, grpc_web, websocket};

/// Events that a pad may have unread; a pad with more is a slow one.
const UNREAD: usize = 16_384;

/// What the transports pass on.
#[derive(Debug)]
pub(super) enum Item {
    /// push-svc has taken the request; the headers of its HTTP answer.
    Opened(HeaderMap),
    Event(Box<SubscribeResponse>),
    End(StreamEnd),
}

/// The sending end of a transport.
pub(super) type Items = mpsc::Sender<Item>;

/// One stream of a pad; it is closed when dropped.
#[derive(Debug)]
pub struct Stream {
    items: mpsc::Receiver<Item>,
    carrier: JoinHandle<()>,
}

impl Stream {
    /// Begins to connect, and returns immediately.
    pub fn open(transport: Transport, replica: SocketAddr, asked: &Subscription) -> Self {
        Self::open_with_room(UNREAD, transport, replica, asked)
    }

    /// The same with so many events that may be unread; then nothing more is read from the connection.
    pub fn open_with_room(
        unread: usize,
        transport: Transport,
        replica: SocketAddr,
        asked: &Subscription,
    ) -> Self {
        let asked = asked.clone();
        Self::carried(unread, async move |items| match transport {
            Transport::Grpc => grpc::carry(replica, asked, &items).await,
            Transport::GrpcWeb => grpc_web::carry(replica, asked, &items).await,
            Transport::WebSocket => websocket::carry(replica, asked, &items).await,
        })
    }

    /// A WebSocket with a first message of any form, or none.
    pub fn of_websocket(replica: SocketAddr, first: Option<&str>) -> Self {
        let first = first.map(str::to_owned);
        Self::carried(UNREAD, async move |items| {
            websocket::carry_after(replica, None, first.as_deref(), &items).await
        })
    }

    fn carried<F>(unread: usize, carry: impl FnOnce(Items) -> F + Send + 'static) -> Self
    where
        F: Future<Output = StreamEnd> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(unread);
        let carrier = tokio::spawn(async move {
            let end = carry(sender.clone()).await;
            // The pad may have been dropped already.
            sender.send(Item::End(end)).await.ok();
        });
        Self { items, carrier }
    }

    /// Waits until push-svc has taken the request, and returns the headers of its HTTP answer. To be called before
    /// [`Self::next`], or not at all.
    ///
    /// # Errors
    /// How the stream ended instead.
    ///
    /// # Panics
    /// It was called after [`Self::next`].
    pub async fn opened(&mut self) -> Result<HeaderMap, StreamEnd> {
        match self.items.recv().await {
            Some(Item::Opened(headers)) => Ok(headers),
            Some(Item::Event(event)) => panic!("the stream was opened before: {event:?}"),
            Some(Item::End(end)) => Err(end),
            None => Err(carrier_ended()),
        }
    }

    /// The next event, however long it takes.
    ///
    /// # Errors
    /// How the stream ended.
    ///
    /// # Panics
    /// The event is of an unknown kind.
    pub async fn next(&mut self) -> Result<Event, StreamEnd> {
        loop {
            match self.items.recv().await {
                Some(Item::Opened(_)) => {}
                Some(Item::Event(response)) => {
                    return Ok(response.event.expect("an event of a known kind"));
                }
                Some(Item::End(end)) => return Err(end),
                None => return Err(carrier_ended()),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

fn carrier_ended() -> StreamEnd {
    StreamEnd::Lost("the test's own transport has ended".to_owned())
}
