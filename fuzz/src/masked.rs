//! No full phone number is shown: not in `Debug`, not in an error.

/// A run of fewer digits than this is not a phone number.
const NUMBER: usize = 7;
/// The longest group of digits that a masked number keeps.
const GROUP: usize = 4;
/// The mark at the end of a text that was cut.
const CUT: &str = "…";

/// Panics if a text for people shows what may be a phone number. Times (14 digits, unless they are cut) and dates are
/// allowed: they begin like a year.
pub fn assert_no_number(shown: &str) {
    // `Debug` of a text writes NUL as `\0`, which is no digit of what follows.
    for (run, rest) in runs(&shown.replace("\\0", " ")) {
        let digits = run.chars().count();
        let year = run.starts_with("19") || run.starts_with("20");
        let time = year && (digits <= 8 || digits == 14 || (digits < 14 && rest.starts_with(CUT)));
        assert!(digits < NUMBER || time, "{run:?} shows in {shown:?}");
    }
}

/// Panics if a number's own `Display` shows more than its ends.
pub fn assert_masked(shown: &str) {
    for (run, _) in runs(shown) {
        assert!(run.chars().count() <= GROUP, "{run:?} shows in {shown:?}");
    }
}

/// Each run of digits, and the text behind it.
fn runs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(char::is_numeric)?..];
        let end = rest.find(|char: char| !char.is_numeric()).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some((run, behind))
    })
}
