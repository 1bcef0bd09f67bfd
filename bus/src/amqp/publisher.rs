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
    confirms::{self, PendingOutcome, Unanswered},
    connection::Link,
};
use crate::{
    envelope::{Batch, CONTENT_TYPE, Head, Origin, unix_milliseconds},
    error::Loss,
    message::Content,
};

/// How many messages may wait to be matched with the broker's answers before `send` waits too.
const UNANSWERED: usize = 1024;
/// How long to wait for the reason of a failed publish, which follows within milliseconds.
const REASON: Duration = Duration::from_secs(1);
/// AMQP's delivery mode for messages that survive a restart of the broker in a durable queue: the dead letters'.
const PERSISTENT: u8 = 2;

pub(crate) struct AmqpPublisher {
    id: Uuid,
    origin: Origin,
    /// The number of the last message that was begun to be sent.
    begun: Arc<AtomicU64>,
    exchange: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
    channel: Channel,
    unanswered: mpsc::Sender<Unanswered>,
    lost: watch::Receiver<Option<Loss>>,
    // One task; aborted when this is dropped.
    confirms: JoinSet<()>,
    link: Link,
}

impl AmqpPublisher {
    /// `channel` is in confirm mode, and the link's only one.
    pub(super) fn new(link: Link, channel: Channel, exchange: &str, origin: Origin) -> Self {
        let (unanswered, to_confirm) = mpsc::channel(UNANSWERED);
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
            unanswered,
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
        // Without `mandatory` the broker acknowledges also a message that reached no queue.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), ShortString::default());
        let publish = self.channel.basic_publish(exchange, key, options, &self.body, properties);
        let confirm = tokio::select! {
            biased;
            published = publish => match published {
                Ok(confirm) => confirm,
                Err(error) => return Err(self.why(&error).await),
            },
            // While the broker blocks publishers, the first branch waits; a loss must end that.
            lost = loss(self.lost.clone()) => return Err(lost),
        };
        let (message, outcome) = Unanswered::new(number, confirm, self.lost.clone());
        match self.unanswered.send(message).await {
            Ok(()) => Ok(outcome),
            Err(mpsc::error::SendError(_)) => Err(confirms::reason(&self.lost)),
        }
    }

    /// Why a message could not be published. If the broker closes the channel, e.g. because a message was too large, the
    /// publish fails before the task of the confirms has the reason. Without the reason the same would be sent again.
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
    // It fails if the task was aborted because the publisher was closed.
    let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
    reason.unwrap_or(Loss::Connection(None))
}
