//! RingPad's public contract: package `ringpad.v1` and the code generated from `proto/ringpad/v1/*.proto`. Nothing
//! else lives here.
//!
//! * [`v1`]: messages, clients, and the servers of the internal services. Every message also reads and writes proto3
//!   JSON (`serde`), which is what WebSocket pads get.
//! * [`pad_service_server`]: the server of the pads' own service, whose `subscribe` yields *encoded*
//!   `SubscribeResponse`s: ingest-svc encodes an event once, and it reaches every pad as those very bytes.
//! * [`FILE_DESCRIPTOR_SET`]: for gRPC reflection.

mod codec;

pub use codec::SubscribeCodec;

/// Messages, clients and internal servers of package `ringpad.v1`; the comments are those of the `.proto` files.
#[expect(missing_docs, reason = "generated")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ringpad.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/ringpad.v1.serde.rs"));
}

#[expect(clippy::default_constructed_unit_structs, reason = "generated")]
mod served {
    include!(concat!(env!("OUT_DIR"), "/ringpad.v1.PadService.rs"));
}
pub use served::pad_service_server;

/// The encoded `google.protobuf.FileDescriptorSet` of package `ringpad.v1` and what it imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ringpad.v1.bin"));
