//! The bus on RabbitMQ: opens connections, each for one purpose. None of them reconnects.
//!
//! ```text
//! publisher, subscription, topology, dead letters ─► connection (methods, messages, login) ─► wire (frames, heartbeats) ─► socket
//! ```
//!
//! AMQP 0-9-1 is encoded by a library; who reads and writes is ours, because a message is on this way while somebody waits for
//! it. A client that works on a thread or task of its own costs each message several hand-overs between threads.

mod connection;
mod dead_letters;
mod error;
mod names;
mod publisher;
mod subscription;
mod topology;
mod wire;

use std::{sync::Arc, time::Duration};

use amq_protocol::protocol::{AMQPClass, confirm};
use rustls::ClientConfig;
use tokio::time::timeout;
use uuid::Uuid;

use self::{connection::Link, topology::Topology};
pub use self::{dead_letters::DeadLetter, error::LinkError};
pub(crate) use self::{names::Names, publisher::AmqpPublisher, subscription::AmqpSubscription};
use crate::{address::BrokerAddress, envelope::Origin, error::ConnectError};

/// How long a connection may take from the first packet to the last declaration, unless the URL sets `connection_timeout`.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A broker, and the names used there. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Amqp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: BrokerAddress,
    /// `None`: not encrypted.
    tls: Option<Arc<ClientConfig>>,
    names: Names,
}

impl Amqp {
    pub(crate) fn new(address: BrokerAddress, tls: Option<Arc<ClientConfig>>, names: Names) -> Self {
        Self(Arc::new(Inner { address, tls, names }))
    }

    #[cfg(test)]
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(crate) async fn publisher(&self, origin: Origin) -> Result<AmqpPublisher, ConnectError> {
        self.in_time(async {
            let mut link = self.open("publisher").await?;
            self.topology().declare(&mut link).await?;
            let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
            let confirms = link.ask(AMQPClass::Confirm(select)).await;
            confirms.map_err(|error| connection::failure(self.address(), error))?;
            Ok(AmqpPublisher::new(link, &self.0.names.exchange, origin))
        })
        .await
    }

    pub(crate) async fn subscribe(&self) -> Result<AmqpSubscription, ConnectError> {
        self.in_time(async {
            // A new name each time, because the broker may not have noticed yet that the last connection has ended.
            let queue = format!("{}-{}", self.0.names.queue_prefix, Uuid::new_v4());
            let mut link = self.open("subscription").await?;
            self.topology().declare(&mut link).await?;
            self.topology().declare_private_queue(&mut link, &queue).await?;
            let consuming = subscription::consume(&mut link, &queue).await;
            consuming.map_err(|error| connection::failure(self.address(), error))?;
            Ok(AmqpSubscription::new(link, queue))
        })
        .await
    }

    pub(crate) async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, ConnectError> {
        self.with_dead_letters(async |link, queue| dead_letters::list(link, queue, limit).await).await
    }

    pub(crate) async fn purge_dead_letters(&self) -> Result<u32, ConnectError> {
        self.with_dead_letters(dead_letters::purge).await
    }

    /// Works with the dead-letter queue on a connection that is opened for it.
    async fn with_dead_letters<T>(
        &self,
        work: impl AsyncFnOnce(&mut Link, &str) -> Result<T, LinkError>,
    ) -> Result<T, ConnectError> {
        let mut link = self
            .in_time(async {
                let mut link = self.open("dead letters").await?;
                self.topology().declare(&mut link).await?;
                Ok(link)
            })
            .await?;
        let outcome = work(&mut link, &self.0.names.dead_letters).await;
        link.close().await;
        outcome.map_err(|error| connection::failure(self.address(), error))
    }

    fn topology(&self) -> Topology<'_> {
        Topology { address: self.address(), names: &self.0.names }
    }

    fn address(&self) -> &BrokerAddress {
        &self.0.address
    }

    async fn open(&self, purpose: &str) -> Result<Link, ConnectError> {
        Link::open(self.address(), self.0.tls.as_ref(), purpose).await
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
