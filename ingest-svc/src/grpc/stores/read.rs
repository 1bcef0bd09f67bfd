//! From a `Store` as it was sent to a parsed one, and its faults. Faults show values unmasked: the sender has to find them in
//! its own file.

use std::collections::HashSet;

use ringpad_proto::v1::{FieldViolation, Store};

use super::super::faults::{FaultBudget, FaultList, shown};
use crate::{
    capacity::{STORE, StoreCapacity},
    phone::PhoneNumber,
    store::{Conflict, NumberKind, OwnedNumber, StoreEntry},
};

/// A store as far as it could be parsed.
#[derive(Debug)]
pub(super) struct ParsedStore {
    /// Complete if there are no faults.
    pub(super) entry: StoreEntry,
    /// Its id is valid.
    pub(super) has_valid_id: bool,
    /// The index of each of the entry's numbers in its field.
    indexes: Vec<usize>,
    /// As many as the budget allows.
    pub(super) faults: Vec<FieldViolation>,
    /// How many more there are.
    pub(super) left_out: usize,
}

impl ParsedStore {
    /// Whether it has faults, listed or counted.
    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty() || self.left_out > 0
    }

    /// How many rows it has in the log, approximately.
    pub(super) fn weight(&self) -> usize {
        1 + self.entry.numbers.len()
    }

    /// The field of one of the entry's numbers, e.g. `virtual_numbers[0]`.
    pub(super) fn field(&self, index: usize) -> String {
        format!("{}[{}]", self.entry.numbers[index].kind().field(), self.indexes[index])
    }

    /// The fault of a number that another store owns.
    pub(super) fn owned_elsewhere(&self, conflict: &Conflict) -> FieldViolation {
        let number = self.entry.numbers[conflict.index].display();
        let owner = &conflict.owner;
        FieldViolation {
            field: self.field(conflict.index),
            description: format!("{number} belongs to store {owner:?}; set move_numbers to move it"),
        }
    }
}

/// Parses a store. Faults beyond the budget are only counted.
pub(super) fn parse(store: Store, budget: &mut FaultBudget) -> ParsedStore {
    let Store { id, name, virtual_numbers, lines } = store;
    let StoreCapacity { id: longest_id, name: longest_name, numbers: most_numbers } = STORE;
    let mut faults = FaultList::new(budget);
    let has_valid_id = (1..=longest_id).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !has_valid_id {
        let expected = format!("1–{longest_id} characters of A–Z a–z 0–9 . _ - are expected");
        faults.add("id", format!("{} is not a valid store id: {expected}", shown(&id)));
    }
    let name = name.trim();
    if !(1..=longest_name).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let expected = format!("1–{longest_name} printable characters are expected");
        faults.add("name", format!("{} is not a valid name: {expected}", shown(name)));
    }
    let sent = virtual_numbers.len() + lines.len();
    if sent > most_numbers {
        let most = format!("{sent} numbers with the lines; {most_numbers} at most are expected");
        faults.add("virtual_numbers", most);
    }
    let of = |kind, texts: Vec<String>| {
        texts.into_iter().enumerate().map(move |(index, text)| (kind, index, text))
    };
    let sent = of(NumberKind::VirtualNumber, virtual_numbers).chain(of(NumberKind::Line, lines));
    let (numbers, indexes) = parse_numbers(sent.take(most_numbers), &mut faults);
    let entry = StoreEntry { id, name: name.to_owned(), numbers };
    let FaultList { listed, left_out, .. } = faults;
    ParsedStore { entry, has_valid_id, indexes, faults: listed, left_out }
}

/// The different numbers among those that were sent, and the index of each in its field.
fn parse_numbers(
    sent: impl Iterator<Item = (NumberKind, usize, String)>,
    faults: &mut FaultList<'_>,
) -> (Vec<OwnedNumber>, Vec<usize>) {
    let (mut numbers, mut indexes, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (kind, index, text) in sent {
        let Some(number) = PhoneNumber::parse(&text) else {
            let shown = shown(text.trim());
            let fault = format!("{shown} is not a phone number; digits are expected, e.g. 0507-1234-5678");
            faults.add(&format!("{}[{index}]", kind.field()), fault);
            continue;
        };
        let owned = OwnedNumber::new(kind, &number);
        if known.insert(owned.number().clone()) {
            numbers.push(owned);
            indexes.push(index);
        }
    }
    (numbers, indexes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_reported_with_the_values_that_were_sent() {
        let text = |text: &str| text.to_owned();
        let store = Store {
            id: text("강남"),
            name: text("\u{1b}[2J"),
            virtual_numbers: vec![text("0507-1234-5678"), text("05071234567a"), text("0507 1234 5678")],
            lines: vec![text("x").repeat(500), text("02-555-0101")],
        };
        let parsed = parse(store.clone(), &mut FaultBudget(10_000));
        let faults: Vec<_> =
            parsed.faults.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
        assert_eq!(
            faults[0],
            "id: \"강남\" is not a valid store id: 1–64 characters of A–Z a–z 0–9 . _ - are expected"
        );
        assert_eq!(
            faults[1],
            "name: \"\\u{1b}[2J\" is not a valid name: 1–100 printable characters are expected"
        );
        assert!(
            faults[2].starts_with("virtual_numbers[1]: \"05071234567a\" is not a phone number; "),
            "{faults:?}"
        );
        assert!(faults[3].starts_with("lines[0]: \"xxx") && faults[3].len() < 250, "{faults:?}");
        assert_eq!(faults.len(), 4);
        // Valid numbers are parsed, and keep their index.
        let fields: Vec<_> = (0..parsed.entry.numbers.len()).map(|index| parsed.field(index)).collect();
        assert_eq!(fields, ["virtual_numbers[0]", "lines[1]"]);
        // Faults beyond the budget are counted.
        let mut budget = FaultBudget(200);
        let short = super::parse(store.clone(), &mut budget);
        assert_eq!((short.faults.as_slice(), short.left_out), (&parsed.faults[..1], 3));
        // Without a budget, too, the store is faulty.
        let unlisted = super::parse(store, &mut FaultBudget(0));
        assert!(unlisted.faults.is_empty() && unlisted.is_faulty());
    }

    #[test]
    fn a_store_with_too_many_numbers_is_not_parsed_completely() {
        let store = Store {
            id: "a".to_owned(),
            name: "a".to_owned(),
            virtual_numbers: vec![String::new(); 100_000],
            lines: vec![],
        };
        let parsed = parse(store, &mut FaultBudget(usize::MAX));
        assert_eq!((parsed.faults.len(), parsed.left_out), (STORE.numbers + 1, 0));
    }
}
