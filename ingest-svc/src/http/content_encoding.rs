//! `Content-Encoding` (RFC 9110, 8.4): `gzip` and `deflate`, also several of them, up to the body's limit.

use std::io::{self, Read};

use axum::http::{HeaderMap, header::CONTENT_ENCODING};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::problem::Problem;
use crate::{
    capacity::RECORD,
    cdr::{Fault, Faults},
    phone::mask_digits,
    request::BODY,
};

/// Bytes of an encoded body at most: compression makes some data a little longer.
pub(super) const MAX_ENCODED: usize = RECORD.request_bytes + 1024;

/// Encodings of one body at most.
const MAX_CODINGS: usize = 4;

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
}

/// Whether a body is encoded.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    codings(headers).next().is_some()
}

/// Decodes a body. Never makes more bytes than a body may have.
///
/// # Errors
/// An encoding is unknown, the body does not have it, or the decoded body is too large.
pub(super) fn decode(headers: &HeaderMap, sent: &Bytes) -> Result<Bytes, Problem> {
    let known: Option<Vec<_>> = codings(headers).map(|name| coding(&name)).collect();
    let Some(known) = known.filter(|known| known.len() <= MAX_CODINGS) else {
        let named = codings(headers).collect::<Vec<_>>().join(", ");
        return Err(Problem::Encoding(mask_digits(&named)));
    };
    let mut body = sent.clone();
    // Listed in the order in which they were applied.
    for (outside, coding) in known.into_iter().enumerate().rev() {
        let limit = if outside == 0 { RECORD.request_bytes } else { MAX_ENCODED };
        body = inflate(coding, &body, limit)?;
    }
    Ok(body)
}

/// The names of all encodings in their order, without `identity`.
fn codings(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let lists = headers.get_all(CONTENT_ENCODING).iter();
    lists
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !matches!(name.as_str(), "" | "identity"))
}

fn coding(name: &str) -> Option<Coding> {
    match name {
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        "deflate" | "x-deflate" => Some(Coding::Deflate),
        _ => None,
    }
}

fn inflate(coding: Coding, body: &[u8], limit: usize) -> Result<Bytes, Problem> {
    let inflated = match coding {
        Coding::Gzip => read(MultiGzDecoder::new(body), limit),
        Coding::Deflate if has_zlib_header(body) => read(ZlibDecoder::new(body), limit),
        // The name stands for zlib's format, but many send raw deflate.
        Coding::Deflate => read(DeflateDecoder::new(body), limit),
    };
    let inflated = inflated.map_err(|_| {
        let name = match coding {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        };
        let message = format!("is not {name}, as its Content-Encoding says, or has no end");
        Problem::NotACdr(Faults(vec![Fault::of(BODY, message)]))
    })?;
    if inflated.len() > limit { Err(Problem::TooLarge) } else { Ok(inflated.into()) }
}

/// Reads to the end, or to the first byte beyond the limit.
fn read(decoder: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut inflated = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut inflated)?;
    Ok(inflated)
}

/// RFC 1950, 2.2: the method is 8, and the two bytes are a multiple of 31. Raw deflate with such bytes would begin with a
/// stored block of an impossible length.
fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}
