//! `Content-Type`: what a body is, and in which character encoding its text.

use axum::http::{HeaderMap, header::CONTENT_TYPE};
use encoding_rs::Encoding;

use super::Problem;
use crate::{phone::mask_digits, request::charset};

/// What is read.
pub(super) enum Kind {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// JSON.
    Json,
}

/// What a body is: by its type, or, without one, by how it begins. JSON that is sent as a form, as HTTP libraries do
/// whose user names no type, is JSON.
///
/// # Errors
/// It is nothing that is read.
pub(super) fn kind(headers: &HeaderMap, body: &[u8]) -> Result<Kind, Problem> {
    let named = named(headers);
    let name = named.split([';', ',', ' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    let json = || charset::begins_with(body, b'{');
    match name.as_str() {
        "application/x-www-form-urlencoded" | "" if json() => Ok(Kind::Json),
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        "" if body.contains(&b'=') => Ok(Kind::Form),
        "application/json" | "text/json" => Ok(Kind::Json),
        name if name.starts_with("application/") && name.ends_with("+json") => Ok(Kind::Json),
        _ => Err(Problem::MediaType(mask_digits(&named))),
    }
}

/// The declared character encoding of a request's text; `None` if there is none, or none that is known. It holds for the
/// query as well: one sender writes one encoding.
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
