//! The bus on RabbitMQ: opens connections, each for one purpose. None of them reconnects.
//!
//! lapin's automatic recovery stays off: with it a consumer pauses without an error, and confirms fail only after the
//! reconnect. Without it everything on a lost connection fails within milliseconds.

mod confirms;
mod connection;
mod dead_letters;
mod names;
mod publisher;
mod subscription;
mod tasks;
mod topology;

use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::ConfirmSelectOptions, tcp::OwnedTLSConfig};
use tokio::time::timeout;
use uuid::Uuid;

pub use self::dead_letters::DeadLetter;
pub(crate) use self::{
    confirms::PendingOutcome, names::Names, publisher::AmqpPublisher, subscription::AmqpSubscription,
};
use self::{connection::Link, topology::Topology};
use crate::{address::BrokerAddress, envelope::Origin, error::ConnectError};

/// How long a connection may take from the first packet to the last declaration, unless the URL sets `connection_timeout`.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A broker, and the names used there. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Amqp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: BrokerAddress,
    tls: OwnedTLSConfig,
    names: Names,
}

impl Amqp {
    /// `authority`: a private certificate authority, in PEM, trusted in addition to the public ones.
    pub(crate) fn new(address: BrokerAddress, authority: Option<String>, names: Names) -> Self {
        let tls = OwnedTLSConfig { identity: None, cert_chain: authority };
        Self(Arc::new(Inner { address, tls, names }))
    }

    #[cfg(test)]
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(crate) async fn publisher(&self, origin: Origin) -> Result<AmqpPublisher, ConnectError> {
        self.in_time(async {
            let link = self.open("publisher").await?;
            let channel = link.channel().await?;
            self.topology().declare(&channel).await?;
            let confirms = channel.confirm_select(ConfirmSelectOptions::default());
            confirms.await.map_err(|error| connection::failure(self.address(), &error))?;
            Ok(AmqpPublisher::new(link, channel, &self.0.names.exchange, origin))
        })
        .await
    }

    pub(crate) async fn subscribe(&self) -> Result<AmqpSubscription, ConnectError> {
        self.in_time(async {
            // A new name each time, because the broker may not have noticed yet that the last connection has ended.
            let queue = format!("{}-{}", self.0.names.queue_prefix, Uuid::new_v4());
            let link = self.open("subscription").await?;
            let channel = link.channel().await?;
            self.topology().declare(&channel).await?;
            self.topology().declare_private_queue(&channel, &queue).await?;
            let consumer = subscription::consume(&channel, &queue).await;
            let consumer = consumer.map_err(|error| connection::failure(self.address(), &error))?;
            Ok(AmqpSubscription::new(link, channel, consumer, queue))
        })
        .await
    }

    pub(crate) async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, ConnectError> {
        self.with_dead_letters(async |channel, queue| dead_letters::list(channel, queue, limit).await).await
    }

    pub(crate) async fn purge_dead_letters(&self) -> Result<u32, ConnectError> {
        self.with_dead_letters(dead_letters::purge).await
    }

    /// Works with the dead-letter queue on a connection that is opened for it.
    async fn with_dead_letters<T>(
        &self,
        work: impl AsyncFnOnce(&Channel, &str) -> lapin::Result<T>,
    ) -> Result<T, ConnectError> {
        let (link, channel) = self
            .in_time(async {
                let link = self.open("dead letters").await?;
                let channel = link.channel().await?;
                self.topology().declare(&channel).await?;
                Ok((link, channel))
            })
            .await?;
        let outcome = work(&channel, &self.0.names.dead_letters).await;
        link.close().await;
        outcome.map_err(|error| connection::failure(self.address(), &error))
    }

    fn topology(&self) -> Topology<'_> {
        Topology { address: self.address(), names: &self.0.names }
    }

    fn address(&self) -> &BrokerAddress {
        &self.0.address
    }

    async fn open(&self, purpose: &str) -> Result<Link, ConnectError> {
        Link::open(self.address(), &self.0.tls, self.limit(), purpose).await
    }

    fn limit(&self) -> Duration {
        self.address().connection_timeout().unwrap_or(CONNECT_LIMIT)
    }

    /// Bounds the time to connect, e.g. to a broker that is frozen, or through a network that drops packets.
    async fn in_time<T>(
        &self,
        connecting: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let limit = self.limit();
        timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(ConnectError::Silent { address: self.address().to_string(), limit }))
    }
}
