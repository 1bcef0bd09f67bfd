//! The numbers by which a store is found.

use std::fmt;

use crate::{
    cdr::Cdr,
    phone::{PhoneNumber, mask_text},
};

/// What a number is to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// The 050 number that customers dial.
    VirtualNumber,
    /// The real number to which the provider forwards.
    Line,
}

impl NumberKind {
    /// The field of `ringpad.v1.Store` that holds it.
    pub fn field(self) -> &'static str {
        match self {
            Self::VirtualNumber => "virtual_numbers",
            Self::Line => "lines",
        }
    }

    /// As the log keeps it.
    pub(crate) fn to_log(self) -> i16 {
        match self {
            Self::VirtualNumber => 1,
            Self::Line => 2,
        }
    }

    /// What the log has kept.
    pub(crate) fn from_log(kept: i16) -> Self {
        if kept == 1 { Self::VirtualNumber } else { Self::Line }
    }
}

/// What a called number is compared by: E.164, or the text as it came if it is not a number. Masked in `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Comparable(Box<str>);

impl fmt::Debug for Comparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_text(&self.0))
    }
}

macro_rules! number_of_a_store {
    ($(#[$doc:meta])* $name:ident, $parameter:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Comparable);

        impl $name {
            /// The number of a record, if it has one.
            pub(crate) fn of(cdr: &Cdr) -> Option<Self> {
                cdr.$parameter().map(|called| Self::from_log(called.canonical()))
            }

            /// A number as the log keeps it.
            pub(crate) fn from_log(text: impl Into<Box<str>>) -> Self {
                Self(Comparable(text.into()))
            }

            /// The whole number, as the log keeps it.
            pub(crate) fn as_str(&self) -> &str {
                &self.0.0
            }
        }
    };
}

number_of_a_store! {
    /// A number that customers dial, as records and stores are compared by it.
    VirtualNumber, vn
}

number_of_a_store! {
    /// A number to which the provider forwards, as records and stores are compared by it.
    Line, ton
}

/// A number that a store can own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreNumber {
    /// The 050 number that customers dial.
    VirtualNumber(VirtualNumber),
    /// The real number to which the provider forwards.
    Line(Line),
}

impl StoreNumber {
    /// The numbers of a record.
    pub(crate) fn of(cdr: &Cdr) -> impl Iterator<Item = Self> {
        let virtual_number = VirtualNumber::of(cdr).map(Self::VirtualNumber);
        virtual_number.into_iter().chain(Line::of(cdr).map(Self::Line))
    }

    /// A number as the log keeps it.
    pub(crate) fn from_log(kind: NumberKind, text: impl Into<Box<str>>) -> Self {
        match kind {
            NumberKind::VirtualNumber => Self::VirtualNumber(VirtualNumber::from_log(text)),
            NumberKind::Line => Self::Line(Line::from_log(text)),
        }
    }

    /// What it is to the store.
    pub fn kind(&self) -> NumberKind {
        match self {
            Self::VirtualNumber(_) => NumberKind::VirtualNumber,
            Self::Line(_) => NumberKind::Line,
        }
    }

    /// The whole number, as the log keeps it.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::VirtualNumber(number) => number.as_str(),
            Self::Line(number) => number.as_str(),
        }
    }
}

/// A number that a store owns, and how people write it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnedNumber {
    number: StoreNumber,
    display: Box<str>,
}

impl OwnedNumber {
    /// A store's number. Its extension does not count.
    pub fn new(kind: NumberKind, number: &PhoneNumber) -> Self {
        Self { number: StoreNumber::from_log(kind, number.e164()), display: number.national().into() }
    }

    /// A store's number as the log keeps it.
    pub(crate) fn from_log(number: StoreNumber, display: impl Into<Box<str>>) -> Self {
        Self { number, display: display.into() }
    }

    /// What the store is found by.
    pub fn number(&self) -> &StoreNumber {
        &self.number
    }

    /// What it is to the store.
    pub fn kind(&self) -> NumberKind {
        self.number.kind()
    }

    /// The whole number as people write it.
    pub fn display(&self) -> &str {
        &self.display
    }
}

/// Masked.
impl fmt::Debug for OwnedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_masked_where_it_is_printed() {
        let number = StoreNumber::from_log(NumberKind::Line, "+821012345678");
        let owned = OwnedNumber::from_log(number.clone(), "010-1234-5678");
        for text in [format!("{number:?}"), format!("{owned:?}")] {
            assert!(!text.contains("1234"), "{text}");
        }
    }
}
