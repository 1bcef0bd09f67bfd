//! RingPad's public API: package `ringpad.v1`, and the code that is generated from `proto/ringpad/v1/*.proto`. The messages of
//! the bus belong to the crate `bus`.
//!
//! * [`v1`]: messages, clients, and the servers of the internal services. Every message also reads and writes proto3
//!   JSON (`serde`), which is what WebSocket pads get.
//! * [`pad_service_server`]: the server of the pads' own service, whose `subscribe` yields *encoded*
//!   `SubscribeResponse`s: ingest-svc encodes an event once, and every pad receives these bytes.
//! * [`Timestamp`]: `google.protobuf.Timestamp` with its form in JSON.
//! * [`FILE_DESCRIPTOR_SET`]: for gRPC reflection.

mod codec;
mod masked;
mod timestamp;

pub use codec::SubscribeCodec;
pub use timestamp::Timestamp;

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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::FILE_DESCRIPTOR_SET;

    /// `protoc --go_out` refuses a file without `go_package`, and Java classes without these options are nested in one
    /// class for each file. Clients are compiled with these names, so they must not change.
    #[test]
    fn every_file_has_its_package_names_for_go_and_java() {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
        let ours: Vec<_> = files.iter().filter(|file| file.package() == "ringpad.v1").collect();
        assert!(ours.len() >= 4);
        for file in ours {
            let options = file.options.clone().unwrap_or_default();
            assert_eq!(options.go_package(), "ringpad.io/ringpad/v1;ringpadv1", "{}", file.name());
            assert_eq!(options.java_package(), "io.ringpad.v1", "{}", file.name());
            assert!(options.java_multiple_files(), "{}", file.name());
            // Without it, a class would have the file's name, and a message of that name in another file would not compile.
            assert!(options.java_outer_classname().ends_with("Proto"), "{}", file.name());
        }
    }
}
