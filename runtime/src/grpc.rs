//! What every gRPC port serves in addition to its own services: health, reflection, and an answer for unknown paths.
//!
//! ```text
//! request ─┬─ a service that is served ─┬─ gRPC ──────────────► the service; an unknown method: UNIMPLEMENTED
//!          │                            └─ anything else ─────► 405, 415 or 505, in words
//!          └─ any other path ───────────┬─ gRPC, gRPC-Web ────► UNIMPLEMENTED
//!                                       └─ anything else ─────► 404, in words
//! ```

mod health;
mod open;
mod reflection;
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
use tonic::Status;

pub use health::health;
pub use open::{MOST_REFLECTIONS, MOST_WATCHES, OpenCalls, REFLECTION, REFLECTIONS, bound_open_calls};
pub use reflection::{OPEN_REQUEST, reflection};
pub use status::{RETRY, exhausted, too_large_is_exhausted, unavailable, unreadable};

/// The protocol of a request, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC, which needs HTTP/2.
    Grpc,
    /// gRPC-Web, on any version of HTTP.
    GrpcWeb,
}

impl Protocol {
    /// The protocol in a request's headers; `None` if it is neither.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.as_bytes().to_ascii_lowercase();
        if kind.starts_with(b"application/grpc-web") {
            Some(Self::GrpcWeb)
        } else {
            kind.starts_with(b"application/grpc").then_some(Self::Grpc)
        }
    }
}

/// Passes only gRPC to a gRPC service. For a whole port's services: `axum::middleware::from_fn`.
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

/// Whether a request is a gRPC call, of any service.
pub fn is_call(request: &Request) -> bool {
    request.method() == Method::POST && Protocol::of(request.headers()).is_some()
}

/// Answers a path that no service has.
pub async fn not_served(request: Request) -> Response {
    if is_call(&request) {
        unimplemented(request.headers(), "this port has no such service")
    } else {
        (StatusCode::NOT_FOUND, "nothing is served at this path\n").into_response()
    }
}

/// The answer to a call of an unknown service: only the status, in the headers, in the client's own protocol.
pub fn unimplemented(headers: &HeaderMap, message: &str) -> Response {
    let mut answer = Status::unimplemented(message).into_http::<Body>();
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    answer
}
