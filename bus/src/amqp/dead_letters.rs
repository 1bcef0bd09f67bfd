//! Lists and deletes dead letters.

use std::time::{Duration, SystemTime};

use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPMethod as Basic},
        queue,
    },
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    connection::{Link, Message, Received, UNEXPECTED},
    error::LinkError,
};
use crate::envelope::{Batch, CONTENT_TYPE};

/// A message that reached a replica's private queue, and was not processed by the replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The broker's reason: `expired`, `rejected` (poison), `maxlen` (its queue was full).
    pub reason: String,
    /// When it became a dead letter, to the second.
    pub at: Option<SystemTime>,
    /// The private queue it was in.
    pub queue: String,
    /// Its content type; empty if it has none.
    pub content_type: String,
    /// The length of its body.
    pub bytes: usize,
    /// Its content; `None` if it is a poison message, or another program's.
    pub batch: Option<Batch>,
}

/// The oldest dead letters, `limit` at most. They stay in the queue: they are not acknowledged, so the broker puts them back
/// when the caller closes the connection, which it must do.
pub(super) async fn list(link: &mut Link, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, LinkError> {
    let mut letters = Vec::new();
    while letters.len() < limit {
        let get = basic::Get { queue: queue.into(), no_ack: false };
        match link.call(AMQPClass::Basic(Basic::Get(get))).await? {
            Received::Message(message) => letters.push(letter(*message)),
            Received::Method(AMQPClass::Basic(Basic::GetEmpty(_))) => break,
            Received::Method(_) => return Err(UNEXPECTED),
        }
    }
    Ok(letters)
}

/// Deletes all dead letters; returns how many there were.
pub(super) async fn purge(link: &mut Link, queue: &str) -> Result<u32, LinkError> {
    let purge = queue::Purge { queue: queue.into(), nowait: false };
    match link.call(AMQPClass::Queue(queue::AMQPMethod::Purge(purge))).await? {
        Received::Method(AMQPClass::Queue(queue::AMQPMethod::PurgeOk(purged))) => Ok(purged.message_count),
        _ => Err(UNEXPECTED),
    }
}

fn letter(Message { properties, body, .. }: Message) -> DeadLetter {
    let content_type = properties.content_type().as_ref().map_or("", ShortString::as_str).to_owned();
    let death = properties.headers().as_ref().and_then(latest_death);
    let text = |name| match death.and_then(|death| death.inner().get(name)) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        _ => String::new(),
    };
    let at = match death.and_then(|death| death.inner().get("time")) {
        Some(AMQPValue::Timestamp(seconds)) => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*seconds))
        }
        _ => None,
    };
    let (reason, queue) = (text("reason"), text("queue"));
    let bytes = body.len();
    let batch = if content_type == CONTENT_TYPE { Batch::decode(body).ok() } else { None };
    DeadLetter { reason, at, queue, content_type, bytes, batch }
}

/// The broker's record of the last time that it dead-lettered the message; the latest one is first.
fn latest_death(headers: &FieldTable) -> Option<&FieldTable> {
    match headers.inner().get("x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death),
            _ => None,
        },
        _ => None,
    }
}
