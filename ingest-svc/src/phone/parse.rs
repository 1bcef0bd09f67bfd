//! From a number as it is written to E.164.
//!
//! libphonenumber takes 4 to 5 µs for a number (release build, x86-64, two busy cores). Numbers in the usual forms of Korean
//! providers therefore take a fast path of 0.15 µs; `tests.rs` compares it with the library for all those forms.
//!
//! The library drops carriers' codes and moves digits. So its answer is used only if it accounts for every digit: each one is
//! in the number, or belongs to a prefix or a trunk 0.

use std::ops::RangeInclusive;

use phonenumber::{country::Id, metadata::DATABASE};

use super::{
    korea,
    written::{Leading, Trailing, WrittenNumber},
};

/// Digits of E.164 with the country code: 15 at most, and at least those of 114 with Korea's code.
const E164_DIGITS: RangeInclusive<usize> = 5..=15;

/// Loads the library's metadata, which takes some 100 ms, so that the first foreign number does not wait for it.
pub fn warm_up() {
    let number = phonenumber::parse(Some(Id::KR), "010-1234-5678");
    debug_assert!(number.is_ok_and(|number| number.is_valid()), "the metadata knows Korea");
}

/// The number in E.164; `None` if we cannot read it without doubt.
pub(super) fn e164(written: &WrittenNumber<'_>) -> Option<String> {
    match written.leading {
        Leading::Plus => international(written),
        // No country's code begins with 0.
        Leading::Blank if !written.digits().starts_with('0') => match international(written) {
            Some(e164) if is_valid(&e164) => Some(e164),
            other => national(written).or(other),
        },
        Leading::Blank | Leading::Nothing => national(written),
    }
}

/// Whether the number is valid for the library.
pub(super) fn is_valid(e164: &str) -> bool {
    phonenumber::parse(None, e164).is_ok_and(|number| number.is_valid())
}

/// A number that begins with a country's code.
fn international(written: &WrittenNumber<'_>) -> Option<String> {
    abroad(written, written.digits(), Prefix::Plus)
}

/// A number as it is dialled in Korea, perhaps without its trunk 0 or its `+`.
fn national(written: &WrittenNumber<'_>) -> Option<String> {
    let digits = written.digits();
    if digits.starts_with("00") {
        // Providers write 0082 where the network wants 00700 82; libphonenumber knows only the latter.
        let prefix = if digits.starts_with("0082") { 2 } else { international_prefix(digits)? };
        return abroad(written, &digits[prefix..], Prefix::Digits);
    }
    let significant = if let Some(significant) = digits.strip_prefix('0') {
        korea::is_plausible(significant).then_some(significant)
    } else if korea::is_representative(digits) || korea::is_mobile(digits) {
        Some(digits)
    } else {
        digits.strip_prefix(korea::CODE).map(without_trunk).filter(|rest| korea::is_complete(rest))
    };
    match significant {
        Some(significant) => ends_there(written, significant).then(|| korean_e164(significant)),
        None => in_korea(written, digits),
    }
}

fn without_trunk(national: &str) -> &str {
    national.strip_prefix('0').unwrap_or(national)
}

fn korean_e164(significant: &str) -> String {
    ["+", korea::CODE, significant].concat()
}

/// The length of the prefix by which a number is dialled from Korea: 001, 00700 and others.
fn international_prefix(digits: &str) -> Option<usize> {
    let prefix = DATABASE.by_id(Id::KR.as_ref())?.international_prefix()?;
    prefix.find(digits).filter(|found| found.start() == 0).map(|found| found.end())
}

/// Whether a Korean number, whose significant digits are the last ones, ends with its last part: no number is complete
/// before that part, and an extension follows a complete one. In `02-555-0111-3` the 3 does not belong to the number.
fn ends_there(written: &WrittenNumber<'_>, significant: &str) -> bool {
    let begin = written.digits().len() - significant.len();
    let complete_before =
        written.beginnings().any(|beginning| beginning.get(begin..).is_some_and(korea::is_complete));
    !complete_before && (written.trailing == Trailing::Nothing || korea::is_complete(significant))
}

/// How a number is marked as one that begins with a country's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// By a `+`.
    Plus,
    /// By digits, which might also belong to the number.
    Digits,
}

/// A number whose last digits, `digits`, begin with a country's code.
fn abroad(written: &WrittenNumber<'_>, digits: &str, prefix: Prefix) -> Option<String> {
    let korean = digits.strip_prefix(korea::CODE).map(without_trunk).filter(|rest| korea::is_plausible(rest));
    if let Some(significant) = korean {
        return ends_there(written, significant).then(|| korean_e164(significant));
    }
    // Without a region: with one, the library removes that region's trunk prefix from every country's numbers.
    let number = phonenumber::parse(None, format!("+{digits}")).ok()?;
    let (code, national) = (number.code().value().to_string(), number.national().to_string());
    let own = digits.strip_prefix(&code)?;
    let e164 = format!("+{code}{national}");
    let as_it_is = || match code.as_str() {
        korea::CODE => is_whole(written) && korea::is_dialled_alone(&national),
        _ => prefix == Prefix::Plus && is_whole_abroad(written),
    };
    let sure = if own == national {
        number.is_valid() || as_it_is()
    } else {
        number.is_valid() && without_trunk(own) == national
    };
    let ends_there = code != korea::CODE || ends_there(written, &national);
    (sure && ends_there && E164_DIGITS.contains(&(e164.len() - 1))).then_some(e164)
}

fn is_whole(written: &WrittenNumber<'_>) -> bool {
    written.beginnings().next().is_none() && written.trailing == Trailing::Nothing
}

/// Whether a foreign number that is not valid for the library may be whole: no valid number ends before its last part. What
/// follows a valid one would be an extension without a label.
fn is_whole_abroad(written: &WrittenNumber<'_>) -> bool {
    let valid_before = written.beginnings().any(|beginning| is_valid(&format!("+{beginning}")));
    written.trailing == Trailing::Nothing && !valid_before
}

/// A Korean number in an unusual form: one that is written as it is dialled, else a valid one.
fn in_korea(written: &WrittenNumber<'_>, digits: &str) -> Option<String> {
    let number = phonenumber::parse(Some(Id::KR), digits).ok()?;
    let significant = number.national().to_string();
    let before = digits.strip_suffix(&significant)?;
    if number.code().value().to_string() != korea::CODE || significant.starts_with('0') {
        return None;
    }
    let sure = match before {
        "" => (is_whole(written) && korea::is_dialled_alone(&significant)) || number.is_valid(),
        // `082 10 …` is dialled over a carrier, or is `+82 10 …`: the same number.
        "0" | "82" | "820" | "082" => korea::is_plausible(&significant) || number.is_valid(),
        _ => false,
    };
    let e164 = korean_e164(&significant);
    (sure && ends_there(written, &significant) && E164_DIGITS.contains(&(e164.len() - 1))).then_some(e164)
}
