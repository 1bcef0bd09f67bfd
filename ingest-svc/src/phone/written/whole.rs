//! Numbers as spreadsheets and programs write them if they take a phone number for a quantity.

/// The digits of a whole number that is written as a quantity: with a fraction of zeros (`1023456789.0`), with an exponent
/// and all its digits (`1.023456789E9`; not `1.02346E+09`, whose last digits are lost), or in thousands (`1,023,456,789`).
pub(super) fn digits(text: &str) -> Option<String> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) || !text.contains(['.', ',']) {
        return None;
    }
    with_exponent(text).or_else(|| with_fraction(text)).or_else(|| in_thousands(text))
}

/// Digits before the fraction; a number that is written in parts, `0101234.0000`, has fewer in its first part.
const SHORTEST: usize = 7;
/// The same for a number with the 0 of an area, which only a text can have: `02` and seven digits.
const SHORTEST_WITH_ZERO: usize = 9;

fn with_fraction(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.')?;
    let shortest = if whole.starts_with('0') { SHORTEST_WITH_ZERO } else { SHORTEST };
    let zeros = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    (zeros && whole.len() >= shortest && all_digits(whole)).then(|| whole.to_owned())
}

fn with_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let (first, fraction) = mantissa.split_once('.')?;
    let exponent: usize = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let (digits, zeros) = fraction.split_at_checked(exponent)?;
    let is_whole = first.len() == 1 && all_digits(digits) && zeros.bytes().all(|byte| byte == b'0');
    (is_whole && exponent + 1 >= SHORTEST).then(|| format!("{first}{digits}"))
}

fn in_thousands(text: &str) -> Option<String> {
    let whole = text
        .split_once('.')
        .map_or(Some(text), |(whole, fraction)| fraction.bytes().all(|byte| byte == b'0').then_some(whole))?;
    let (first, rest) = whole.split_once(',')?;
    let groups = rest.split(',').all(|group| group.len() == 3 && all_digits(group));
    let is_whole = groups && (1..=3).contains(&first.len()) && all_digits(first) && !first.starts_with('0');
    let digits = whole.replace(',', "");
    (is_whole && digits.len() >= SHORTEST).then_some(digits)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
