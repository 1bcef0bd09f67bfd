//! No phone number shows whole: not in `Debug`, not in an error.

/// A run of fewer digits than this is nobody's number.
const NUMBER: usize = 7;
/// The longest group of digits that a masked number keeps.
const GROUP: usize = 4;

/// Panics if a text for people shows what may be a phone number. Times may show: they begin like a year.
pub fn assert_no_number(shown: &str) {
    // `Debug` of a text writes NUL as `\0`, which is no digit of what follows.
    for run in runs(&shown.replace("\\0", " ")) {
        let digits = run.chars().count();
        let year = run.starts_with("19") || run.starts_with("20");
        assert!(digits < NUMBER || (year && (digits <= 8 || digits == 14)), "{run:?} shows in {shown:?}");
    }
}

/// Panics if a number's own `Display` shows more than its ends.
pub fn assert_masked(shown: &str) {
    for run in runs(shown) {
        assert!(run.chars().count() <= GROUP, "{run:?} shows in {shown:?}");
    }
}

fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_numeric()).filter(|run| !run.is_empty())
}
