//! Phone numbers as Korean providers send them: parsed once, into types that show themselves masked.
//!
//! ```text
//! text ─► normal ─► address ─► written ─► parse ─► E.164
//!                      └─► absent: withheld, payphone, unavailable
//! ```
//!
//! **A number that we cannot read is kept and shown as it was received, and never turned into another number.** `written` has
//! the exact grammar; `parse` accounts for each digit. Such a number is never a reason to lose a call.
//!
//! `Debug` and `Display` are masked, `010-****-5678`. Only these functions return a whole number:
//! [`PhoneNumber::e164`], [`PhoneNumber::national`], [`PhoneNumber::display`], [`PhoneNumber::raw`], [`Caller::display`],
//! [`Caller::canonical`], [`Called::display`], [`Called::canonical`], and serialisation, which is for the log's database.

mod absent;
mod address;
mod extension;
mod format;
mod korea;
mod mask;
mod normal;
mod parse;
mod written;

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use ringpad_proto::v1;
use serde::{Deserialize, Serialize};

use crate::{bounds::shortened, capacity::RECORD};

use absent::{AbsenceReason, absent};
use address::Address;
use normal::normal;
use written::{Trailing, WrittenNumber};

pub(crate) use mask::mask_digits;
pub use mask::mask_text;
pub use parse::warm_up;

/// A number that parses. Equal to another if both are the same in E.164 and have the same extension, however they were
/// written.
///
/// A number that parses need not be [valid](Self::is_valid): 1811-XXXX, 030X and 114 are "invalid" and in use.
#[derive(Clone, Serialize, Deserialize)]
pub struct PhoneNumber {
    e164: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extension: Option<Box<str>>,
    raw: Box<str>,
}

/// A text that was sent as a number and that we cannot read, e.g. `010-****-5678`: as received, without the white space
/// around it, and cut if it is too long.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RawNumber(Box<str>);

/// The caller of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A number.
    Number(PhoneNumber),
    /// The caller withheld the number (absent, `anonymous`, `발신번호표시제한`, `P`, `266696687` …).
    Withheld,
    /// A payphone (`C`).
    Payphone,
    /// The network could not tell the number (`O`, `unknown`, `86282452253` …).
    Unavailable,
    /// A text that we cannot read as a number.
    Unparsed(RawNumber),
}

/// A number that was dialled or forwarded to: a virtual number (`vn`) or a line (`ton`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Called {
    /// A number.
    Number(PhoneNumber),
    /// A text that we cannot read as a number; a store may own it nevertheless.
    Unparsed(RawNumber),
}

impl PhoneNumber {
    /// Reads a number; `None` if we cannot read it as one, or if it stands for a withheld number.
    pub fn parse(text: &str) -> Option<Self> {
        Self::at(&Address::of(&normal(text)), text)
    }

    fn at(address: &Address<'_>, text: &str) -> Option<Self> {
        let written = WrittenNumber::read(address)?;
        // A few digits before a host are one of its extensions.
        if !address.host.is_empty() && written.digits().len() < korea::SHORTEST {
            return None;
        }
        let extension = match written.trailing {
            Trailing::Extension(digits) => Some(digits.into()),
            Trailing::Fraction | Trailing::Nothing => None,
        };
        Some(Self {
            e164: parse::e164(&written)?.into_boxed_str(),
            extension,
            raw: shortened(text.trim(), RECORD.text),
        })
    }

    /// What distinguishes it from other numbers: E.164 and the extension, however they were written.
    pub(crate) fn identity(&self) -> (&str, Option<&str>) {
        let Self { e164, extension, raw: _ } = self;
        (e164, extension.as_deref())
    }

    /// The whole number in E.164, e.g. `+821012345678`.
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// The digits of the extension, which is not part of the number.
    pub fn extension(&self) -> Option<&str> {
        self.extension.as_deref()
    }

    /// The whole number as received, cut if it is too long.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The whole number as pads show it: [`national`](Self::national) with its extension, e.g. `02-555-0111 (101)`.
    pub fn display(&self) -> String {
        match &self.extension {
            Some(extension) => format!("{} ({extension})", self.national()),
            None => self.national(),
        }
    }

