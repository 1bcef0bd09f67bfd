//! The codec of `PadService.Subscribe` on the server: reads a request, passes ready-made responses on.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::v1::SubscribeRequest;

/// Bytes that a stream's write buffer begins with. A popup's message has a few hundred; tonic's default of 8 KiB would
/// be most of what an idle pad costs.
const WRITE_BUFFER: usize = 1024;

/// Bytes at which a stream stops collecting messages and writes what it has.
const YIELD_THRESHOLD: usize = 16 * 1024;

/// Decodes `SubscribeRequest`, and takes `SubscribeResponse`s that are already encoded.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubscribeCodec;

impl Codec for SubscribeCodec {
    type Encode = Bytes;
    type Decode = SubscribeRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for SubscribeCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITE_BUFFER, YIELD_THRESHOLD)
    }
}

impl Decoder for SubscribeCodec {
    type Item = SubscribeRequest;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<SubscribeRequest>, Status> {
        let request = SubscribeRequest::decode(buf.copy_to_bytes(buf.remaining()));
        request
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("the message is no SubscribeRequest: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITE_BUFFER, YIELD_THRESHOLD)
    }
}
