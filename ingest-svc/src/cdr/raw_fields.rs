//! Parameters by name, before they are parsed. An empty one is absent.

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

/// Faults of how parameters were sent that are kept; those of the record are added.
const MAX_FAULTS: usize = 20;

/// The parameters of one record as received, decoded to text. `Debug` shows no values, and names masked.
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

    /// Known parameters in the order of [`Field`], and unknown ones.
    pub(super) fn of(named: [String; FIELDS], other: HashMap<String, String>) -> Self {
        let mut fields = Self { named, ..Self::default() };
        other.into_iter().for_each(|(name, value)| fields.insert(&name, value));
        fields
    }

    /// Adds a parameter, unless it is empty. A known parameter with two different values is a fault of the record, because
    /// nobody can know which one is meant. Of an unknown parameter all values are kept, joined like a list in HTTP.
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
            // The same value again.
        } else if named.is_some() {
            self.fault(name, "is given more than once, with different values; one is expected".to_owned());
        } else {
            slot.push_str(", ");
            slot.push_str(&value);
        }
    }

    /// Adds a fault of a parameter, which the record will have too. Only the first 20 are kept, because a request may have
    /// thousands.
    pub fn fault(&mut self, name: &str, message: String) {
        if self.faults.len() < MAX_FAULTS {
            // The sender chooses the name, which may contain a number.
            self.faults.push(Fault { field: mask_digits(name), message });
        }
    }

    /// The value of a known or unknown parameter, if there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = match Field::named(name) {
            Some(field) => &self.named[field as usize],
            None => self.other.get(name)?,
        };
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Removes a parameter, and returns its value; empty if it is absent.
    pub(super) fn take(&mut self, field: Field) -> String {
        take(&mut self.named[field as usize])
    }

    /// Removes a text, and returns it, cut to its limit.
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
        // The sender chooses the name, which may contain a number.
        let other = self.other.keys().map(|name| mask_digits(name));
        f.debug_set().entries(named).entries(other).finish()
    }
}