    /// The whole number as people in Korea write it, e.g. `010-1234-5678`, `0507-1234-5678`, `1588-1234`; a foreign one
    /// in the international form, e.g. `+1 650-253-0000`. Without its extension.
    pub fn national(&self) -> String {
        format::national(&self.e164)
    }

    /// Whether the number is valid for libphonenumber. Takes some microseconds. Nothing depends on it.
    pub fn is_valid(&self) -> bool {
        parse::is_valid(&self.e164)
    }
}

impl PartialEq for PhoneNumber {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for PhoneNumber {}

impl Hash for PhoneNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// Masked: shows the first and the last group, and nothing of an extension.
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask::mask_groups(&self.national()))?;
        if self.extension.is_some() { f.write_str(" (***)") } else { Ok(()) }
    }
}

/// Masked, like `Display`.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl RawNumber {
    fn new(text: &str) -> Self {
        Self(shortened(text.trim(), RECORD.text))
    }

    /// The whole text as received.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

/// Masked.
impl fmt::Display for RawNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask::mask_text(&self.0))
    }
}

/// Masked, like `Display`.
impl fmt::Debug for RawNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", mask::mask_text(&self.0))
    }
}

impl Caller {
    /// Reads what a provider sent as the caller; empty is a withheld number.
    pub fn parse(text: &str) -> Self {
        let normal = normal(text);
        let address = Address::of(&normal);
        match absent(&address) {
            Some(AbsenceReason::Withheld) => Self::Withheld,
            Some(AbsenceReason::Payphone) => Self::Payphone,
            Some(AbsenceReason::Unavailable) => Self::Unavailable,
            None => match PhoneNumber::at(&address, text) {
                Some(number) => Self::Number(number),
                None => Self::Unparsed(RawNumber::new(text)),
            },
        }
    }

    /// The number, if there is one.
    pub fn number(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The kind of caller, as in the pads' API.
    pub fn kind(&self) -> v1::CallerKind {
        match self {
            Self::Number(_) => v1::CallerKind::Number,
            Self::Withheld => v1::CallerKind::Withheld,
            Self::Payphone => v1::CallerKind::Payphone,
            Self::Unavailable => v1::CallerKind::Unavailable,
            Self::Unparsed(_) => v1::CallerKind::Unparsed,
        }
    }

    /// What all calls of one caller have in common, whole: E.164, or the text as received if it is not a number. `None` if
    /// nothing is known about the caller.
    pub fn canonical(&self) -> Option<&str> {
        match self {
            Self::Number(number) => Some(number.e164()),
            Self::Unparsed(raw) => Some(raw.raw()),
            Self::Withheld | Self::Payphone | Self::Unavailable => None,
        }
    }

    /// The whole number as pads show it, or in words why there is none.
    pub fn display(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.display()),
            Self::Withheld => Cow::Borrowed("발신번호 표시제한"),
            Self::Payphone => Cow::Borrowed("공중전화"),
            Self::Unavailable => Cow::Borrowed("번호 확인 불가"),
            Self::Unparsed(raw) => Cow::Borrowed(raw.raw()),
        }
    }
}

/// Masked.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Unparsed(raw) => raw.fmt(f),
            Self::Withheld | Self::Payphone | Self::Unavailable => f.write_str(&self.display()),
        }
    }
}

impl Called {
    /// Reads what a provider, or a directory of stores, gives as a called number.
    pub fn parse(text: &str) -> Self {
        match PhoneNumber::parse(text) {
            Some(number) => Self::Number(number),
            None => Self::Unparsed(RawNumber::new(text)),
        }
    }

    /// By what the store is found, whole: E.164, or the text as received, without the white space around it, if it is not
    /// a number.
    pub fn canonical(&self) -> &str {
        match self {
            Self::Number(number) => number.e164(),
            Self::Unparsed(raw) => raw.raw(),
        }
    }

    /// The whole number as pads show it, or the text as received.
    pub fn display(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.display()),
            Self::Unparsed(raw) => Cow::Borrowed(raw.raw()),
        }
    }
}

/// Masked.
impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Unparsed(raw) => raw.fmt(f),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
