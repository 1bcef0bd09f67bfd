//! Values that a database keeps as JSON.

use serde::{Serialize, de::DeserializeOwned};

use crate::call::Facts;

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

/// The facts of a call; `seen`: the call as pads see it.
pub(super) fn facts(json: &[u8], seen: &[u8]) -> Result<Facts, JsonError> {
    Ok(from_json::<Facts>(json)?.with_customers_of(seen))
}

pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(json).map_err(|error| without_value::<T>(&error))
}
