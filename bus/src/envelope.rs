//! The content of one message: a batch of events, its publisher and its number.
//!
//! On the wire it is Protobuf, `proto/ringpad/bus/v1/batch.proto`, so that fields can be added while replicas of two
//! versions run at the same time.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use prost::Message as _;
use uuid::Uuid;

/// The content type of our messages. Messages on the exchange with another one belong to another program.
pub const CONTENT_TYPE: &str = "application/vnd.ringpad.batch+protobuf";

/// One event of a store, as pads will receive it. [`Debug`](fmt::Debug) shows no bytes: they hold phone numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The store whose event this is.
    pub store_id: String,
    /// The log that the position belongs to.
    pub epoch: Uuid,
    /// The store's own counter: 1, 2, 3 …; 0 with empty [`bytes`](Self::bytes) is a hint, not an event: "this store has
    /// changed or was deleted, ask the log".
    pub position: u64,
    /// An encoded `ringpad.v1.SubscribeResponse`, ready for pads. In a received event it is a part of the whole message, which
    /// stays in memory as long as any part of it: copy the bytes to keep one event of a large batch for long.
    pub bytes: Bytes,
    /// The receipt of the record that made the event, if it is known; for measuring and tracing only.
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

impl Event {
    /// Bytes of a message that an event takes at most, without its own bytes, its store's id and its trace context.
    const OVERHEAD: usize = 64;

    /// Bytes of a message that the event takes at most.
    pub fn size(&self) -> usize {
        let traceparent = self.receipt.as_ref().and_then(|receipt| receipt.traceparent.as_ref());
        Self::OVERHEAD + self.store_id.len() + self.bytes.len() + traceparent.map_or(0, |text| text.len())
    }
}

/// Which process publishes, and for which log. Subscribers see from it which instance is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The log's epoch.
    pub epoch: Uuid,
    /// The process: the same for all of its connections, a new one after a restart.
    pub instance: Uuid,
}

/// The fields of a message, without its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The publisher's connection; a new one has a new id.
    pub publisher: Uuid,
    /// 1, 2, 3 … within that connection. A jump means that a message was lost, which may have had the last event of a store.
    pub number: u64,
    /// `None`: the publisher is of an older version, which did not send it.
    pub origin: Option<Origin>,
    /// The process leaves, and has published everything: its silence from now on is no fault.
    pub goodbye: bool,
    /// When it was sent by the publisher's clock, in Unix milliseconds; for comparing clocks. `None`: as for the origin.
    pub sent_at: Option<i64>,
}

/// The time now, in the form of [`Head::sent_at`].
pub fn unix_milliseconds() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// The content of one message. Without events it is a canary, or a goodbye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its publisher, its number, and more.
    pub head: Head,
    /// The events, in the order in which they were sent.
    pub events: Vec<Event>,
}

/// Why a message cannot be decoded to a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the Protobuf message.
    #[error("the body cannot be decoded")]
    Malformed(#[from] prost::DecodeError),
    /// Protobuf, but without a number, as an empty body is.
    #[error("the batch has no number")]
    Unnumbered,
}

impl Batch {
    /// Bytes of a message that are not for its events, at most.
    pub const OVERHEAD: usize = 96;

    /// Reads a message's body. The events' bytes are parts of `body`, not copies.
    ///
    /// # Errors
    /// The body cannot be decoded.
    pub fn decode(body: Bytes) -> Result<Self, EnvelopeError> {
        let wire = wire::Batch::decode(body)?;
        if wire.number == 0 {
            return Err(EnvelopeError::Unnumbered);
        }
        let head = Head {
            publisher: Uuid::from_u64_pair(wire.publisher_high, wire.publisher_low),
            number: wire.number,
            origin: wire.origin.map(Origin::from),
            goodbye: wire.goodbye,
            sent_at: (wire.sent_at != 0).then_some(wire.sent_at),
        };
        Ok(Self { head, events: wire.events.into_iter().map(Event::from).collect() })
    }

    /// Replaces the content of `buffer` by a message's body. One buffer can be used for all messages.
    pub fn encode(head: &Head, events: &[Event], buffer: &mut Vec<u8>) {
        let (publisher_high, publisher_low) = head.publisher.as_u64_pair();
        let wire = wire::Batch {
            publisher_high,
            publisher_low,
            number: head.number,
            events: events.iter().map(wire::Event::from).collect(),
            origin: head.origin.map(wire::Origin::from),
            goodbye: head.goodbye,
            sent_at: head.sent_at.unwrap_or_default(),
        };
        buffer.clear();
        buffer.reserve(wire.encoded_len());
        wire.encode_raw(buffer);
    }
}

impl From<wire::Origin> for Origin {
    fn from(wire: wire::Origin) -> Self {
        Self {
            epoch: Uuid::from_u64_pair(wire.epoch_high, wire.epoch_low),
            instance: Uuid::from_u64_pair(wire.instance_high, wire.instance_low),
        }
    }
}

impl From<Origin> for wire::Origin {
    fn from(origin: Origin) -> Self {
        let (epoch_high, epoch_low) = origin.epoch.as_u64_pair();
        let (instance_high, instance_low) = origin.instance.as_u64_pair();
        Self { epoch_high, epoch_low, instance_high, instance_low }
    }
}

