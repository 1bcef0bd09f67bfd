//! What one message carries: a batch of events and where it stands in its publisher's numbering.
//!
//! On the wire it is Protobuf, so that fields can be added while replicas of two versions run side by side:
//!
//! ```proto
//! message Batch {
//!   fixed64 publisher_high = 1;   // a uuid for each connection, as two halves
//!   fixed64 publisher_low = 2;
//!   uint64 number = 3;            // 1, 2, 3 … within that connection; never 0
//!   repeated Event events = 4;
//! }
//! message Event {
//!   string store_id = 1;
//!   fixed64 epoch_high = 2;
//!   fixed64 epoch_low = 3;
//!   uint64 position = 4;
//!   bytes bytes = 5;
//!   int64 received_at = 6;        // Unix milliseconds; 0: unknown
//!   string traceparent = 7;       // W3C; empty: not traced
//! }
//! ```
//!
//! A uuid is two `fixed64`, not `bytes`: no allocation, and no wrong length to check.

use std::fmt;

use bytes::Bytes;
use prost::Message as _;
use uuid::Uuid;

/// The content type of every message of ours. Any other on the exchange is somebody else's and is passed over.
pub const CONTENT_TYPE: &str = "application/vnd.ringpad.batch+protobuf";

/// One event of a store, as pads will receive it. [`Debug`](fmt::Debug) shows no bytes: they hold phone numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The store whose event this is.
    pub store_id: String,
    /// The log that the position belongs to.
    pub epoch: Uuid,
    /// The store's own counter: 1, 2, 3 …; 0 with empty [`bytes`](Self::bytes) is a hint, not an event: "this store was
    /// changed or deleted, ask the log".
    pub position: u64,
    /// An encoded `ringpad.v1.SubscribeResponse`, ready for pads. As received it is a part of the whole message, which
    /// stays in memory as long as any part of it: whoever keeps one event of a large batch for long should copy it.
    pub bytes: Bytes,
    /// Of what made the event, if that is known: for measuring and tracing its way, not for its meaning.
    pub receipt: Option<Receipt>,
}

/// When and in which trace ingest-svc received the record that made an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Unix milliseconds.
    pub at: i64,
    /// W3C trace context; only of a trace that is recorded.
    pub traceparent: Option<Box<str>>,
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("store_id", &self.store_id)
            .field("epoch", &self.epoch)
            .field("position", &self.position)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// The events of one message. Without any it is a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The publisher's connection; a new one has a new id.
    pub publisher: Uuid,
    /// 1, 2, 3 … within that connection. A jump means that a message was lost, and with it perhaps the last event of some
    /// store.
    pub number: u64,
    /// The events, in the order they were sent.
    pub events: Vec<Event>,
}

/// Why a message is no [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the Protobuf message above.
    #[error("the body cannot be decoded")]
    Malformed(#[from] prost::DecodeError),
    /// Protobuf, but without a number; an empty body is one, too.
    #[error("the batch has no number")]
    Unnumbered,
}

impl Batch {
    /// Reads a message's body. The events' bytes are parts of `body`, not copies.
    ///
    /// # Errors
    /// It is no batch.
    pub fn decode(body: Bytes) -> Result<Self, EnvelopeError> {
        let wire = wire::Batch::decode(body)?;
        if wire.number == 0 {
            return Err(EnvelopeError::Unnumbered);
        }
        Ok(Self {
            publisher: Uuid::from_u64_pair(wire.publisher_high, wire.publisher_low),
            number: wire.number,
            events: wire.events.into_iter().map(Event::from).collect(),
        })
    }

    /// Writes a message's body to `buffer`, over what is there; so that one buffer serves for all messages.
    pub fn encode(publisher: Uuid, number: u64, events: &[Event], buffer: &mut Vec<u8>) {
        let (publisher_high, publisher_low) = publisher.as_u64_pair();
        let events = events.iter().map(wire::Event::from).collect();
        let wire = wire::Batch { publisher_high, publisher_low, number, events };
        buffer.clear();
        buffer.reserve(wire.encoded_len());
        wire.encode_raw(buffer);
    }
}

