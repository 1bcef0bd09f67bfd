//! From text to E.164.
//!
//! libphonenumber takes 4 to 5 µs a number (release build, x86-64, two busy cores). Numbers in the shapes that Korean
//! providers send all day therefore take a short cut of 0.15 µs; `tests.rs` holds it against the library over all those
//! shapes.

use std::{borrow::Cow, ops::RangeInclusive};

use phonenumber::country::Id;
use unicode_normalization::UnicodeNormalization;

use super::Caller;

/// Digits of the longest number worth reading: E.164 has 15, and `00700` before it.
const MAX_DIGITS: usize = 20;
/// Digits of E.164, the country code among them: 15 at most, and at least 114's with Korea's code.
const E164_DIGITS: RangeInclusive<usize> = 5..=15;

/// Loads the library's metadata, which takes some 100 ms, so that the first foreign number does not wait for it.
pub fn warm_up() {
    let number = phonenumber::parse(Some(Id::KR), "010-1234-5678");
    debug_assert!(number.is_ok_and(|number| number.is_valid()), "the metadata knows Korea");
}

/// NFKC, no white space around it, and one kind of hyphen.
pub(super) fn normal(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let normal: String = text
        .nfkc()
        .map(|char| match char {
            // Hyphens, dashes and the minus sign, and what a Japanese or Korean keyboard types for them.
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{3161}' => '-',
            other => other,
        })
        .collect();
    Cow::Owned(normal.trim().to_owned())
}

/// The caller that a withheld form stands for; `None` if `normal` is none.
pub(super) fn withheld(normal: &str) -> Option<Caller> {
    // Every number begins with one of these and no withheld form does: the everyday case ends here.
    if normal.starts_with(['+', '(']) || normal.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let word: String =
        normal.chars().filter(|char| !char.is_whitespace()).flat_map(char::to_lowercase).collect();
    match word.as_str() {
        ""
        | "p"
        | "anonymous"
        | "private"
        | "withheld"
        | "restricted"
        | "blocked"
        | "발신번호표시제한"
        | "발신자표시제한"
        | "발신자번호표시제한"
        | "발신번호제한"
        | "번호표시제한"
        | "표시제한" => Some(Caller::Withheld),
        "c" | "payphone" | "공중전화" => Some(Caller::Payphone),
        "o" | "unavailable" | "unknown" | "outofarea" | "번호확인불가" | "확인불가" | "발신번호없음" => {
            Some(Caller::Unavailable)
        }
        // The user part of a SIP address.
        _ if word.trim_start_matches("sip:").starts_with("anonymous@") => Some(Caller::Withheld),
        _ => None,
    }
}

/// The number in E.164; `None` if `normal` is no number that we can read.
pub(super) fn e164(normal: &str) -> Option<String> {
    let dialled = Dialled::read(normal)?;
    dialled.korean().or_else(|| dialled.by_library())
}

/// Whether the library holds the number for valid.
pub(super) fn is_valid(e164: &str) -> bool {
    phonenumber::parse(None, e164).is_ok_and(|number| number.is_valid())
}

/// A number without its punctuation: perhaps a `+`, then digits.
struct Dialled {
    /// The `+`, then the digits.
    text: [u8; MAX_DIGITS + 1],
    /// How many bytes of `text` are in use.
    end: usize,
    /// Where the digits and, if there is one, the `+` begin.
    begin: usize,
}

impl Dialled {
    /// Reads digits, a `+` before them, and the punctuation of numbers between them. Anything else, `*` first of all,
    /// makes it no number.
    fn read(normal: &str) -> Option<Self> {
        let mut dialled = Self { text: [b'+'; MAX_DIGITS + 1], end: 1, begin: 1 };
        for byte in normal.bytes() {
            match byte {
                b'0'..=b'9' => {
                    *dialled.text.get_mut(dialled.end)? = byte;
                    dialled.end += 1;
                }
                b'+' if dialled.end == 1 && dialled.begin == 1 => dialled.begin = 0,
                b'-' | b' ' | b'.' | b'(' | b')' => {}
                _ => return None,
            }
        }
        // Providers write 0082 where the network wants 00700 82; libphonenumber knows only the latter.
        if dialled.begin == 1 && dialled.digits().starts_with("0082") {
            dialled.text.copy_within(3..dialled.end, 1);
            dialled.end -= 2;
            dialled.begin = 0;
        }
        Some(dialled)
    }

    fn as_str(&self) -> &str {
        // Only ASCII gets in; were that wrong, an empty text is no number.
        std::str::from_utf8(&self.text[self.begin..self.end]).unwrap_or_default()
    }

    fn digits(&self) -> &str {
        std::str::from_utf8(&self.text[1..self.end]).unwrap_or_default()
    }

    /// The short cut: numbers that are Korean for certain.
    fn korean(&self) -> Option<String> {
        let digits = self.digits();
        let significant = if self.begin == 0 {
            let national = digits.strip_prefix("82")?;
            national.strip_prefix('0').unwrap_or(national)
        } else if let Some(national) = digits.strip_prefix('0') {
            national
        } else if digits.len() == 8
            && (digits.starts_with("15") || digits.starts_with("16") || digits.starts_with("18"))
        {
            digits
        } else {
            return None;
        };
        // After the trunk 0 comes an area or a service, 1 to 7 or 80; 81 to 88 may be a carrier's code, 0 a foreign
        // country.
        let place =
            matches!(significant.as_bytes().first(), Some(b'1'..=b'7')) || significant.starts_with("80");
        if !place || !(8..=11).contains(&significant.len()) {
            return None;
        }
        let mut e164 = String::with_capacity(3 + significant.len());
        e164.push_str("+82");
        e164.push_str(significant);
        Some(e164)
    }

    fn by_library(&self) -> Option<String> {
        let number = phonenumber::parse(Some(Id::KR), self.as_str()).ok()?;
        let (code, national) = (number.code().value(), number.national().to_string());
        // A Korean number has no leading zeros of its own: such a thing is a mistyped prefix.
        let mistyped = code == 82 && national.starts_with('0');
        let e164 = format!("+{code}{national}");
        // Of a few foreign texts of mere zeros the library makes a number that it does not know again.
        let is_same = |again: phonenumber::PhoneNumber| again.national().to_string() == national;
        let known_again = code == 82 || phonenumber::parse(Some(Id::KR), &e164).is_ok_and(is_same);
        (!mistyped && known_again && E164_DIGITS.contains(&(e164.len() - 1))).then_some(e164)
    }
}
