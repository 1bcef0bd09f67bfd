//! Statuses as gRPC's own libraries have them, where tonic's differ.

use std::time::Duration;

use axum::{http::HeaderValue, response::Response};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// In how long a call may be sent again that nothing is wrong with: a log that cannot be written, a process that leaves.
/// HTTP says the same as `Retry-After`.
pub const RETRY: Duration = Duration::from_secs(2);

/// UNAVAILABLE, with a `google.rpc.RetryInfo`.
pub fn unavailable(message: impl Into<String>) -> Status {
    Status::with_error_details(Code::Unavailable, message, ErrorDetails::with_retry_info(Some(RETRY)))
}

/// The status of a message in a stream that could not be read: one that is too large is RESOURCE_EXHAUSTED, as in every
/// other implementation of gRPC; tonic calls it OUT_OF_RANGE.
pub fn unreadable(status: Status) -> Status {
    if status.code() == Code::OutOfRange { Status::resource_exhausted(status.message()) } else { status }
}

/// The same as [`unreadable`] for calls with one message, whose status tonic makes before any service sees them. For a whole
/// port's services, none of which answers OUT_OF_RANGE itself: `axum::middleware::map_response`.
pub async fn too_large_is_exhausted(mut answer: Response) -> Response {
    let is = |value: &HeaderValue, code: Code| value.as_bytes() == (code as i32).to_string().as_bytes();
    if let Some(status) = answer.headers_mut().get_mut(Status::GRPC_STATUS)
        && is(status, Code::OutOfRange)
    {
        *status = HeaderValue::from(Code::ResourceExhausted as i32);
    }
    answer
}
