//! One message to a pad, as gRPC and WebSockets carry it.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use ringpad_proto::v1::{SubscribeResponse, subscribe_response};

use crate::{
    hub::{PadEvent, json},
    stream_end::StreamEnd,
};

/// One message to a pad.
#[derive(Debug)]
pub(crate) enum Message {
    /// An event, which other pads get as well.
    Event(Arc<PadEvent>),
    /// A message for this pad only.
    Own(Box<SubscribeResponse>),
}

impl Message {
    /// A message for one pad only.
    pub(super) fn own(event: subscribe_response::Event) -> Self {
        Self::Own(Box::new(SubscribeResponse { event: Some(event) }))
    }

    /// The encoded `SubscribeResponse`.
    pub(crate) fn encoded(&self) -> Bytes {
        match self {
            Self::Event(event) => event.encoded(),
            Self::Own(message) => message.encode_to_vec().into(),
        }
    }

    /// The `SubscribeResponse` in proto3 JSON.
    ///
    /// # Errors
    /// The event in the log cannot be read.
    pub(crate) fn json(&self) -> Result<Bytes, StreamEnd> {
        let text = match self {
            Self::Event(event) => event.json(),
            Self::Own(message) => json(message),
        };
        text.ok_or(StreamEnd::Unreadable)
    }
}
