//! The grammar of numbers, before anything is asked of what they mean:
//!
//! ```text
//! number    = [ "+" | blank ] part { { separator } part } { separator } [ extension ]
//! part      = digits | "(" [ "+" | blank ] digits ")"     in parentheses: of the first three parts only
//! separator = blank | "-" | "."
//! extension = "(" digits ")" | label digits | …           see `extension`
//! ```
//!
//! and the three forms in which spreadsheets and programs write a whole number, see `whole`. Everything else is no number
//! that we can read: letters, `*`, `/`, `~`, a second number.

mod whole;

use super::{address::Address, extension};

/// Digits of the longest number worth reading: E.164 has 15, and `00700` before it.
const MAX_DIGITS: usize = 20;
/// Parts that may stand in parentheses: an international prefix, a country, an area.
const MAX_IN_PARENTHESES: usize = 3;
/// What stands between parts.
const SEPARATORS: [char; 3] = [' ', '-', '.'];

/// What stands before the digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// A `+`.
    Plus,
    /// A blank. It may be a `+` that was sent in a query or a form as it is.
    Blank,
    /// Nothing.
    Nothing,
}

/// What stands behind the digits and does not belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind<'a> {
    /// An extension.
    Extension(&'a str),
    /// What programs write behind a whole number.
    Fraction,
    /// Nothing.
    Nothing,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) before: Before,
    pub(super) behind: Behind<'a>,
    digits: [u8; MAX_DIGITS],
    /// Where each part ends in `digits`.
    ends: [u8; MAX_DIGITS],
    parts: usize,
}

impl<'a> Written<'a> {
    /// Reads the number in an address; `None` if it is not of the grammar.
    pub(super) fn read(address: &Address<'a>) -> Option<Self> {
        let mut written = Self::text(address.user)?;
        if let Some(given) = address.extension {
            if written.behind != Behind::Nothing {
                return None;
            }
            written.behind = Behind::Extension(extension::digits(given)?);
        }
        match address.context.and_then(|context| context.strip_prefix('+')) {
            Some(context) if written.before != Before::Plus => written.within(context),
            _ => Some(written),
        }
    }

    /// All digits.
    pub(super) fn digits(&self) -> &str {
        self.beginning(self.parts)
    }

    /// The digits up to the end of each part but the last: what the number may be if the rest does not belong to it.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = &str> {
        (1..self.parts).map(|parts| self.beginning(parts))
    }

    fn beginning(&self, parts: usize) -> &str {
        let end = parts.checked_sub(1).map_or(0, |last| usize::from(self.ends[last]));
        // Only ASCII gets in; were that wrong, an empty text is no number.
        std::str::from_utf8(&self.digits[..end]).unwrap_or_default()
    }

    fn new(before: Before, behind: Behind<'a>) -> Self {
        Self { before, behind, digits: [0; MAX_DIGITS], ends: [0; MAX_DIGITS], parts: 0 }
    }

    fn text(text: &'a str) -> Option<Self> {
        let (before, mut rest) = before(text);
        let mut written = Self::new(before, Behind::Nothing);
        if let Some(digits) = whole::digits(rest) {
            written.behind = Behind::Fraction;
            written.push(&digits)?;
            return Some(written);
        }
        loop {
            if let Some((digits, behind)) = leading_digits(rest) {
                written.push(digits)?;
                rest = behind;
            } else if let Some((before, digits, behind)) = written.parenthesised(rest) {
                written.push(digits)?;
                written.before = before;
                rest = behind;
            } else if written.parts > 0 && rest.starts_with(SEPARATORS) {
                rest = rest.trim_start_matches(SEPARATORS);
            } else {
                break;
            }
        }
        if !rest.is_empty() {
            written.behind = Behind::Extension(extension::extension(rest)?);
        }
        (written.parts > 0).then_some(written)
    }

    /// Adds a part, of one digit or more; `None` if the number is too long with it.
    fn push(&mut self, digits: &str) -> Option<()> {
        let begin = self.digits().len();
        let end = begin + digits.len();
        self.digits.get_mut(begin..end)?.copy_from_slice(digits.as_bytes());
        *self.ends.get_mut(self.parts)? = u8::try_from(end).ok()?;
        self.parts += 1;
        Some(())
    }

    /// The number behind the digits of a `phone-context`.
    fn within(self, context: &str) -> Option<Self> {
        let (_, country) = before(context);
        let (country, "") = leading_digits(country)? else { return None };
        let mut whole = Self::new(Before::Plus, self.behind);
        whole.push(country)?;
        for parts in 1..=self.parts {
            whole.push(&self.beginning(parts)[self.beginning(parts - 1).len()..])?;
        }
        Some(whole)
    }

    /// A part in parentheses that `text` begins with, what stands before its digits, and what is behind it. At the end of
    /// the text it is no part but an extension.
    fn parenthesised<'b>(&self, text: &'b str) -> Option<(Before, &'b str, &'b str)> {
        let (inside, behind) = text.strip_prefix('(')?.split_once(')')?;
        let (before, digits) = match self.parts {
            0 if self.before == Before::Nothing => before(inside),
            _ => (self.before, inside.trim_matches(' ')),
        };
        let (digits, "") = leading_digits(digits)? else { return None };
        let ends = behind.trim_start_matches(SEPARATORS).is_empty();
        (self.parts < MAX_IN_PARENTHESES && !ends).then_some((before, digits, behind))
    }
}

/// What stands before the digits, and the rest.
fn before(text: &str) -> (Before, &str) {
    let rest = text.trim_start_matches(' ');
    match rest.strip_prefix('+') {
        Some(rest) => (Before::Plus, rest.trim_start_matches(' ')),
        None if rest.len() < text.len() => (Before::Blank, rest),
        None => (Before::Nothing, rest),
    }
}

/// One digit or more, and the rest.
fn leading_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}
