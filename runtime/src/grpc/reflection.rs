//! gRPC reflection, in both versions.

use tonic::codec::CompressionEncoding;
use tonic_reflection::server::{Builder, v1, v1alpha};

use crate::failure::Failure;

/// Bytes of a request to health or reflection at most, decompressed: a name.
pub const OPEN_REQUEST: usize = 4 * 1024;
/// The services that every gRPC port has in addition to its own.
pub(super) const STANDARD_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Reflection in both versions that clients use. It lists `services`, health and itself, and describes the messages of
/// `contract` (an encoded `FileDescriptorSet`) and of google.rpc, for the details of a status.
///
/// # Errors
/// The descriptors cannot be read.
pub fn reflection(
    contract: &[u8],
    services: &[&str],
) -> Result<
    (
        v1::ServerReflectionServer<impl v1::ServerReflection>,
        v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>,
    ),
    Failure,
> {
    let described = || {
        let sets = [
            contract,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let builder =
            sets.into_iter().fold(Builder::configure(), Builder::register_encoded_file_descriptor_set);
        services.iter().copied().chain(STANDARD_SERVICES).fold(builder, Builder::with_service_name)
    };
    let broken = |error| Failure::other("cannot set up gRPC reflection", error);
    let v1 = described().build_v1().map_err(broken)?;
    let v1alpha = described().build_v1alpha().map_err(broken)?;
    Ok((
        v1.accept_compressed(CompressionEncoding::Gzip).max_decoding_message_size(OPEN_REQUEST),
        v1alpha.accept_compressed(CompressionEncoding::Gzip).max_decoding_message_size(OPEN_REQUEST),
    ))
}
