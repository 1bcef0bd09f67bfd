//! From a text as it was sent to the characters from which a number is read: ASCII instead of Unicode's other forms of digits,
//! hyphens and blanks, and no invisible characters.

use std::{borrow::Cow, sync::LazyLock};

use percent_encoding::percent_decode_str;
use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// Invisible characters: Unicode's format characters (Cf, e.g. the marks of writing direction, U+00AD, U+FEFF), its other
/// characters that are ignored by default (e.g. variation selectors, Hangul fillers), and controls except white space.
#[expect(clippy::expect_used, reason = "a constant pattern, which the tests compile")]
static INVISIBLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Cc}--\s]+").expect("a pattern"));

/// The zero of each row of decimal digits (Unicode 16.0, general category Nd) except ASCII's; the other nine follow it.
const ZEROS: [char; 75] = [
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{a8d0}',
    '\u{a900}',
    '\u{a9d0}',
    '\u{a9f0}',
    '\u{aa50}',
    '\u{abf0}',
    '\u{ff10}',
    '\u{104a0}',
    '\u{10d30}',
    '\u{10d40}',
    '\u{11066}',
    '\u{110f0}',
    '\u{11136}',
    '\u{111d0}',
    '\u{112f0}',
    '\u{11450}',
    '\u{114d0}',
    '\u{11650}',
    '\u{116c0}',
    '\u{116d0}',
    '\u{116da}',
    '\u{11730}',
    '\u{118e0}',
    '\u{11950}',
    '\u{11bf0}',
    '\u{11c50}',
    '\u{11d50}',
    '\u{11da0}',
    '\u{11f50}',
    '\u{16130}',
    '\u{16a60}',
    '\u{16ac0}',
    '\u{16b50}',
    '\u{16d70}',
    '\u{1ccf0}',
    '\u{1d7ce}',
    '\u{1d7d8}',
    '\u{1d7e2}',
    '\u{1d7ec}',
    '\u{1d7f6}',
    '\u{1e140}',
    '\u{1e2f0}',
    '\u{1e4f0}',
    '\u{1e5f1}',
    '\u{1e950}',
    '\u{1fbf0}',
];

/// The normal form of a text that should be a number: percent-encoding undone (no number has a `%`), digits of any
/// script as ASCII, NFKC, one kind of hyphen, and no invisible characters. White space at the end is removed; at
/// the beginning one blank is kept, because a form may have turned a `+` into it.
pub(super) fn normal(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'%') {
        return Cow::Borrowed(trimmed(text));
    }
    let decoded = percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text));
    let folded: String = decoded.chars().map(digit).nfkc().map(separator).collect();
    Cow::Owned(trimmed(&INVISIBLE.replace_all(&folded, "")).to_owned())
}

/// A decimal digit of any script in ASCII. Other numeric characters, e.g. `²` and `①`, are not digits of a number, although
/// NFKC would turn them into digits.
fn digit(char: char) -> char {
    if char.is_ascii() || !char.is_numeric() {
        return char;
    }
    let zero = ZEROS.partition_point(|zero| *zero <= char).checked_sub(1).map(|at| ZEROS[at]);
    let value = zero.map(|zero| u32::from(char) - u32::from(zero));
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Hyphens, dashes and the minus sign, and what a Japanese or Korean keyboard types instead, as a hyphen; white space as a
/// blank. Not `~` and similar characters, which stand for a range.
fn separator(char: char) -> char {
    match char {
        '\u{58a}' | '\u{5be}' | '\u{1806}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' => '-',
        // The last one is a Korean vowel that looks like a hyphen, as NFKC leaves it.
        '\u{2e3a}' | '\u{2e3b}' | '\u{30a0}' | '\u{30fc}' | '\u{1173}' => '-',
        _ if char.is_whitespace() => ' ',
        _ => char,
    }
}

fn trimmed(text: &str) -> &str {
    let text = text.trim_end_matches(' ');
    let blanks = text.len() - text.trim_start_matches(' ').len();
    &text[blanks.saturating_sub(1)..]
}