impl From<wire::Event> for Event {
    fn from(wire: wire::Event) -> Self {
        let wire::Event { store_id, epoch_high, epoch_low, position, bytes, received_at: at, traceparent } =
            wire;
        let traceparent = (!traceparent.is_empty()).then(|| traceparent.into_boxed_str());
        Self {
            store_id,
            epoch: Uuid::from_u64_pair(epoch_high, epoch_low),
            position,
            bytes,
            receipt: (at != 0).then_some(Receipt { at, traceparent }),
        }
    }
}

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        let Event { store_id, epoch, position, bytes, receipt } = event;
        let (epoch_high, epoch_low) = epoch.as_u64_pair();
        let (received_at, traceparent) = match receipt {
            Some(Receipt { at, traceparent }) => (*at, traceparent.as_deref().unwrap_or_default()),
            None => (0, ""),
        };
        Self {
            store_id: store_id.clone(),
            epoch_high,
            epoch_low,
            position: *position,
            bytes: bytes.clone(),
            received_at,
            traceparent: traceparent.to_owned(),
        }
    }
}

/// Package `ringpad.bus.v1`.
#[expect(unreachable_pub, reason = "generated")]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/ringpad.bus.v1.rs"));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(batch: &Batch) -> Bytes {
        let mut body = b"what was there before".to_vec();
        Batch::encode(&batch.head, &batch.events, &mut body);
        Bytes::from(body)
    }

    fn head(number: u64) -> Head {
        Head { publisher: Uuid::from_u128(9), number, origin: None, goodbye: false, sent_at: None }
    }

    prop_compose! {
        fn heads()(
            publisher: u128,
            number in 1..=u64::MAX,
            origin: Option<(u128, u128)>,
            goodbye: bool,
            sent_at in prop::option::of(prop_oneof![Just(i64::MIN), 1..=i64::MAX]),
        ) -> Head {
            let origin = origin.map(|(epoch, instance)| Origin {
                epoch: Uuid::from_u128(epoch),
                instance: Uuid::from_u128(instance),
            });
            Head { publisher: Uuid::from_u128(publisher), number, origin, goodbye, sent_at }
        }
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
            head in heads(),
            events in prop::collection::vec(events(), 0..8),
        ) {
            let batch = Batch { head, events };
            prop_assert_eq!(Batch::decode(encoded(&batch)), Ok(batch));
        }

        #[test]
        fn no_message_is_longer_than_the_sizes_of_its_events(
            head in heads(),
            events in prop::collection::vec(events(), 0..8),
        ) {
            let sizes: usize = events.iter().map(Event::size).sum();
            let body = encoded(&Batch { head, events });
            prop_assert!(body.len() <= Batch::OVERHEAD + sizes);
        }

        #[test]
        fn arbitrary_bytes_are_a_batch_or_an_error(body: Vec<u8>) {
            if let Ok(batch) = Batch::decode(body.into()) {
                prop_assert!(batch.head.number > 0);
            }
        }

        #[test]
        fn a_damaged_batch_is_a_batch_or_an_error(
            events in prop::collection::vec(events(), 0..4),
            at: prop::sample::Index,
            with: u8,
        ) {
            let mut body = encoded(&Batch { head: head(1), events }).to_vec();
            let at = at.index(body.len());
            body[at] = with;
            drop(Batch::decode(body.clone().into()));
            body.truncate(at);
            drop(Batch::decode(body.into()));
        }
    }

    #[test]
    fn a_batch_without_events_is_decoded() {
        let batch = Batch { head: head(7), events: Vec::new() };
        assert_eq!(Batch::decode(encoded(&batch)), Ok(batch));
    }

    /// As versions before the origin wrote it: fields 1 to 3.
    #[test]
    fn a_batch_of_an_older_version_has_no_origin() {
        let mut body = vec![0x09];
        body.extend(1_u64.to_le_bytes());
        body.push(0x11);
        body.extend(2_u64.to_le_bytes());
        body.extend([0x18, 7]);
        let batch = Batch::decode(body.into()).unwrap();
        let publisher = Uuid::from_u64_pair(1, 2);
        assert_eq!(batch.head, Head { publisher, number: 7, origin: None, goodbye: false, sent_at: None });
    }

    /// The messages and their fields, line by line, without comments.
    fn fields(text: &str) -> Vec<&str> {
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
        let lines = lines.skip_while(|line| !line.starts_with("message "));
        lines.filter(|line| !matches!(*line, "" | "}")).collect()
    }

    #[test]
    fn the_document_has_the_fields_of_the_contract() {
        let document = include_str!("../../docs/protocol.md");
        let (_, block) = document.split_once("```proto\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let contract = fields(include_str!("../../proto/ringpad/bus/v1/batch.proto"));
        assert_eq!(contract.len(), 3 + 7 + 4 + 7);
        assert_eq!(fields(block), contract);
    }

    #[test]
    fn a_batch_without_a_number_is_an_error() {
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
        let body = encoded(&Batch { head: head(1), events: vec![event] });
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
