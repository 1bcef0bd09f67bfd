//! A JSON object as providers' systems write it: in UTF-8 or not, with halves of surrogate pairs, with any values.

use std::{borrow::Cow, fmt};

use encoding_rs::{Encoding, UTF_8};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::charset;

/// The members of a JSON object in their order, with repeated names, and values that are not parsed.
pub(super) struct Object<'a>(pub(super) Vec<(String, &'a RawValue)>);

/// A body as text for a JSON parser: decoded string by string, with U+FFFD for each half of a surrogate pair without its
/// other half.
pub(super) fn text(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    let (bytes, declared) = charset::transcoded(bytes, declared);
    let text = match declared {
        Some(declared) if declared != UTF_8 => charset::text(bytes, Some(declared)).into_owned(),
        _ => decoded(&bytes, declared),
    };
    whole_characters(text)
}

/// Decodes each string separately, so that one unreadable memo does not damage the others. In UTF-8 and in CP949 no other
/// character has a byte that is a quote or a backslash.
fn decoded(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut inside = false;
    while !rest.is_empty() {
        let end = if inside { closing_quote(rest) } else { rest.iter().position(|byte| *byte == b'"') };
        let (piece, following) = rest.split_at(end.unwrap_or(rest.len()));
        text.push_str(&charset::text(Cow::Borrowed(piece), declared));
        rest = following.strip_prefix(b"\"").inspect(|_| text.push('"')).unwrap_or_default();
        inside = !inside;
    }
    text
}

fn closing_quote(string: &[u8]) -> Option<usize> {
    let mut escaped = false;
    string.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })
}

/// Replaces halves of surrogate pairs without the other half by an escaped U+FFFD. Backslashes are only in strings.
fn whole_characters(mut text: String) -> String {
    const REPLACEMENT: &str = "\\ufffd";
    let mut from = 0;
    while let Some(at) = text[from..].find('\\').map(|found| from + found) {
        let next = at + REPLACEMENT.len();
        from = match escaped(&text, at) {
            Some(0xd800..=0xdbff) if matches!(escaped(&text, next), Some(0xdc00..=0xdfff)) => {
                next + REPLACEMENT.len()
            }
            Some(0xd800..=0xdfff) => {
                text.replace_range(at..next, REPLACEMENT);
                next
            }
            // The escaped character may be a backslash too.
            _ => text[at + 1..].chars().next().map_or(text.len(), |char| at + 1 + char.len_utf8()),
        };
    }
    text
}

/// The code unit that is escaped at this place, as `\uXXXX`.
fn escaped(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    // `from_str_radix` allows a sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Whether a value is an object or a list.
pub(super) fn is_compound(value: &str) -> bool {
    value.starts_with(['{', '['])
}

/// Whether a value means that there is none: `null`, or an empty object or list, which some languages write instead.
pub(super) fn is_nothing(value: &str) -> bool {
    let empty = |open, close| {
        value
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inside: &str| inside.trim_ascii().is_empty())
    };
    value == "null" || empty('{', '}') || empty('[', ']')
}

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
