//! Statuses that several RPCs answer.

use ringpad_runtime::{ErrorChain, grpc};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::log::LogError;

/// The status for one wrong field of a request.
pub(super) fn faulty(field: &str, description: impl Into<String>) -> Status {
    let description = description.into();
    let message = format!("invalid request: {field}: {description}");
    let details = ErrorDetails::with_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Turns an error of the log into a gRPC status; used everywhere.
pub(super) fn unavailable(error: LogError) -> Status {
    grpc::unavailable(ErrorChain(&error).to_string())
}