impl From<wire::Event> for Event {
    fn from(wire: wire::Event) -> Self {
        let traceparent = (!wire.traceparent.is_empty()).then(|| wire.traceparent.into_boxed_str());
        Self {
            store_id: wire.store_id,
            epoch: Uuid::from_u64_pair(wire.epoch_high, wire.epoch_low),
            position: wire.position,
            bytes: wire.bytes,
            receipt: (wire.received_at != 0).then_some(Receipt { at: wire.received_at, traceparent }),
        }
    }
}

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        let (epoch_high, epoch_low) = event.epoch.as_u64_pair();
        Self {
            store_id: event.store_id.clone(),
            epoch_high,
            epoch_low,
            position: event.position,
            bytes: event.bytes.clone(),
            received_at: event.receipt.as_ref().map_or(0, |receipt| receipt.at),
            traceparent: event
                .receipt
                .as_ref()
                .and_then(|receipt| receipt.traceparent.as_deref())
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// The Protobuf messages of the module's documentation.
mod wire {
    use bytes::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Batch {
        #[prost(fixed64, tag = "1")]
        pub(super) publisher_high: u64,
        #[prost(fixed64, tag = "2")]
        pub(super) publisher_low: u64,
        #[prost(uint64, tag = "3")]
        pub(super) number: u64,
        #[prost(message, repeated, tag = "4")]
        pub(super) events: Vec<Event>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Event {
        #[prost(string, tag = "1")]
        pub(super) store_id: String,
        #[prost(fixed64, tag = "2")]
        pub(super) epoch_high: u64,
        #[prost(fixed64, tag = "3")]
        pub(super) epoch_low: u64,
        #[prost(uint64, tag = "4")]
        pub(super) position: u64,
        #[prost(bytes = "bytes", tag = "5")]
        pub(super) bytes: Bytes,
        #[prost(int64, tag = "6")]
        pub(super) received_at: i64,
        #[prost(string, tag = "7")]
        pub(super) traceparent: String,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(batch: &Batch) -> Bytes {
        let mut body = b"what was there before".to_vec();
        Batch::encode(batch.publisher, batch.number, &batch.events, &mut body);
        Bytes::from(body)
    }

    prop_compose! {
        fn events()(
            store_id in ".{0,12}",
            epoch: u128,
            position: u64,
            bytes: Vec<u8>,
            receipt in prop::option::of((1..=i64::MAX, prop::option::of("[0-9a-f-]{1,55}"))),
        ) -> Event {
            let receipt = receipt
                .map(|(at, traceparent)| Receipt { at, traceparent: traceparent.map(String::into_boxed_str) });
            Event { store_id, epoch: Uuid::from_u128(epoch), position, bytes: bytes.into(), receipt }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            publisher: u128,
            number in 1..=u64::MAX,
            events in prop::collection::vec(events(), 0..8),
        ) {
            let batch = Batch { publisher: Uuid::from_u128(publisher), number, events };
            prop_assert_eq!(Batch::decode(encoded(&batch)), Ok(batch));
        }

        #[test]
        fn arbitrary_bytes_are_a_batch_or_an_error(body: Vec<u8>) {
            if let Ok(batch) = Batch::decode(body.into()) {
                prop_assert!(batch.number > 0);
            }
        }

        #[test]
        fn a_damaged_batch_is_a_batch_or_an_error(
            events in prop::collection::vec(events(), 0..4),
            at: prop::sample::Index,
            with: u8,
        ) {
            let mut body = encoded(&Batch { publisher: Uuid::nil(), number: 1, events }).to_vec();
            let at = at.index(body.len());
            body[at] = with;
            drop(Batch::decode(body.clone().into()));
            body.truncate(at);
            drop(Batch::decode(body.into()));
        }
    }

    #[test]
    fn a_batch_without_events_is_a_sign_of_life() {
        let batch = Batch { publisher: Uuid::new_v4(), number: 7, events: Vec::new() };
        assert_eq!(Batch::decode(encoded(&batch)), Ok(batch));
    }

    #[test]
    fn a_batch_without_a_number_is_none() {
        assert_eq!(Batch::decode(Bytes::new()), Err(EnvelopeError::Unnumbered));
    }

    #[test]
    fn decoded_bytes_are_parts_of_the_message() {
        let event = Event {
            store_id: "s".to_owned(),
            epoch: Uuid::nil(),
            position: 1,
            bytes: vec![7; 300].into(),
            receipt: None,
        };
        let body = encoded(&Batch { publisher: Uuid::nil(), number: 1, events: vec![event] });
        let batch = Batch::decode(body.clone()).unwrap();
        assert!(body.as_ptr_range().contains(&batch.events[0].bytes.as_ptr()));
    }

    #[test]
    fn debug_shows_no_phone_number() {
        let event = Event {
            store_id: "s".to_owned(),
            epoch: Uuid::nil(),
            position: 1,
            bytes: Bytes::from_static(b"01012345678"),
            receipt: None,
        };
        let shown = format!("{event:?}");
        assert!(shown.contains("bytes: 11") && !shown.contains("0101"), "{shown}");
    }
}
