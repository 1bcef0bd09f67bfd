//! The fanout exchange between ingest-svc and push-svc: **the only crate that knows AMQP**.
//!
//! ```text
//!                                        ┌─► <prefix>-<uuid>  exclusive, auto-delete ─► Subscription (a replica)
//! Publisher ─► exchange (fanout, durable)┼─► <prefix>-<uuid> ─────────────────────────► Subscription
//!    ▲  mandatory, confirms, expiration  └─► …      │ expired, overflowed, rejected
//!    └─ outcome: Delivered, NoRoute, Refused        ▼
//!                          <exchange>.dead (fanout, durable) ─► <exchange>.dead  10,000 messages, 7 days
//! ```
//!
//! * One message carries a [`Batch`] of encoded events, its publisher's id, and its number among that publisher's messages.
//!   The bus does not decode events.
//! * A [`Publisher`] and a [`Subscription`] have a connection each, so that replicas still receive while the broker blocks
//!   publishers.
//! * **Nothing here reconnects.** A connection that fails is reported as [`Loss`] within milliseconds (within 20 s if it just
//!   becomes silent), by everything that uses it. The caller opens a new one, after a back-off, and reads from the log what
//!   it may have missed.
//! * No message is lost without a report: an unroutable one is [`PublishOutcome::NoRoute`], a missed one is a jump in the
//!   message numbers.
//! * [`Bus::in_process`] is the same without a broker.

mod address;
mod amqp;
mod bus;
mod envelope;
mod error;
mod in_process;
mod message;
mod publisher;
mod settings;
mod subscription;
mod tls;

pub use address::{AddressError, BrokerAddress};
pub use amqp::{Amqp, DeadLetter, LinkError};
pub use bus::Bus;
pub use envelope::{Batch, CONTENT_TYPE, EnvelopeError, Event, Head, Origin, Receipt, unix_milliseconds};
pub use error::{BrokerRefusal, ConnectError, Loss};
pub use in_process::{CAPACITY as IN_PROCESS_CAPACITY, InProcess};
pub use message::{PublishOutcome, ReceivedMessage};
pub use publisher::Publisher;
pub use settings::BusSettings;
pub use subscription::Subscription;
