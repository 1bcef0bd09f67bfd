//! `Content-Type`: a body's format and character encoding.

use axum::http::{HeaderMap, header::CONTENT_TYPE};
use encoding_rs::Encoding;

use super::problem::Problem;
use crate::{phone::mask_digits, request::charset};

/// The formats of bodies that are read.
pub(super) enum BodyFormat {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// JSON.
    Json,
}

/// A body's format by its type or, without a type, by its beginning. JSON with the type of a form is JSON: HTTP libraries send
/// it so if their user names no type.
///
/// # Errors
/// The format is not read.
pub(super) fn format(headers: &HeaderMap, body: &[u8]) -> Result<BodyFormat, Problem> {
    let named = named(headers);
    let name = named.split([';', ',', ' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    let json = || charset::begins_with(body, b'{');
    match name.as_str() {
        "application/x-www-form-urlencoded" | "" if json() => Ok(BodyFormat::Json),
        "application/x-www-form-urlencoded" => Ok(BodyFormat::Form),
        "" if body.contains(&b'=') => Ok(BodyFormat::Form),
        "application/json" | "text/json" => Ok(BodyFormat::Json),
        name if name.starts_with("application/") && name.ends_with("+json") => Ok(BodyFormat::Json),
        _ => Err(Problem::MediaType(mask_digits(&named))),
    }
}

/// The declared character encoding of a request; `None` if there is none, or an unknown one. It applies to the query too,
/// because a sender writes all texts in one encoding.
pub(super) fn charset(headers: &HeaderMap) -> Option<&'static Encoding> {
    let named = named(headers);
    let parameters = named.split([';', ',', ' ', '\t']).skip(1);
    let label = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    });
    label.map(charset::named).next().flatten()
}

fn named(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    String::from_utf8_lossy(value.trim_ascii()).into_owned()
}
