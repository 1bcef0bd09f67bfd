//! The grammar of numbers; what they mean is found out in `parse`:
//!
//! ```text
//! number    = [ "+" | blank ] part { { separator } part } { separator } [ extension ]
//! part      = digits | "(" [ "+" | blank ] digits ")"     in parentheses: of the first three parts only
//! separator = blank | "-" | "."
//! extension = "(" digits ")" | label digits | …           see `extension`
//! ```
//!
//! and the three forms in which spreadsheets and programs write a whole number (`whole`). We do not read anything else as a
//! number: letters, `*`, `/`, `~`, a second number.

mod whole;

use super::{address::Address, extension};

/// Digits of the longest number that is read: E.164 has 15, with `00700` before them.
const MAX_DIGITS: usize = 20;
/// Parts that may stand in parentheses: an international prefix, a country, an area.
const MAX_IN_PARENTHESES: usize = 3;
/// What separates parts.
const SEPARATORS: [char; 3] = [' ', '-', '.'];

/// What precedes the digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leading {
    /// A `+`.
    Plus,
    /// A blank. It may be a `+` that was sent unencoded in a query or a form.
    Blank,
    /// Nothing.
    Nothing,
}

/// What follows the digits and does not belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trailing<'a> {
    /// An extension.
    Extension(&'a str),
    /// The fraction or exponent that programs write after a whole number.
    Fraction,
    /// Nothing.
    Nothing,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenNumber<'a> {
    pub(super) leading: Leading,
    pub(super) trailing: Trailing<'a>,
    digits: [u8; MAX_DIGITS],
    /// Where each part ends in `digits`.
    ends: [u8; MAX_DIGITS],
    parts: usize,
}

impl<'a> WrittenNumber<'a> {
    /// Reads the number in an address; `None` if the grammar does not allow it.
    pub(super) fn read(address: &Address<'a>) -> Option<Self> {
        let mut written = Self::text(address.user)?;
        if let Some(given) = address.extension {
            if written.trailing != Trailing::Nothing {
                return None;
            }
            written.trailing = Trailing::Extension(extension::digits(given)?);
        }
        match address.context.and_then(|context| context.strip_prefix('+')) {
            Some(context) if written.leading != Leading::Plus => written.within(context),
            _ => Some(written),
        }
    }

    /// All digits.
    pub(super) fn digits(&self) -> &str {
        self.beginning(self.parts)
    }

    /// The digits up to the end of each part except the last: the number may be one of them, if the rest does not belong to it.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = &str> {
        (1..self.parts).map(|parts| self.beginning(parts))
    }

    fn beginning(&self, parts: usize) -> &str {
        let end = parts.checked_sub(1).map_or(0, |last| usize::from(self.ends[last]));
        // It has only ASCII digits; if that were wrong, an empty text is not read as a number.
        std::str::from_utf8(&self.digits[..end]).unwrap_or_default()
    }

    fn new(leading: Leading, trailing: Trailing<'a>) -> Self {
        Self { leading, trailing, digits: [0; MAX_DIGITS], ends: [0; MAX_DIGITS], parts: 0 }
    }

    fn text(text: &'a str) -> Option<Self> {
        let (leading, mut rest) = leading(text);
        let mut written = Self::new(leading, Trailing::Nothing);
        if let Some(digits) = whole::digits(rest) {
            written.trailing = Trailing::Fraction;
            written.push(&digits)?;
            return Some(written);
        }
        loop {
            if let Some((digits, after)) = leading_digits(rest) {
                written.push(digits)?;
                rest = after;
            } else if let Some((leading, digits, after)) = written.parenthesised(rest) {
                written.push(digits)?;
                written.leading = leading;
                rest = after;
            } else if written.parts > 0 && rest.starts_with(SEPARATORS) {
                rest = rest.trim_start_matches(SEPARATORS);
            } else {
                break;
            }
        }
        if !rest.is_empty() {
            written.trailing = Trailing::Extension(extension::extension(rest)?);
        }
        (written.parts > 0).then_some(written)
    }

    /// Adds a part of one digit or more; `None` if the number becomes too long.
    fn push(&mut self, digits: &str) -> Option<()> {
        let begin = self.digits().len();
        let end = begin + digits.len();
        self.digits.get_mut(begin..end)?.copy_from_slice(digits.as_bytes());
        *self.ends.get_mut(self.parts)? = u8::try_from(end).ok()?;
        self.parts += 1;
        Some(())
    }

    /// The number with the digits of its `phone-context` before it.
    fn within(self, context: &str) -> Option<Self> {
        let (_, country) = leading(context);
        let (country, "") = leading_digits(country)? else { return None };
        let mut whole = Self::new(Leading::Plus, self.trailing);
        whole.push(country)?;
        for parts in 1..=self.parts {
            whole.push(&self.beginning(parts)[self.beginning(parts - 1).len()..])?;
        }
        Some(whole)
    }

    /// The part in parentheses that `text` begins with: what precedes its digits, the digits, and the rest of the text. At the
    /// end of the text it is an extension instead.
    fn parenthesised<'b>(&self, text: &'b str) -> Option<(Leading, &'b str, &'b str)> {
        let (inside, after) = text.strip_prefix('(')?.split_once(')')?;
        let (leading, digits) = match self.parts {
            0 if self.leading == Leading::Nothing => leading(inside),
            _ => (self.leading, inside.trim_matches(' ')),
        };
        let (digits, "") = leading_digits(digits)? else { return None };
        let ends = after.trim_start_matches(SEPARATORS).is_empty();
        (self.parts < MAX_IN_PARENTHESES && !ends).then_some((leading, digits, after))
    }
}

/// What precedes the digits, and the rest.
fn leading(text: &str) -> (Leading, &str) {
    let rest = text.trim_start_matches(' ');
    match rest.strip_prefix('+') {
        Some(rest) => (Leading::Plus, rest.trim_start_matches(' ')),
        None if rest.len() < text.len() => (Leading::Blank, rest),
        None => (Leading::Nothing, rest),
    }
}

/// One digit or more, and the rest.
fn leading_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}
