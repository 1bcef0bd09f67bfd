//! From bytes to text: in the declared character encoding; without one in UTF-8, else CP949. Bytes that cannot be decoded
//! become U+FFFD, and the rest is kept: an unreadable memo is no reason to lose a call.

use std::borrow::Cow;

use encoding_rs::{EUC_KR, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

/// Replaces bytes that cannot be decoded.
const UNDECODED: char = char::REPLACEMENT_CHARACTER;

/// The encoding of that name. An unknown one counts as not declared, and so does UTF-16, which [`transcoded`] recognises by the
/// bytes.
pub(crate) fn named(label: &str) -> Option<&'static Encoding> {
    // `EUC_KR` is the WHATWG's name of CP949. Its table does not have these names, which Java, Python and Microsoft use.
    const CP949: [&str; 7] = ["cp949", "cp-949", "ms949", "x-windows-949", "uhc", "euckr", "euc_kr"];
    if CP949.iter().any(|name| label.eq_ignore_ascii_case(name)) {
        return Some(EUC_KR);
    }
    Encoding::for_label(label.as_bytes())
        // `REPLACEMENT` stands for encodings that must not be decoded.
        .filter(|encoding| *encoding != REPLACEMENT && *encoding != UTF_16LE && *encoding != UTF_16BE)
}

/// Decodes one text.
pub(crate) fn text<'a>(bytes: Cow<'a, [u8]>, declared: Option<&'static Encoding>) -> Cow<'a, str> {
    match bytes {
        Cow::Borrowed(bytes) => decode(bytes, declared),
        Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) if declared.is_none_or(|encoding| encoding == UTF_8) => text,
            Ok(text) => decode(text.as_bytes(), declared).into_owned(),
            Err(error) => decode(error.as_bytes(), declared).into_owned(),
        }),
    }
}

fn decode<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, str> {
    if let Some(declared) = declared {
        return declared.decode_without_bom_handling(bytes).0;
    }
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Cow::Borrowed(text),
        Err(error) => error,
    };
    let utf8 = String::from_utf8_lossy(bytes);
    // A text that was cut in the middle of a character, because a field has a fixed number of bytes.
    if error.error_len().is_none() && !bytes[..error.valid_up_to()].is_ascii() {
        return utf8;
    }
    let (cp949, faulty) = EUC_KR.decode_without_bom_handling(bytes);
    let undecoded = |text: &str| text.chars().filter(|char| *char == UNDECODED).count();
    if faulty && undecoded(&utf8) < undecoded(&cp949) { utf8 } else { cp949 }
}

/// A body without its byte order mark. UTF-16 is turned into UTF-8; it is recognised by its mark, or by the zero byte before or
/// after its first character, an ASCII one. In both cases the bytes count more than a declared encoding, which is then not
/// returned.
pub(crate) fn transcoded<'a>(
    bytes: &'a [u8],
    declared: Option<&'static Encoding>,
) -> (Cow<'a, [u8]>, Option<&'static Encoding>) {
    let (encoding, mark) = match (Encoding::for_bom(bytes), bytes) {
        (Some(marked), _) => marked,
        (None, [0, 1..=0xff, ..]) => (UTF_16BE, 0),
        (None, [1..=0xff, 0, ..]) => (UTF_16LE, 0),
        (None, _) => return (Cow::Borrowed(bytes), declared),
    };
    let bytes = &bytes[mark..];
    if encoding == UTF_8 {
        return (Cow::Borrowed(bytes), None);
    }
    (Cow::Owned(encoding.decode_without_bom_handling(bytes).0.into_owned().into_bytes()), None)
}

/// Whether this is a body's first character after blanks.
pub(crate) fn begins_with(bytes: &[u8], first: u8) -> bool {
    transcoded(bytes, None).0.trim_ascii_start().first() == Some(&first)
}
