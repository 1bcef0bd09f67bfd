//! A request's body: read whole, within a limit and a time.

use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::{MAX_BYTES, Problem};
use crate::log::RawBody;

/// How long a client may take for the body. Tests wait for it, and need not wait long.
const READ_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(250) } else { Duration::from_secs(10) };

/// Reads a body, and tells by its type what it is. A request without one may name any type.
pub(super) async fn read(
    content_type: Option<&HeaderValue>,
    body: axum::body::Body,
) -> Result<RawBody, Problem> {
    let bytes = bytes(body).await?;
    if bytes.is_empty() {
        return Ok(RawBody::None);
    }
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The rest is parameters, e.g. a charset: ours are told apart value by value.
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Ok(RawBody::Form(bytes))
    } else if essence.eq_ignore_ascii_case("application/json") {
        Ok(RawBody::Json(bytes))
    } else {
        Err(Problem::MediaType)
    }
}

async fn bytes(body: axum::body::Body) -> Result<Bytes, Problem> {
    use http_body::Body as _;
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(Problem::TooLarge);
    }
    match timeout(READ_TIMEOUT, Limited::new(body, MAX_BYTES).collect()).await {
        Err(_) => Err(Problem::Slow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge),
        // The client has gone away, or broke the framing.
        Ok(Err(_)) => Err(Problem::Broken),
    }
}
