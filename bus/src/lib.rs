//! The fanout exchange between ingest-svc and push-svc: **the only crate that knows AMQP**.
//!
//! ```text
//!                                        ┌─► <prefix>-<uuid>  exclusive, auto-delete ─► Subscription (a replica)
//! Publisher ─► exchange (fanout, durable)┼─► <prefix>-<uuid> ─────────────────────────► Subscription
//!    ▲  mandatory, confirms, expiration  └─► …      │ expired, overflowed, rejected
//!    └─ Confirm: Delivered, NoRoute, Refused        ▼
//!                          <exchange>.dead (fanout, durable) ─► <exchange>.dead  10,000 messages, 7 days
//! ```
//!
//! * One message carries a [`Batch`] of encoded events, who sent it, and its number in its publisher's row. The bus looks
//!   at no event.
//! * A [`Publisher`] and a [`Subscription`] have a connection each: while the broker blocks publishers, replicas go on
//!   receiving.
//! * **Nothing here reconnects.** A connection that fails is [`Lost`] within milliseconds (within 20 s if it just goes
//!   silent), and everything that hangs on it with it. The caller opens a new one, after a back-off, and reads from
//!   the log what it may have missed.
//! * No message is dropped without a word: an unroutable one is [`Routed::NoRoute`], a missed one a jump in the numbers.
//! * [`Bus::in_process`] is the same without a broker.

mod address;
mod amqp;
mod envelope;
mod error;
mod in_process;
mod publisher;
mod settings;
mod subscription;

pub use address::{AddressError, BrokerAddress};
pub use amqp::{Amqp, DeadLetter};
pub use envelope::{Batch, CONTENT_TYPE, EnvelopeError, Event, Head, Origin, Receipt, unix_milliseconds};
pub use error::{ConnectError, Lost};
pub use in_process::{CAPACITY as IN_PROCESS_CAPACITY, InProcess};
pub use publisher::{Confirm, Publisher, Routed};
pub use settings::BusSettings;
pub use subscription::{Received, Subscription};

/// Where events go from ingest-svc to every push-svc. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub enum Bus {
    /// RabbitMQ; made by [`BusSettings::bus`].
    Amqp(Amqp),
    /// No broker: one process.
    InProcess(InProcess),
}

impl Bus {
    /// A bus within this process, for its clones.
    pub fn in_process() -> Self {
        Self::InProcess(InProcess::new())
    }

    pub(crate) fn amqp(amqp: Amqp) -> Self {
        Self::Amqp(amqp)
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

    /// The oldest messages that the broker set aside, `limit` at most (it keeps 10,000). They stay there. Each takes a
    /// round trip to the broker, and while it is being looked at nobody else sees it. An in-process bus sets none aside.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, ConnectError> {
        match self {
            Self::Amqp(amqp) => amqp.dead_letters(limit).await,
            Self::InProcess(_) => Ok(Vec::new()),
        }
    }

    /// Throws away all messages that the broker set aside; how many there were.
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
