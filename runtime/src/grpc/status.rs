//! Statuses where tonic's differ from those of gRPC's own libraries.

use std::time::Duration;

use axum::{http::HeaderValue, response::Response};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// When a client may send a call again whose failure is not its own fault: the log cannot be written, or the process leaves.
/// The same as `Retry-After` of HTTP.
pub const RETRY: Duration = Duration::from_secs(2);

/// UNAVAILABLE, with a `google.rpc.RetryInfo`.
pub fn unavailable(message: impl Into<String>) -> Status {
    Status::with_error_details(Code::Unavailable, message, ErrorDetails::with_retry_info(Some(RETRY)))
}

/// RESOURCE_EXHAUSTED, with a `google.rpc.RetryInfo`.
pub fn exhausted(message: impl Into<String>, retry_after: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The status for a message of a stream that could not be read. Too large a message is RESOURCE_EXHAUSTED, as in all other
/// implementations of gRPC, and not tonic's OUT_OF_RANGE.
pub fn unreadable(status: Status) -> Status {
    if status.code() == Code::OutOfRange { Status::resource_exhausted(status.message()) } else { status }
}

/// The same as [`unreadable`] for calls with one message, which tonic rejects before the service gets them. For a whole port's
/// services, none of which answers OUT_OF_RANGE itself: `axum::middleware::map_response`.
pub async fn too_large_is_exhausted(mut answer: Response) -> Response {
    let is = |value: &HeaderValue, code: Code| value.as_bytes() == (code as i32).to_string().as_bytes();
    if let Some(status) = answer.headers_mut().get_mut(Status::GRPC_STATUS)
        && is(status, Code::OutOfRange)
    {
        *status = HeaderValue::from(Code::ResourceExhausted as i32);
    }
    answer
}
