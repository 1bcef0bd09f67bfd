//! What may be shown of a number in logs, errors and listings: `010-****-5678`, the first and the last group.

/// Text longer than this is cut where it is masked, in characters.
const MAX_SHOWN: usize = 32;
/// With fewer letters and digits than this, first three and last four would be nearly all of them.
const MIN_TO_KEEP_ENDS: usize = 10;
/// Digits that may be shown of a number's end.
const MAX_END: usize = 4;
/// A run of fewer digits than this is nobody's number.
const MIN_NUMBER: usize = 7;

/// Masks a number as [`national`](super::PhoneNumber::national) writes it. Of two groups the last is masked as well, of a
/// long last group all but its end, and a number of one group like any text.
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
        // Foreign ones may end in a group that is most of the number, e.g. +49 30 123456.
        let end = group == kept_last && at + MAX_END >= number.len();
        if char.is_ascii_digit() && group != 0 && !end { '*' } else { char }
    });
    masked.collect()
}

/// Masks a text that ought to be a number: all letters and digits, but for the first three and the last four of a long
/// one.
pub(crate) fn mask_text(text: &str) -> String {
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

/// Masks whatever may be a phone number in a value that is shown in an error. Times stay readable: a run of 14
/// digits that begins like a year, and one of a date's length.
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
