//! The bus on RabbitMQ. Being written.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    address::BrokerAddress,
    envelope::Event,
    error::{ConnectError, Lost},
    publisher::Routed,
    subscription::Received,
};

/// A broker, and the names used there.
#[derive(Debug, Clone)]
pub struct Amqp {
    address: BrokerAddress,
    pub(crate) names: Arc<Names>,
}

/// The names of the exchanges and queues.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) exchange: String,
    pub(crate) queue_prefix: String,
    pub(crate) dead_letters: String,
}

impl Amqp {
    pub(crate) fn new(address: BrokerAddress, _authority: Option<String>, names: Names) -> Self {
        Self { address, names: Arc::new(names) }
    }

    pub(crate) async fn publisher(&self) -> Result<AmqpPublisher, ConnectError> {
        Err(ConnectError::Silent { address: self.address.to_string(), limit: Duration::ZERO })
    }

    pub(crate) async fn subscribe(&self) -> Result<AmqpSubscription, ConnectError> {
        Err(ConnectError::Silent { address: self.address.to_string(), limit: Duration::ZERO })
    }
}

pub(crate) enum AmqpPublisher {}

impl AmqpPublisher {
    pub(crate) fn id(&self) -> Uuid {
        match *self {}
    }

    pub(crate) async fn send(
        &mut self,
        _events: &[Event],
        _ttl: Duration,
    ) -> Result<oneshot::Receiver<Result<Routed, Lost>>, Lost> {
        match *self {}
    }

    pub(crate) fn lost(&self) -> impl Future<Output = Lost> + Send + use<> {
        std::future::pending()
    }

    pub(crate) async fn close(self) {}
}

pub(crate) enum AmqpSubscription {}

impl AmqpSubscription {
    pub(crate) fn queue(&self) -> &str {
        match *self {}
    }

    pub(crate) async fn next(&mut self) -> Result<Received, Lost> {
        match *self {}
    }

    pub(crate) fn ack(&mut self) {}

    pub(crate) async fn close(self) {}
}
