//! Lists and deletes dead letters.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicGetOptions, QueuePurgeOptions},
    types::{AMQPValue, FieldTable, ShortString},
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
/// when the caller closes the channel, which it must do.
pub(super) async fn list(channel: &Channel, queue: &str, limit: usize) -> lapin::Result<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    while letters.len() < limit {
        match channel.basic_get(queue.into(), BasicGetOptions::default()).await? {
            Some(message) => letters.push(letter(message)),
            None => break,
        }
    }
    Ok(letters)
}

/// Deletes all dead letters; returns how many there were.
pub(super) async fn purge(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await
}

fn letter(message: BasicGetMessage) -> DeadLetter {
    let properties = &message.delivery.properties;
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
    let body = Bytes::from(message.delivery.data);
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
