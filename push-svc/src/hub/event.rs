//! One event on its way to the pads.

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use prost::Message;
use ringpad_bus::Receipt;
use ringpad_proto::v1::{Early, SubscribeResponse, Update, subscribe_response::Event as Sent};

/// An event as every pad of its store gets it: encoded once by ingest-svc, and turned into JSON at most once, for the first
/// WebSocket pad. `Debug` shows no bytes, because they contain phone numbers.
pub(crate) struct PadEvent {
    position: u64,
    bytes: Bytes,
    json: OnceLock<Option<Bytes>>,
    receipt: Option<Receipt>,
    /// When it came from the bus, if it is traced.
    consumed_at: Option<SystemTime>,
    /// Until when it pops up, if it does; decoded at the first use.
    pop_until: OnceLock<Option<SystemTime>>,
}

impl PadEvent {
    /// An event from its encoded `SubscribeResponse`.
    pub(crate) fn new(position: u64, bytes: Bytes) -> Self {
        Self {
            position,
            bytes,
            json: OnceLock::new(),
            receipt: None,
            consumed_at: None,
            pop_until: OnceLock::new(),
        }
    }

    /// An event that has just come from the bus, with its receipt.
    pub(crate) fn from_bus(position: u64, bytes: Bytes, receipt: Option<Receipt>) -> Self {
        let traced = receipt.as_ref().is_some_and(|receipt| receipt.traceparent.is_some());
        Self { receipt, consumed_at: traced.then(SystemTime::now), ..Self::new(position, bytes) }
    }

    /// Whether it is a ring that pops up at `now`.
    pub(super) fn is_popup_at(&self, now: SystemTime) -> bool {
        let until = self.pop_until.get_or_init(|| {
            let until = self.update()?.pop_until?;
            UNIX_EPOCH.checked_add(Duration::new(u64::try_from(until.seconds).ok()?, 0))
        });
        until.is_some_and(|until| until > now)
    }

    /// The same ring as a message `early`; `None` if the event is not an update.
    pub(crate) fn early(&self) -> Option<SubscribeResponse> {
        let Update { position: _, call, pop_until } = self.update()?;
        Some(SubscribeResponse { event: Some(Sent::Early(Early { call, pop_until })) })
    }

    fn update(&self) -> Option<Update> {
        match SubscribeResponse::decode(self.bytes.clone()).ok()?.event? {
            Sent::Update(update) => Some(update),
            _ => None,
        }
    }

    /// How long ago ingest-svc received its record, by both services' clocks; `None` if it came from the log.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        let received = u64::try_from(self.receipt.as_ref()?.at).ok()?;
        now.duration_since(UNIX_EPOCH + Duration::from_millis(received)).ok()
    }

    /// The trace that it belongs to, and when it came to this replica.
    pub(crate) fn trace(&self) -> Option<(&str, SystemTime)> {
        self.receipt.as_ref()?.traceparent.as_deref().zip(self.consumed_at)
    }

    /// Its position in its store.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The encoded `SubscribeResponse`.
    pub(crate) fn encoded(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The `SubscribeResponse` in proto3 JSON; `None` if the bytes cannot be decoded.
    pub(crate) fn json(&self) -> Option<Bytes> {
        self.json.get_or_init(|| json(&SubscribeResponse::decode(self.bytes.clone()).ok()?)).clone()
    }

    /// Roughly the bytes of memory that it takes; the JSON has about three times the bytes of the encoded message.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() * 4
    }
}

/// Whether bytes are an event of that position. Other bytes must not reach a pad: its library could not read them either,
/// and the pad would connect again and again to get the event.
pub(crate) fn is_readable(position: u64, bytes: &[u8]) -> bool {
    match SubscribeResponse::decode(bytes) {
        Ok(SubscribeResponse { event: Some(Sent::Update(update)) }) => {
            update.position == position && update.call.is_some()
        }
        Ok(_) | Err(_) => false,
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{fs, path::Path};

    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::Value;

    use super::*;

    /// The golden messages were written by the TypeScript client, as JSON and as bytes.
    #[test]
    fn rust_and_typescript_agree_on_bytes_and_json() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire");
        let mut seen = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let encoded =
                STANDARD.decode(fs::read_to_string(path.with_extension("b64")).unwrap().trim()).unwrap();
            let read: SubscribeResponse = serde_json::from_str(&text).unwrap();
            assert_eq!(read.encode_to_vec(), encoded, "{path:?}");
            let event = PadEvent::new(1, encoded.into());
            let written: Value = serde_json::from_slice(&event.json().unwrap()).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(&text).unwrap(), "{path:?}");
            seen += 1;
        }
        assert!(seen >= 6, "only {seen} golden messages");
    }

    #[test]
    fn bytes_that_cannot_be_decoded_have_no_json() {
        assert_eq!(PadEvent::new(1, Bytes::from_static(b"\xff\xff")).json(), None);
    }
}
