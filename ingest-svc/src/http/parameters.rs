//! From a query, a form or JSON to parameters. Text is UTF-8, else CP949, told apart value by value.
//!
//! The query's parameters and the body's are one list. Empty is absent.

use std::{borrow::Cow, fmt};

use encoding_rs::EUC_KR;
use percent_encoding::percent_decode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    cdr::{Fault, Faults, Field, RawFields},
    log::{RawBody, RawRequest},
    phone::{mask_digits, mask_text},
    source::Source,
};

/// Where a fault of the body as a whole is noted.
const BODY: &str = "body";
/// Parameters of a request shown to people.
const SHOWN: usize = 40;

/// Reads all parameters of a request.
///
/// # Errors
/// The body is no JSON object. (What is wrong with single parameters comes with the record's own faults.)
pub fn fields(source: &Source, request: &RawRequest) -> Result<RawFields, Faults> {
    let mut fields = RawFields::new();
    let mut insert = |bytes| {
        urlencoded(source, bytes).for_each(|(name, value)| fields.insert(&name, value));
    };
    insert(request.query.as_bytes());
    match &request.body {
        RawBody::None => {}
        RawBody::Form(bytes) => insert(bytes),
        RawBody::Json(bytes) => json(&text(Cow::Borrowed(bytes)), &mut fields)?,
    }
    Ok(fields)
}

/// What a request says, for people: parameters in their order, with whatever may be a phone number masked, long values
/// cut, and at most [`SHOWN`] of them.
pub(crate) fn masked(source: &Source, request: &RawRequest) -> String {
    let mut members = Vec::new();
    let pairs = match &request.body {
        RawBody::Form(bytes) => &bytes[..],
        RawBody::None | RawBody::Json(_) => &[],
    };
    members.extend(urlencoded(source, request.query.as_bytes()).chain(urlencoded(source, pairs)).take(SHOWN));
    if let RawBody::Json(bytes) = &request.body {
        let json = text(Cow::Borrowed(bytes));
        match serde_json::from_str::<Object<'_>>(json.strip_prefix('\u{feff}').unwrap_or(&json)) {
            Ok(object) => members.extend(object.0.into_iter().take(SHOWN).map(|(name, value)| {
                let value = value.get();
                (Cow::Owned(name), scalar(value).unwrap_or_else(|_| mask_text(value)))
            })),
            Err(_) => members.push((Cow::Borrowed(BODY), mask_text(&json))),
        }
    }
    let shown = members.iter().take(SHOWN).map(|(name, value)| {
        // What ought to be a number is masked however it is written.
        let masked = match Field::named(name) {
            Some(Field::Fromn | Field::Vn | Field::Ton) => mask_text(value),
            _ => mask_digits(value),
        };
        format!("{}={masked}", mask_digits(name))
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Reads `application/x-www-form-urlencoded`, which is a query's form as well: names and values in their order.
fn urlencoded<'a>(source: &Source, bytes: &'a [u8]) -> impl Iterator<Item = (Cow<'a, str>, String)> {
    bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        let name = text(decoded(name));
        let mut value = decoded(value);
        if source.encodes_twice(&name) {
            value = Cow::Owned(decoded(&value).into_owned());
        }
        (name, text(value).into_owned())
    })
}

/// Undoes percent-encoding, and the `+` that stands for a space. A `%` without two digits behind it stays.
fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'+') {
        return percent_decode(bytes).into();
    }
    let spaced: Vec<_> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// UTF-8, else CP949; `EUC_KR` is the WHATWG's name for the latter. What is neither keeps what can be read of it, for a
/// garbled memo is no reason to lose a call.
fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => EUC_KR.decode_without_bom_handling(bytes).0,
        },
        Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => EUC_KR.decode_without_bom_handling(error.as_bytes()).0.into_owned(),
        }),
    }
}

fn json(text: &str, fields: &mut RawFields) -> Result<(), Faults> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| {
        // serde_json's own words may quote the input.
        let (line, column) = (error.line(), error.column());
        let message = format!("is not one JSON object of texts and numbers (line {line}, column {column})");
        Faults(vec![Fault { field: BODY.to_owned(), message }])
    })?;
    for (name, value) in object.0 {
        match scalar(value.get()) {
            Ok(value) => fields.insert(&name, value),
            Err(message) => fields.fault(&name, message.to_owned()),
        }
    }
    Ok(())
}

/// A JSON value's text; that of a number or a boolean is as it was written. `null` is absent.
fn scalar(json: &str) -> Result<String, &'static str> {
    match json.as_bytes().first() {
        Some(b'{') => Err("is an object; a text or a number is expected"),
        Some(b'[') => Err("is an array; a text or a number is expected"),
        Some(b'"') => serde_json::from_str(json)
            .map_err(|_| "has half of a surrogate pair; whole characters are expected"),
        _ if json == "null" => Ok(String::new()),
        _ => Ok(json.to_owned()),
    }
}

/// The members of a JSON object in their order, repeated names included, values unread.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
