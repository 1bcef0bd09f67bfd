//! Reads and repairs a request's head: its request line and its headers.

use std::borrow::Cow;

use hyper::{
    Method, Uri,
    header::{HeaderName, HeaderValue},
};

use super::{body::Body, fault::HeadFault};

/// Bytes of a method at most: the longest that is registered has 17.
const MAX_METHOD: usize = 32;
/// Headers of a request at most: hyper's limit.
const MAX_HEADERS: usize = 100;
/// Bytes of a target at most, percent-encoded: hyper's limit.
const MAX_TARGET: usize = 65_534;
/// The longest body that hyper can count.
const MAX_LENGTH: u64 = u64::MAX - 2;
/// Bytes of an unreadable head's path, and of its `X-Forwarded-For` headers, that the replacement keeps at most.
const MAX_PATH: usize = 1024;
const MAX_FORWARDED: usize = 4 * 1024;

/// A head that can be read.
pub(super) struct ReadableHead {
    /// The bytes for hyper.
    pub(super) bytes: Vec<u8>,
    /// The body that follows, if there is one.
    pub(super) body: Option<Body>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// Whether a request may begin with this word.
pub(super) fn is_method(word: &[u8]) -> bool {
    word.len() <= MAX_METHOD && Method::from_bytes(word).is_ok()
}

/// Whether these bytes end with an empty line, which ends a head.
pub(super) fn is_complete(head: &[u8]) -> bool {
    head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n")
}

/// Reads a head that begins with its request line, and repairs it.
pub(super) fn read(head: &[u8], limit: usize) -> Result<ReadableHead, HeadFault> {
    let (line, headers) = split_line(head);
    let Some(end) = line_end(line) else {
        // Either as long as it may be, or not a request at all.
        let (method, _) = split_once(line, b' ').unwrap_or((line, b""));
        let request = is_method(method) && line.len() >= limit;
        return Err(if request { HeadFault::TargetTooLong } else { HeadFault::RequestLine });
    };
    let (method, target, version) = request_line(&line[..line.len() - end.len()])?;
    if !is_complete(head) {
        return Err(HeadFault::HeadTooLong);
    }
    let target = percent_encoded(target);
    if target.len() > MAX_TARGET {
        return Err(HeadFault::TargetTooLong);
    }
    Uri::try_from(&*target).map_err(|_| HeadFault::Target)?;
    let name: &[u8] = if version == Version::Http10 { b"HTTP/1.0" } else { b"HTTP/1.1" };
    let bytes = [method, b" ", &target, b" ", name, end, &unfolded(headers)?].concat();
    if bytes.len() > limit {
        return Err(HeadFault::HeadTooLong);
    }
    let body = body(&bytes, version)?;
    Ok(ReadableHead { bytes, body })
}

/// A request that replaces an unreadable one: for the same path, and from the same addresses, as far as they are known.
pub(super) fn replacement(head: &[u8]) -> Vec<u8> {
    let (line, _) = split_line(head);
    let Some((_, target)) = split_once(line, b' ').filter(|(method, _)| is_method(method)) else {
        return b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec();
    };
    let path = without_blanks(target).split(|byte| b" ?#\r\n".contains(byte)).next().unwrap_or_default();
    let path = percent_encoded(path);
    let is_known = path.starts_with(b"/") && path.len() <= MAX_PATH && Uri::try_from(&*path).is_ok();
    let path = if is_known { &path[..] } else { b"/" };
    [b"GET ", path, b" HTTP/1.1\r\n", &forwarded(head), b"connection: close\r\n\r\n"].concat()
}

/// All of a head's `X-Forwarded-For` lines, or none of them: the last one is the one that our own proxy wrote.
fn forwarded(head: &[u8]) -> Vec<u8> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let folded = lines.clone().any(|line| line.starts_with(b" ") || line.starts_with(b"\t"));
    if folded || !is_complete(head) {
        return Vec::new();
    }
    let mut forwarded = Vec::new();
    // The first one is the request line.
    lines.next();
    for (name, value) in lines.filter_map(|line| split_once(line, b':')) {
        if name.eq_ignore_ascii_case(b"x-forwarded-for") {
            if HeaderValue::from_bytes(value.trim_ascii()).is_err() {
                return Vec::new();
            }
            forwarded.extend([b"x-forwarded-for: ", value.trim_ascii(), b"\r\n"].concat());
        }
    }
    if forwarded.len() <= MAX_FORWARDED { forwarded } else { Vec::new() }
}

