//! Values that a database keeps as JSON.

use serde::{Serialize, de::DeserializeOwned};

/// A value that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be kept as JSON, or read from it, at byte {byte}")]
pub(super) struct JsonError {
    what: &'static str,
    byte: usize,
}

/// Without serde's own message, which would quote the value: it may be a phone number.
fn without_value<T>(error: &serde_json::Error) -> JsonError {
    JsonError { what: std::any::type_name::<T>(), byte: error.column() }
}

pub(super) fn as_json<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    serde_json::to_vec(value).map_err(|error| without_value::<T>(&error))
}

pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(json).map_err(|error| without_value::<T>(&error))
}
