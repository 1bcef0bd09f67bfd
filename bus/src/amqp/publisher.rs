//! Publishing to RabbitMQ: mandatory, persistent, confirmed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{BasicProperties, Channel, options::BasicPublishOptions, types::ShortString};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use super::{
    confirms::{self, Pending, PendingOutcome},
    connection::Link,
};
use crate::{
    envelope::{Batch, CONTENT_TYPE, Head, Origin, unix_milliseconds},
    error::Loss,
    message::Content,
};

/// How many messages may wait to be matched with the broker's answers before `send` waits, too.
const HANDED_OVER: usize = 1024;
/// How long the reason for a failed publish may be in coming; it is milliseconds behind.
const REASON: Duration = Duration::from_secs(1);
/// AMQP's delivery mode for messages that survive the broker's restart if their queue does, as the dead letters' does.
const PERSISTENT: u8 = 2;

pub(crate) struct AmqpPublisher {
    id: Uuid,
    origin: Origin,
    /// The number of the last message whose sending has begun.
    begun: Arc<AtomicU64>,
    exchange: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
    channel: Channel,
    pending: mpsc::Sender<Pending>,
    lost: watch::Receiver<Option<Loss>>,
    // One task; aborted when this is dropped.
    confirms: JoinSet<()>,
    link: Link,
}

impl AmqpPublisher {
    /// `channel` is in confirm mode, and the link's only one.
    pub(super) fn new(link: Link, channel: Channel, exchange: &str, origin: Origin) -> Self {
        let (pending, to_confirm) = mpsc::channel(HANDED_OVER);
        let (losing, lost) = watch::channel(None);
        let mut confirms = JoinSet::new();
        let begun = Arc::new(AtomicU64::new(0));
        confirms.spawn(confirms::run(link.events(), Arc::clone(&begun), to_confirm, losing));
        let properties =
            BasicProperties::default().with_content_type(CONTENT_TYPE.into()).with_delivery_mode(PERSISTENT);
        Self {
            id: Uuid::new_v4(),
            origin,
            begun,
            exchange: exchange.into(),
            properties,
            body: Vec::new(),
            channel,
            pending,
            lost,
            confirms,
            link,
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) async fn publish(
        &mut self,
        content: Content<'_>,
        ttl: Duration,
    ) -> Result<PendingOutcome, Loss> {
        let number = self.begun.fetch_add(1, Ordering::Release) + 1;
        let head = Head {
            publisher: self.id,
            number,
            origin: Some(self.origin),
            goodbye: content.is_goodbye(),
            sent_at: Some(unix_milliseconds()),
        };
        Batch::encode(&head, content.events(), &mut self.body);
        let properties = self.properties.clone().with_expiration(ttl.as_millis().to_string().into());
        // Mandatory: without it, the broker would confirm a message that went to no queue as if it had arrived.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), ShortString::default());
        let publish = self.channel.basic_publish(exchange, key, options, &self.body, properties);
        let confirm = tokio::select! {
            biased;
            published = publish => match published {
                Ok(confirm) => confirm,
                Err(error) => return Err(self.why(&error).await),
            },
            // While the broker blocks us the first would wait; a loss must end that.
            lost = loss(self.lost.clone()) => return Err(lost),
        };
        let (pending, promised) = Pending::new(number, confirm, self.lost.clone());
        match self.pending.send(pending).await {
            Ok(()) => Ok(promised),
            Err(mpsc::error::SendError(_)) => Err(confirms::reason(&self.lost)),
        }
    }

    /// Why a message could not be published. Where the broker closes the channel, that it is closed is known here before
    /// the confirms' task hears what for, e.g. that a message was too large: without the reason, the same would be sent again.
    async fn why(&self, error: &lapin::Error) -> Loss {
        timeout(REASON, loss(self.lost.clone())).await.unwrap_or_else(|_| confirms::broken(error))
    }

    pub(crate) fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        loss(self.lost.clone())
    }

    pub(crate) async fn close(mut self) {
        self.link.close().await;
        self.confirms.shutdown().await;
    }
}

/// Resolves when the connection is lost or closed.
async fn loss(mut lost: watch::Receiver<Option<Loss>>) -> Loss {
    // An error says that the task was aborted: the publisher was closed.
    let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
    reason.unwrap_or_else(confirms::closed)
}