/// Reads a method, a target and a version: the first word, the text between, with its blanks, and the last word.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], Version), HeadFault> {
    let (method, rest) = split_once(line, b' ').ok_or(HeadFault::RequestLine)?;
    if !is_method(method) || line.contains(&b'\r') {
        return Err(HeadFault::RequestLine);
    }
    let rest = without_blanks(rest);
    let at = rest.iter().rposition(|byte| *byte == b' ').ok_or(HeadFault::Version)?;
    let version = match rest[at + 1..].to_ascii_uppercase().as_slice() {
        b"HTTP/1.0" => Version::Http10,
        b"HTTP/1.1" => Version::Http11,
        _ => return Err(HeadFault::Version),
    };
    Ok((method, without_blanks(&rest[..at]), version))
}

/// Percent-encodes the bytes that are not allowed in a URI, which hyper refuses; and `#`, from which hyper ignores a query: no
/// sender means a fragment by it.
fn percent_encoded(target: &[u8]) -> Cow<'_, [u8]> {
    let encoded = |byte: &u8| matches!(byte, 0..=b' ' | b'"' | b'#' | b'<' | b'>' | b'`' | 0x7f..);
    if !target.iter().any(encoded) {
        return Cow::Borrowed(target);
    }
    let mut repaired = Vec::with_capacity(target.len() + 32);
    for byte in target {
        if encoded(byte) {
            repaired.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            repaired.push(*byte);
        }
    }
    Cow::Owned(repaired)
}

/// Joins a header that continues in the next line (RFC 9112, section 5.2).
fn unfolded(headers: &[u8]) -> Result<Cow<'_, [u8]>, HeadFault> {
    let lines = || headers.split_inclusive(|byte| *byte == b'\n');
    let is_continuation = |line: &[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
    if !lines().any(is_continuation) {
        return Ok(Cow::Borrowed(headers));
    }
    let mut unfolded: Vec<u8> = Vec::with_capacity(headers.len());
    let mut name: &[u8] = b"";
    for line in lines() {
        if !is_continuation(line) {
            name = split_once(line, b':').map_or(b"", |(name, _)| name);
            unfolded.extend_from_slice(line);
            continue;
        }
        // Not all readers join the lines of a header that sets the body's length.
        if is_about_length(name) {
            return Err(HeadFault::Length);
        }
        let end = line_end(&unfolded).ok_or(HeadFault::Header)?.len();
        unfolded.truncate(unfolded.len() - end);
        unfolded.push(b' ');
        unfolded.extend_from_slice(without_blanks(line));
    }
    Ok(Cow::Owned(unfolded))
}

/// Reads the head as hyper does, and finds the end of its body. A head that two readers could understand differently is
/// refused (RFC 9112, section 6.3).
fn body(head: &[u8], version: Version) -> Result<Option<Body>, HeadFault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadFault::HeadTooLong),
        Ok(_) | Err(_) => return Err(HeadFault::Header),
    }
    let (mut length, mut chunked) = (None, false);
    for httparse::Header { name, value } in &*request.headers {
        // A valid name may be longer than hyper allows.
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeadFault::Header)?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || version == Version::Http10 || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadFault::Length);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("content-length") {
            let value = digits(value).ok_or(HeadFault::Length)?;
            if *length.get_or_insert(value) != value {
                return Err(HeadFault::Length);
            }
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(HeadFault::Length),
        (None, true) => Ok(Some(Body::chunked())),
        (length, false) => Ok(Body::of_length(length.unwrap_or_default())),
    }
}

fn is_about_length(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

fn digits(value: &[u8]) -> Option<u64> {
    // `parse` alone would accept a sign.
    let digits = value.iter().all(u8::is_ascii_digit).then_some(value)?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|length| *length <= MAX_LENGTH)
}

/// Splits after the first line and its end.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1))
}

/// The end of a line, if it has one.
fn line_end(line: &[u8]) -> Option<&[u8]> {
    let length = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
    (length > 0).then(|| &line[line.len() - length..])
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..found], &bytes[found + 1..]))
}

fn without_blanks(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b" ") {
        bytes = rest;
    }
    while let Some(rest) = bytes.strip_suffix(b" ") {
        bytes = rest;
    }
    bytes
}
