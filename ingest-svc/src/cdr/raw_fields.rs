//! Parameters by name, before they are parsed. Empty is absent.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    mem::take,
};

use super::{
    Fault,
    fields::{FIELDS, Field},
};
use crate::{bounds::cut, phone::mask_digits};

/// Faults kept of how parameters were sent; the record's own come on top.
const MAX_FAULTS: usize = 20;

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

    /// The parameters that the contract names, in its order, and all others.
    pub(super) fn of(named: [String; FIELDS], other: HashMap<String, String>) -> Self {
        let mut fields = Self { named, ..Self::default() };
        other.into_iter().for_each(|(name, value)| fields.insert(&name, value));
        fields
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

    /// Takes a text out, cut to its limit.
    pub(super) fn take_text(&mut self, field: Field) -> Option<Box<str>> {
        let mut text = self.take(field);
        cut(&mut text, field.limit()?);
        (!text.is_empty()).then(|| text.into_boxed_str())
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
