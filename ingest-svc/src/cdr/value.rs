//! What each type of a field adds to a record's fingerprint, and what of two values of one call counts.
//!
//! Two records with the same fingerprint are one that was sent again. The fingerprint is half of a SHA-256 over all fields,
//! each with its length before it, so that no two records write the same bytes. It is cryptographic because a sender may choose
//! what it sends. Logs hold fingerprints: the order and form of the fields must stay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::phone::{Called, Caller, PhoneNumber};

/// By what a record is recognised when it is sent again.
pub type Fingerprint = [u8; 16];

/// The value of a field. The defaults are those of a value that is required.
pub(super) trait Value: Sized {
    /// This value, or an earlier record's if this record leaves it out.
    fn or_earlier(self, _earlier: Self) -> Self {
        self
    }

    fn is_absent(&self) -> bool {
        false
    }

    fn add_to(&self, digest: &mut Digest);

    /// Adds that there is no such value, where it is optional.
    fn add_none(digest: &mut Digest) {
        digest.number(None);
    }
}

impl<T: Value> Value for Option<T> {
    fn or_earlier(self, earlier: Self) -> Self {
        self.or(earlier)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn add_to(&self, digest: &mut Digest) {
        match self {
            Some(value) => value.add_to(digest),
            None => T::add_none(digest),
        }
    }
}

/// The bytes of a fingerprint.
#[derive(Default)]
pub(super) struct Digest(Sha256);

impl Digest {
    /// Adds a field that the oldest records in logs do not have: nothing if it is absent, so that a repeat of them is
    /// recognised.
    pub(super) fn add_later(&mut self, name: &str, value: &impl Value) {
        if !value.is_absent() {
            self.0.update([3]);
            self.text(Some(name));
            value.add_to(self);
        }
    }

    /// Adds the parameters that the contract does not name.
    pub(super) fn finish(mut self, other: &BTreeMap<String, String>) -> Fingerprint {
        for (name, value) in other {
            self.text(Some(name));
            self.text(Some(value));
        }
        let mut half = [0; 16];
        half.copy_from_slice(&self.0.finalize()[..16]);
        half
    }

    fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|text| text.len().cast_signed() as i64));
        self.0.update(text.unwrap_or_default());
    }

    fn number(&mut self, number: Option<i64>) {
        match number {
            Some(number) => {
                self.0.update([1]);
                self.0.update(number.to_le_bytes());
            }
            None => self.0.update([0]),
        }
    }

    fn phone_number(&mut self, kind: i64, number: &PhoneNumber) {
        let (e164, extension) = number.identity();
        self.kind(kind, Some(e164));
        // Where there is none it adds nothing: records were logged before there were extensions.
        if extension.is_some() {
            self.0.update([2]);
            self.text(extension);
        }
    }

    fn kind(&mut self, kind: i64, text: Option<&str>) {
        self.number(Some(kind));
        self.text(text);
    }
}

impl Value for Box<str> {
    fn add_to(&self, digest: &mut Digest) {
        digest.text(Some(self));
    }
}

impl Value for Timestamp {
    fn add_to(&self, digest: &mut Digest) {
        digest.number(Some(self.as_second()));
    }
}

impl Value for Caller {
    /// A caller that is left out reads as withheld.
    fn or_earlier(self, earlier: Self) -> Self {
        if self == Self::Withheld { earlier } else { self }
    }

    fn add_to(&self, digest: &mut Digest) {
        match self {
            Self::Number(number) => digest.phone_number(0, number),
            Self::Withheld => digest.kind(1, None),
            Self::Payphone => digest.kind(2, None),
            Self::Unavailable => digest.kind(3, None),
            Self::Unparsed(raw) => digest.kind(4, Some(raw.raw())),
        }
    }
}

impl Value for Called {
    fn add_to(&self, digest: &mut Digest) {
        match self {
            Self::Number(number) => digest.phone_number(0, number),
            Self::Unparsed(raw) => digest.kind(1, Some(raw.raw())),
        }
    }

    fn add_none(digest: &mut Digest) {
        digest.number(None);
        digest.text(None);
    }
}
