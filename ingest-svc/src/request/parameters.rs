//! From a query, a form or JSON to parameters. Text is in the declared character encoding; without one each value is in UTF-8,
//! else in CP949.
//!
//! The query's parameters and the body's are one list. An empty parameter is absent. An unknown one is kept as received.

use std::borrow::Cow;

use encoding_rs::Encoding;
use jiff::Timestamp;
use percent_encoding::percent_decode;

use super::{BODY, RawBody, RawRequest, charset, json};
use crate::{
    cdr::{Fault, Faults, Field, RawFields, Record},
    source::Source,
};

/// The byte order mark.
const MARK: char = '\u{feff}';

impl RawRequest {
    /// Reads the record in a request that came in at `received_at`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn record(&self, source: &Source, received_at: Timestamp) -> Result<Record, Faults> {
        self.parameters(source).and_then(|fields| Record::parse(fields, source, received_at))
    }

    /// Reads all parameters of a request.
    ///
    /// # Errors
    /// The body is not a JSON object, or of another type. What is wrong with single parameters comes with the record's own
    /// faults.
    pub fn parameters(&self, source: &Source) -> Result<RawFields, Faults> {
        let mut fields = RawFields::new();
        let mut insert = |bytes: &[u8], charset| {
            urlencoded(source, bytes, charset).for_each(|(name, value)| fields.insert(&name, value));
        };
        insert(self.query.as_bytes(), self.charset);
        match &self.body {
            RawBody::None => {}
            RawBody::Form(bytes) => {
                let (bytes, charset) = form(bytes, self.charset);
                insert(&bytes, charset);
            }
            RawBody::Json(bytes) => object(&json::text(bytes, self.charset), &mut fields)?,
            RawBody::Unread(_) => return Err(fault("is neither a form nor JSON, or is incomplete")),
        }
        Ok(fields)
    }
}

/// A form's bytes and their encoding, without a byte order mark, and without the end of a line or of a C string that some
/// senders add.
pub(super) fn form<'a>(
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

/// Reads names and values of `application/x-www-form-urlencoded`, or of a query, which has the same form.
pub(super) fn urlencoded<'a>(
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

/// A name without a byte order mark, which is within a text that was put together from several ones.
fn without_mark(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.trim_start_matches(MARK)),
        Cow::Owned(name) => Cow::Owned(name.trim_start_matches(MARK).to_owned()),
    }
}

/// Decodes percent-encoding, and the `+` that stands for a space. A `%` without two digits after it stays.
fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'+') {
        return percent_decode(bytes).into();
    }
    let spaced: Vec<_> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

fn object(text: &str, fields: &mut RawFields) -> Result<(), Faults> {
    let object: json::Object<'_> = serde_json::from_str(text).map_err(|error| {
        // serde_json's message may quote the input.
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

/// The characters of a JSON string; any other value as it was written.
pub(super) fn scalar(json: &str) -> String {
    // A string that cannot be read was refused with its object.
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

fn fault(message: &str) -> Faults {
    Faults(vec![Fault::of(BODY, message.to_owned())])
}
