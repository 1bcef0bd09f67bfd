//! No digit of a number is added, lost or moved: the input is a prefix, the number, and its extension.

use ingest_svc::phone::PhoneNumber;

/// Panics if a number has a digit that is not in the text. Only for ASCII texts without other digits, as in an address's
/// host and parameters, an exponent, or percent-encoding.
pub fn assert_accounted_for(text: &str, number: &PhoneNumber) {
    if !text.is_ascii() || text.contains(['@', '<', ';', '=', '%', 'e', 'E']) {
        return;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let behind = number.extension().unwrap_or_default();
    let digits = digits.strip_suffix(behind).expect("an extension is the last that was sent");
    // The zeros of a fraction.
    let zeros = if text.contains('.') { digits.len() - digits.trim_end_matches('0').len() } else { 0 };
    let accounted = (0..=zeros).any(|zeros| {
        let digits = &digits[..digits.len() - zeros];
        (0..=3).any(|code| {
            let own = &number.e164()[1 + code..];
            digits.strip_suffix(own).is_some_and(|before| is_prefix(before, number.e164()))
        })
    });
    assert!(accounted, "{text:?} was read as {} and {behind:?}", number.e164());
}

/// Whether digits may come before the national number: an international prefix, the country code, a trunk 0.
fn is_prefix(before: &str, e164: &str) -> bool {
    let international = |before: &str| {
        (1..=3).any(|code| {
            before.strip_suffix(&e164[1..=code]).is_some_and(|prefix| {
                matches!(prefix, "" | "0") || (prefix.starts_with("00") && prefix.len() <= 5)
            })
        })
    };
    matches!(before, "" | "0") || international(before) || before.strip_suffix('0').is_some_and(international)
}
