//! What is shown of a number in log lines, errors and listings: `010-****-5678`, the first and the last group.

/// Characters of a masked text; a longer one is cut.
const MAX_SHOWN: usize = 32;
/// With fewer letters and digits than this, the first three and the last four would be nearly all of them.
const MIN_TO_KEEP_ENDS: usize = 10;
/// Digits at a number's end that may be shown.
const MAX_END: usize = 4;
/// Fewer digits than this in a row are not a phone number.
const MIN_NUMBER: usize = 7;

/// Masks a number as [`national`](super::PhoneNumber::national) writes it. Of two groups the last is masked as
/// well, of a long last group all but its end, and a number of one group like any text.
pub(super) fn mask_groups(number: &str) -> String {
    let separators = number.matches([' ', '-']).count();
    if separators == 0 {
        return mask_text(number);
    }
    let kept_last = if separators == 1 { usize::MAX } else { separators };
    let mut group = 0;
    let masked = number.char_indices().map(|(at, char)| {
        if matches!(char, ' ' | '-') {
            group += 1;
        }
        // The last group of a foreign number may be most of it, e.g. +49 30 123456.
        let end = group == kept_last && at + MAX_END >= number.len();
        if char.is_ascii_digit() && group != 0 && !end { '*' } else { char }
    });
    masked.collect()
}

/// Masks a text that should be a number: all letters and digits, except the first three and the last four of a long
/// one.
pub fn mask_text(text: &str) -> String {
    let count = text.chars().filter(|char| char.is_alphanumeric()).count();
    let mut at = 0;
    let masked = text.chars().map(|char| {
        if !char.is_alphanumeric() {
            return if char.is_control() { '?' } else { char };
        }
        at += 1;
        let end = count >= MIN_TO_KEEP_ENDS && (at <= 3 || at > count - 4);
        if end { char } else { '*' }
    });
    cut(masked)
}

/// Masks everything that may be a phone number in a value that is shown in an error. Times stay readable: 14 digits, or as
/// many as a date has, that begin like a year.
pub(crate) fn mask_digits(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(in_number) {
        let length = rest[begin..].find(|char| !in_number(char)).unwrap_or(rest.len() - begin);
        let run = &rest[begin..begin + length];
        masked.push_str(&rest[..begin]);
        let digits = run.chars().filter(|char| char.is_numeric()).count();
        let time = run.len() == digits
            && (digits <= 8 || digits == 14)
            && (run.starts_with("19") || run.starts_with("20"));
        if digits < MIN_NUMBER || time {
            masked.push_str(run);
        } else {
            masked.push_str(&mask_text(run));
        }
        rest = &rest[begin + length..];
    }
    masked.push_str(rest);
    cut(masked.chars())
}

fn in_number(char: char) -> bool {
    char.is_numeric()
        || matches!(
            char,
            '+' | '-' | ' ' | '.' | '(' | ')' | '_' | '/' | ',' | '~' | '·' | '\u{2010}'..='\u{2015}'
        )
}

fn cut(mut chars: impl Iterator<Item = char>) -> String {
    let mut text: String = chars.by_ref().take(MAX_SHOWN).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
