//! What makes a record a duplicate of another: the same fields, as parsed.

use sha2::{Digest, Sha256};

use super::{Cdr, Fingerprint};
use crate::phone::{Called, Caller};

/// Half of a SHA-256 over all fields, each with its length before it, so that no two records write the same bytes.
/// Cryptographic, for who sends records may choose them.
///
/// Fields are named one by one, so that none is forgotten: a record that differs only there would count as a repeat, and a
/// correction be dropped after it was acknowledged. Logs hold fingerprints: the order and form of the fields must stay.
pub(super) fn fingerprint(cdr: &Cdr) -> Fingerprint {
    let Cdr { seq, sdt, edt, swidt, caller, vn, ton, memo, memo2, crid, irid, cause, closed_from, other } =
        cdr;
    let mut fields = Fields(Sha256::new());
    fields.text(Some(seq));
    for instant in [&Some(*sdt), edt, swidt] {
        fields.number(instant.map(|instant| instant.as_second()));
    }
    let (kind, number, extension) = match caller {
        Caller::Number(number) => (0, Some(number.identity().0), number.identity().1),
        Caller::Withheld => (1, None, None),
        Caller::Payphone => (2, None, None),
        Caller::Unavailable => (3, None, None),
        Caller::Unparsed(raw) => (4, Some(raw.raw()), None),
    };
    fields.number(Some(kind));
    fields.text(number);
    fields.extension(extension);
    for called in [vn, ton] {
        let (kind, number, extension) = match called {
            Some(Called::Number(number)) => (Some(0), Some(number.identity().0), number.identity().1),
            Some(Called::Unparsed(raw)) => (Some(1), Some(raw.raw()), None),
            None => (None, None, None),
        };
        fields.number(kind);
        fields.text(number);
        fields.extension(extension);
    }
    for text in [memo, memo2, crid, irid, cause, closed_from] {
        fields.text(text.as_deref());
    }
    for (name, value) in other {
        fields.text(Some(name));
        fields.text(Some(value));
    }
    let mut half = [0; 16];
    half.copy_from_slice(&fields.0.finalize()[..16]);
    half
}

struct Fields(Sha256);

impl Fields {
    fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|text| text.len().cast_signed() as i64));
        self.0.update(text.unwrap_or_default());
    }

    /// Adds nothing where there is none, so that a repeat is recognised of what was logged before there were extensions.
    fn extension(&mut self, extension: Option<&str>) {
        if let Some(extension) = extension {
            self.0.update([2]);
            self.text(Some(extension));
        }
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
}
