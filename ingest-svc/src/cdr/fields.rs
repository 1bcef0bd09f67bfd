//! Parameters by name, before they are parsed. Empty is absent.

use std::{collections::BTreeMap, fmt, mem::take};

use ringpad_proto::v1;

use super::Fault;
use crate::phone::mask_digits;

/// A parameter that the contract names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The provider's name for the call.
    Seq,
    /// When the call began.
    Sdt,
    /// When it was over.
    Edt,
    /// When it was connected.
    Swidt,
    /// The caller.
    Fromn,
    /// The virtual number that was dialled.
    Vn,
    /// The line behind it.
    Ton,
    /// A text.
    Memo,
    /// Another text.
    Memo2,
    /// As received.
    Crid,
    /// As received.
    Irid,
    /// As received.
    Cause,
    /// As received.
    ClosedFrom,
}

/// How many parameters the contract names: all up to the last one.
const FIELDS: usize = Field::ClosedFrom as usize + 1;
/// Faults kept of how parameters were sent; the record's own come on top.
const MAX_FAULTS: usize = 20;

impl Field {
    /// All of them, in the contract's order.
    pub const ALL: [Self; FIELDS] = [
        Self::Seq,
        Self::Sdt,
        Self::Edt,
        Self::Swidt,
        Self::Fromn,
        Self::Vn,
        Self::Ton,
        Self::Memo,
        Self::Memo2,
        Self::Crid,
        Self::Irid,
        Self::Cause,
        Self::ClosedFrom,
    ];

    /// The parameter's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Sdt => "sdt",
            Self::Edt => "edt",
            Self::Swidt => "swidt",
            Self::Fromn => "fromn",
            Self::Vn => "vn",
            Self::Ton => "ton",
            Self::Memo => "memo",
            Self::Memo2 => "memo2",
            Self::Crid => "crid",
            Self::Irid => "irid",
            Self::Cause => "cause",
            Self::ClosedFrom => "closed_from",
        }
    }

    /// The parameter of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// The parameters of one record as they came, decoded to text. `Debug` shows no values, and names masked.
#[derive(Clone, Default)]
pub struct RawFields {
    named: [String; FIELDS],
    pub(super) other: BTreeMap<String, String>,
    pub(super) faults: Vec<Fault>,
}

impl RawFields {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter. An empty one is absent, and so does not count. A parameter that the contract names and that was
    /// there before with another value is a fault of the record: which of the two is meant cannot be known. Of any other
    /// all values are kept, as HTTP joins a list.
    pub fn insert(&mut self, name: &str, value: String) {
        if value.is_empty() {
            return;
        }
        let named = Field::named(name);
        let slot = match named {
            Some(field) => &mut self.named[field as usize],
            None => self.other.entry(name.to_owned()).or_default(),
        };
        if slot.is_empty() {
            *slot = value;
        } else if *slot == value {
            // Said twice.
        } else if named.is_some() {
            self.fault(name, "is given more than once, with different values; one is expected".to_owned());
        } else {
            slot.push_str(", ");
            slot.push_str(&value);
        }
    }

    /// Adds something that is wrong with a parameter; the record will have this fault beside those of its own. Only the
    /// first few are kept, for a sender may have thousands.
    pub fn fault(&mut self, name: &str, message: String) {
        if self.faults.len() < MAX_FAULTS {
            // A name is the sender's, too, and might hold a number.
            self.faults.push(Fault { field: mask_digits(name), message });
        }
    }

    /// The value of a parameter of any name, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = match Field::named(name) {
            Some(field) => &self.named[field as usize],
            None => self.other.get(name)?,
        };
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Takes a parameter out; empty if it is absent.
    pub(super) fn take(&mut self, field: Field) -> String {
        take(&mut self.named[field as usize])
    }
}

impl fmt::Debug for RawFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            Field::ALL.into_iter().filter(|field| !self.named[*field as usize].is_empty()).map(Field::name);
        // A name is the sender's, too, and might hold a number.
        let other = self.other.keys().map(|name| mask_digits(name));
        f.debug_set().entries(named).entries(other).finish()
    }
}

/// Each field by its name on both sides, so that none takes another's place, and a new one cannot be forgotten.
impl From<v1::Cdr> for RawFields {
    fn from(cdr: v1::Cdr) -> Self {
        let v1::Cdr {
            mut seq,
            mut sdt,
            mut edt,
            mut fromn,
            mut vn,
            mut ton,
            mut swidt,
            mut memo,
            mut memo2,
            mut crid,
            mut irid,
            mut cause,
            mut closed_from,
            other,
        } = cdr;
        let value = |field| match field {
            Field::Seq => take(&mut seq),
            Field::Sdt => take(&mut sdt),
            Field::Edt => take(&mut edt),
            Field::Swidt => take(&mut swidt),
            Field::Fromn => take(&mut fromn),
            Field::Vn => take(&mut vn),
            Field::Ton => take(&mut ton),
            Field::Memo => take(&mut memo),
            Field::Memo2 => take(&mut memo2),
            Field::Crid => take(&mut crid),
            Field::Irid => take(&mut irid),
            Field::Cause => take(&mut cause),
            Field::ClosedFrom => take(&mut closed_from),
        };
        let mut fields = Self { named: Field::ALL.map(value), ..Self::default() };
        for (name, value) in other {
            fields.insert(&name, value);
        }
        fields
    }
}
