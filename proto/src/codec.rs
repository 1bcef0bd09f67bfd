//! The server's codec of `PadService.Subscribe`: decodes requests, and passes encoded responses on.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::v1::SubscribeRequest;

/// The first size of a stream's write buffer in bytes. A popup's message has a few hundred; tonic's default of 8 KiB would be
/// most of an idle pad's memory.
const WRITE_BUFFER: usize = 1024;

/// Bytes after which a stream stops collecting messages and writes them.
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
        request.map(Some).map_err(|error| {
            Status::invalid_argument(format!("the message is not a SubscribeRequest: {error}"))
        })
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITE_BUFFER, YIELD_THRESHOLD)
    }
}
