//! What every gRPC port serves beside its own services: health, reflection, and an answer to what is not served.
//!
//! ```text
//! request ─┬─ a service that is served ─┬─ gRPC ──────────────► the service; an unknown method: UNIMPLEMENTED
//!          │                            └─ anything else ─────► 405, 415 or 505, in words
//!          └─ any other path ───────────┬─ gRPC, gRPC-Web ────► UNIMPLEMENTED
//!                                       └─ anything else ─────► 404, in words
//! ```

mod health;
mod open;
mod status;

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Version,
        header::{ALLOW, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::{Status, codec::CompressionEncoding};
use tonic_reflection::server::{Builder, v1, v1alpha};

use crate::Failure;
pub use health::health;
pub use open::{OpenCalls, REFLECTIONS, bound_open_calls};
pub use status::{RETRY, too_large_is_exhausted, unavailable, unreadable};

/// Bytes of a request to health or reflection at most, decompressed: a name.
const REQUEST: usize = 4 * 1024;
/// The services that every gRPC port has beside its own.
const BESIDE: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Reflection in both versions that clients ask for. It lists `services`, health and itself, and describes the messages of
/// `contract` (an encoded `FileDescriptorSet`) and of google.rpc, which the details of a status are made of.
///
/// # Errors
/// The descriptors cannot be read, which a build with a broken contract would show.
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
        services.iter().copied().chain(BESIDE).fold(builder, Builder::with_service_name)
    };
    let broken = |error| Failure::other("cannot set up gRPC reflection", error);
    let v1 = described().build_v1().map_err(broken)?;
    let v1alpha = described().build_v1alpha().map_err(broken)?;
    Ok((
        v1.accept_compressed(CompressionEncoding::Gzip).max_decoding_message_size(REQUEST),
        v1alpha.accept_compressed(CompressionEncoding::Gzip).max_decoding_message_size(REQUEST),
    ))
}

/// What a request's content type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC, which needs HTTP/2.
    Grpc,
    /// gRPC-Web, on any version of HTTP.
    GrpcWeb,
}

impl Protocol {
    /// The protocol that a request's headers announce; `None` if it is neither.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.as_bytes().to_ascii_lowercase();
        if kind.starts_with(b"application/grpc-web") {
            Some(Self::GrpcWeb)
        } else {
            kind.starts_with(b"application/grpc").then_some(Self::Grpc)
        }
    }
}

/// Lets to a gRPC service only what it can read. For a whole port's services: `axum::middleware::from_fn`.
pub async fn only_grpc(request: Request, next: Next) -> Response {
    match Protocol::of(request.headers()) {
        _ if request.method() != Method::POST => not_allowed(),
        None => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "gRPC is expected: content-type application/grpc\n")
            .into_response(),
        Some(Protocol::Grpc) if request.version() < Version::HTTP_2 => {
            (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2\n").into_response()
        }
        Some(_) => next.run(request).await,
    }
}

fn not_allowed() -> Response {
    let allow = [(ALLOW, HeaderValue::from_static("POST"))];
    (StatusCode::METHOD_NOT_ALLOWED, allow, "gRPC is expected, which is sent by POST\n").into_response()
}

/// Whether a request is a call of a service, whether or not there is one.
pub fn is_call(request: &Request) -> bool {
    request.method() == Method::POST && Protocol::of(request.headers()).is_some()
}

/// Answers a path that is none of a served service.
pub async fn not_served(request: Request) -> Response {
    if is_call(&request) {
        unimplemented(request.headers(), "this port has no such service")
    } else {
        (StatusCode::NOT_FOUND, "there is nothing here for this path\n").into_response()
    }
}

/// The answer to a call that nobody serves: the status alone, in the headers, in the caller's own protocol.
pub fn unimplemented(headers: &HeaderMap, message: &str) -> Response {
    let mut answer = Status::unimplemented(message).into_http::<Body>();
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    answer
}
