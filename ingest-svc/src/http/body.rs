//! A request's body: read whole up to a limit, decoded from its `Content-Encoding`, and recognised by its type. Its port ends
//! one that takes too long.

use axum::{body::Body, http::HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use ringpad_runtime::serve::is_late;

use super::{
    content_encoding,
    content_type::{self, BodyFormat},
    problem::Problem,
};
use crate::{capacity::RECORD, request::RawBody};

/// The problem of a body that is refused, and as much of it as was read.
pub(super) type BodyError = (Problem, Bytes);

/// Reads a body, and recognises it by its type. A request without a body may name any type.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<RawBody, BodyError> {
    let encoded = content_encoding::is_encoded(headers);
    let sent =
        collect(body, if encoded { content_encoding::MAX_ENCODED } else { RECORD.request_bytes }).await?;
    if sent.trim_ascii().is_empty() {
        return Ok(RawBody::None);
    }
    let read = || {
        let body = if encoded { content_encoding::decode(headers, &sent)? } else { sent.clone() };
        match content_type::format(headers, &body) {
            Ok(_) if body.trim_ascii().is_empty() => Ok(RawBody::None),
            Ok(BodyFormat::Form) => Ok(RawBody::Form(body)),
            Ok(BodyFormat::Json) => Ok(RawBody::Json(body)),
            Err(problem) => Err(problem),
        }
    };
    read().map_err(|problem| (problem, sent.clone()))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    use http_body::Body as _;
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = body.size_hint().lower();
    let mut read = BytesMut::new();
    let reading = fill(&mut body, limit, &mut read);
    let filled = if announced > limit as u64 {
        // Refused immediately, with what has arrived of it.
        reading.now_or_never();
        Err(Problem::TooLarge)
    } else {
        reading.await
    };
    let read = read.freeze();
    match filled {
        Ok(()) => Ok(read),
        Err(problem) => Err((problem, read)),
    }
}

async fn fill(body: &mut Body, limit: usize, read: &mut BytesMut) -> Result<(), Problem> {
    while let Some(frame) = body.frame().await {
        // Otherwise the client has closed the connection, or the chunks are wrong.
        let frame = frame.map_err(|error| if is_late(&error) { Problem::Slow } else { Problem::Broken })?;
        let Some(data) = frame.data_ref() else { continue };
        let fits = data.len().min(limit - read.len());
        read.extend_from_slice(&data[..fits]);
        if fits < data.len() {
            return Err(Problem::TooLarge);
        }
    }
    Ok(())
}
