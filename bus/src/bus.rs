//! The bus as both services see it: a broker, or its substitute within one process.

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use crate::{
    amqp::{Amqp, DeadLetter},
    envelope::Origin,
    error::ConnectError,
    in_process::InProcess,
    publisher::Publisher,
    subscription::Subscription,
};

/// The path of events from ingest-svc to every push-svc. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub enum Bus {
    /// RabbitMQ; made by [`BusSettings::bus`].
    Amqp(Amqp),
    /// No broker: one process.
    InProcess(InProcess),
}

impl Bus {
    /// A bus within this process, which all of its clones share.
    pub fn in_process() -> Self {
        Self::InProcess(InProcess::new())
    }

    /// Opens a connection for publishing, with a new id, and declares the exchanges. Takes 10 s at most. `origin` goes out
    /// with every message.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn publisher(&self, origin: Origin) -> Result<Publisher, ConnectError> {
        match self {
            Self::Amqp(amqp) => amqp.publisher(origin).await.map(Publisher::amqp),
            Self::InProcess(bus) => Ok(Publisher::in_process(bus.publisher(origin))),
        }
    }

    /// Opens a connection for receiving, with a new private queue, bound and consuming: what is published from now on
    /// arrives. Takes 10 s at most.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn subscribe(&self) -> Result<Subscription, ConnectError> {
        match self {
            Self::Amqp(amqp) => amqp.subscribe().await.map(Subscription::amqp),
            Self::InProcess(bus) => Ok(Subscription::in_process(bus.subscribe())),
        }
    }

    /// The oldest dead letters, `limit` at most (the broker keeps 10,000). They stay in their queue. Each takes a round trip
    /// to the broker; until the last one has been read, no other client sees them. An in-process bus has none.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, ConnectError> {
        match self {
            Self::Amqp(amqp) => amqp.dead_letters(limit).await,
            Self::InProcess(_) => Ok(Vec::new()),
        }
    }

    /// Deletes all dead letters; returns how many there were.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn purge_dead_letters(&self) -> Result<u32, ConnectError> {
        match self {
            Self::Amqp(amqp) => amqp.purge_dead_letters().await,
            Self::InProcess(_) => Ok(0),
        }
    }
}
