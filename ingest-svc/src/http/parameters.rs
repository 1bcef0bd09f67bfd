//! From a query, a form or JSON to parameters. Text is in the declared character encoding; without one UTF-8, else CP949,
//! told apart value by value.
//!
//! The query's parameters and the body's are one list. Empty is absent. A parameter that we do not know never decides
//! anything: it is kept as it came, whatever it is.

mod json;

use std::borrow::Cow;

use encoding_rs::Encoding;
use percent_encoding::percent_decode;

use super::{BODY, charset};
use crate::{
    cdr::{Fault, Faults, Field, RawFields},
    log::{RawBody, RawRequest},
    phone::{mask_digits, mask_text},
    source::Source,
};

/// Parameters of a request shown to people.
const SHOWN: usize = 40;
/// The byte order mark.
const MARK: char = '\u{feff}';

/// Reads all parameters of a request.
///
/// # Errors
/// The body is no JSON object, or of another type. (What is wrong with single parameters comes with the record's own
/// faults.)
pub fn fields(source: &Source, request: &RawRequest) -> Result<RawFields, Faults> {
    let mut fields = RawFields::new();
    let mut insert = |bytes: &[u8], charset| {
        urlencoded(source, bytes, charset).for_each(|(name, value)| fields.insert(&name, value));
    };
    insert(request.query.as_bytes(), request.charset);
    match &request.body {
        RawBody::None => {}
        RawBody::Form(bytes) => {
            let (bytes, charset) = form(bytes, request.charset);
            insert(&bytes, charset);
        }
        RawBody::Json(bytes) => object(&json::text(bytes, request.charset), &mut fields)?,
        RawBody::Unread(_) => return Err(fault("is neither a form nor JSON, or is not whole")),
    }
    Ok(fields)
}

/// What a request says, for people: parameters in their order, with whatever may be a phone number masked, long values
/// cut, and at most [`SHOWN`] of them.
pub(crate) fn masked(source: &Source, request: &RawRequest) -> String {
    let query = urlencoded(source, request.query.as_bytes(), request.charset);
    let query = query.map(|(name, value)| shown(&name, &value)).take(SHOWN);
    let mut members: Vec<_> = query.collect();
    match &request.body {
        RawBody::None => {}
        RawBody::Form(bytes) => {
            let (bytes, charset) = form(bytes, request.charset);
            let pairs = urlencoded(source, &bytes, charset);
            members.extend(pairs.map(|(name, value)| shown(&name, &value)).take(SHOWN));
        }
        RawBody::Json(bytes) => {
            let text = json::text(bytes, request.charset);
            match serde_json::from_str::<json::Object<'_>>(&text) {
                Ok(object) => members.extend(object.0.into_iter().take(SHOWN).map(|(name, value)| {
                    match json::is_compound(value.get()) {
                        true => format!("{}={}", mask_digits(&name), mask_text(value.get())),
                        false => shown(&name, &scalar(value.get())),
                    }
                })),
                Err(_) => members.push(format!("{BODY}={}", mask_text(&text))),
            }
        }
        RawBody::Unread(bytes) => {
            let text = charset::text(Cow::Borrowed(bytes), request.charset);
            members.push(format!("{BODY}={}", mask_text(&text)));
        }
    }
    members.truncate(SHOWN);
    members.join(" ")
}

fn shown(name: &str, value: &str) -> String {
    // What ought to be a number is masked however it is written.
    let masked = match Field::named(name) {
        Some(Field::Fromn | Field::Vn | Field::Ton) => mask_text(value),
        _ => mask_digits(value),
    };
    format!("{}={masked}", mask_digits(name))
}

/// A form's bytes and their encoding: without a byte order mark, and without the end of a line or of a C string that some
/// senders put behind it.
fn form<'a>(
    bytes: &'a [u8],
    declared: Option<&'static Encoding>,
) -> (Cow<'a, [u8]>, Option<&'static Encoding>) {
    let (bytes, charset) = charset::transcoded(bytes, declared);
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0)).map_or(0, |last| last + 1);
    let bytes = match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..end]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            Cow::Owned(bytes)
        }
    };
    (bytes, charset)
}

/// Reads `application/x-www-form-urlencoded`, which is a query's form as well: names and values in their order.
fn urlencoded<'a>(
    source: &Source,
    bytes: &'a [u8],
    charset: Option<&'static Encoding>,
) -> impl Iterator<Item = (Cow<'a, str>, String)> {
    bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        let name = without_mark(charset::text(decoded(name), charset));
        let mut value = decoded(value);
        if source.encodes_twice(&name) {
            value = Cow::Owned(decoded(&value).into_owned());
        }
        (name, charset::text(value, charset).into_owned())
    })
}

/// A name without the byte order mark of a text that was put together from pieces.
fn without_mark(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.trim_start_matches(MARK)),
        Cow::Owned(name) => Cow::Owned(name.trim_start_matches(MARK).to_owned()),
    }
}

/// Undoes percent-encoding, and the `+` that stands for a space. A `%` without two digits behind it stays.
fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'+') {
        return percent_decode(bytes).into();
    }
    let spaced: Vec<_> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

fn object(text: &str, fields: &mut RawFields) -> Result<(), Faults> {
    let object: json::Object<'_> = serde_json::from_str(text).map_err(|error| {
        // serde_json's own words may quote the input.
        let (line, column) = (error.line(), error.column());
        fault(&format!("is not one JSON object (line {line}, column {column})"))
    })?;
    for (name, value) in object.0 {
        let name = name.trim_start_matches(MARK);
        let value = value.get();
        match Field::named(name) {
            Some(_) if json::is_nothing(value) => {}
            Some(Field::Seq | Field::Sdt | Field::Edt | Field::Swidt) if json::is_compound(value) => {
                fields.fault(name, "is an object or a list; a text or a number is expected".to_owned());
            }
            _ => fields.insert(name, scalar(value)),
        }
    }
    Ok(())
}

/// A JSON text's characters; anything else is as it was written.
fn scalar(json: &str) -> String {
    // A string that cannot be read has been refused with the object around it.
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

fn fault(message: &str) -> Faults {
    Faults(vec![Fault { field: BODY.to_owned(), message: message.to_owned() }])
}
