//! One event on its way to the pads.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;
use prost::Message;
use ringpad_proto::v1::SubscribeResponse;

/// An event as every pad of its store gets it: encoded once by ingest-svc, and turned into JSON at most once, when the
/// first WebSocket pad asks. `Debug` shows no bytes: they hold phone numbers.
pub(crate) struct PadEvent {
    position: u64,
    bytes: Bytes,
    json: OnceLock<Option<Bytes>>,
}

impl PadEvent {
    /// An event from its encoded `SubscribeResponse`.
    pub(crate) fn new(position: u64, bytes: Bytes) -> Self {
        Self { position, bytes, json: OnceLock::new() }
    }

    /// Its position in its store.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The encoded `SubscribeResponse`.
    pub(crate) fn encoded(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The `SubscribeResponse` in proto3 JSON; `None` if the bytes are no such message.
    pub(crate) fn json(&self) -> Option<Bytes> {
        self.json.get_or_init(|| json(&SubscribeResponse::decode(self.bytes.clone()).ok()?)).clone()
    }

    /// Bytes it holds, roughly: with the JSON about three times the encoded message.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() * 4
    }
}

impl fmt::Debug for PadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PadEvent({}, {} bytes)", self.position, self.bytes.len())
    }
}

/// A message in proto3 JSON.
pub(crate) fn json(message: &SubscribeResponse) -> Option<Bytes> {
    serde_json::to_vec(message).ok().map(Bytes::from)
}
