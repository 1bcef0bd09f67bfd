//! From a `Store` as it was sent to one past the edge, and what is wrong with it. What people send is told them unmasked:
//! they have to find it in their own file.

use std::collections::HashSet;

use ringpad_proto::v1::{FieldViolation, Store};

use crate::{
    phone::PhoneNumber,
    store::{Conflict, NumberKind, OwnedNumber, StoreEntry},
};

/// Characters of a store's name at most.
const NAME: usize = 100;
/// Characters of a store's id at most.
pub(super) const ID: usize = 64;
/// Numbers of one store at most.
const NUMBERS: usize = 1_000;
/// Characters of a value that a fault shows.
const SHOWN: usize = 100;
/// Bytes of a fault beside its texts, about.
const FAULT: usize = 64;

/// A store as far as it can be read.
#[derive(Debug)]
pub(super) struct ReadStore {
    /// Complete if there are no faults.
    pub(super) entry: StoreEntry,
    /// Its id is one.
    pub(super) is_id: bool,
    /// Where each of the entry's numbers stands in its field.
    places: Vec<usize>,
    /// All of them, as far as there was room.
    pub(super) faults: Vec<FieldViolation>,
    /// How many more there are.
    pub(super) left_out: usize,
}

/// Bytes that faults may still have, about.
#[derive(Debug)]
pub(super) struct Room(pub(super) usize);

impl Room {
    /// Whether there is room for a fault, which takes it.
    pub(super) fn take(&mut self, fault: &FieldViolation) -> bool {
        let bytes = fault.field.len() + fault.description.len() + FAULT;
        let fits = bytes <= self.0;
        self.0 = self.0.saturating_sub(bytes);
        fits
    }
}

impl ReadStore {
    /// Whether it has faults, listed or only counted.
    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty() || self.left_out > 0
    }

    /// How many rows of the log it is, about.
    pub(super) fn weight(&self) -> usize {
        1 + self.entry.numbers.len()
    }

    /// The field of one of the entry's numbers, e.g. `virtual_numbers[0]`.
    pub(super) fn field(&self, index: usize) -> String {
        format!("{}[{}]", self.entry.numbers[index].kind().field(), self.places[index])
    }

    /// What is wrong with a number that another store owns.
    pub(super) fn owned_elsewhere(&self, conflict: &Conflict) -> FieldViolation {
        let number = self.entry.numbers[conflict.index].display();
        let owner = &conflict.owner;
        FieldViolation {
            field: self.field(conflict.index),
            description: format!("{number} belongs to store {owner:?}; set move_numbers to take it away"),
        }
    }
}

/// Reads a store. Once there is no more room for its faults, they are only counted.
pub(super) fn read(store: Store, room: &mut Room) -> ReadStore {
    let Store { id, name, virtual_numbers, lines } = store;
    let (mut faults, mut left_out) = (Vec::new(), 0);
    let mut fault = |field: &str, description: String| {
        let fault = FieldViolation { field: field.to_owned(), description };
        if room.take(&fault) {
            faults.push(fault);
        } else {
            left_out += 1;
        }
    };
    let id_is_right = (1..=ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !id_is_right {
        let expected = format!("1–{ID} characters of A–Z a–z 0–9 . _ - are expected");
        fault("id", format!("{} is no store id: {expected}", shown(&id)));
    }
    let name = name.trim();
    if !(1..=NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let expected = format!("1–{NAME} printable characters are expected");
        fault("name", format!("{} is no name: {expected}", shown(name)));
    }
    let sent = virtual_numbers.len() + lines.len();
    if sent > NUMBERS {
        fault("virtual_numbers", format!("{sent} numbers with the lines; {NUMBERS} at most are expected"));
    }
    let (mut numbers, mut places, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    let of = |kind, texts: Vec<String>| {
        texts.into_iter().enumerate().map(move |(place, text)| (kind, place, text))
    };
    let sent = of(NumberKind::VirtualNumber, virtual_numbers).chain(of(NumberKind::Line, lines));
    for (kind, place, text) in sent.take(NUMBERS) {
        match PhoneNumber::parse(&text) {
            Some(number) => {
                let owned = OwnedNumber::new(kind, &number);
                if known.insert(owned.number().clone()) {
                    numbers.push(owned);
                    places.push(place);
                }
            }
            None => fault(
                &format!("{}[{place}]", kind.field()),
                format!(
                    "{} is no phone number; digits are expected, e.g. 0507-1234-5678",
                    shown(text.trim())
                ),
            ),
        }
    }
    let entry = StoreEntry { id, name: name.to_owned(), numbers };
    ReadStore { entry, is_id: id_is_right, places, faults, left_out }
}

/// A value in quotes, with an end, and with nothing that would steer a terminal.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_told_with_what_was_sent() {
        let text = |text: &str| text.to_owned();
        let store = Store {
            id: text("강남"),
            name: text("\u{1b}[2J"),
            virtual_numbers: vec![text("0507-1234-5678"), text("05071234567a"), text("0507 1234 5678")],
            lines: vec![text("x").repeat(500), text("02-555-0101")],
        };
        let read = read(store.clone(), &mut Room(10_000));
        let faults: Vec<_> =
            read.faults.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
        assert_eq!(
            faults[0],
            "id: \"강남\" is no store id: 1–64 characters of A–Z a–z 0–9 . _ - are expected"
        );
        assert_eq!(faults[1], "name: \"\\u{1b}[2J\" is no name: 1–100 printable characters are expected");
        assert!(
            faults[2].starts_with("virtual_numbers[1]: \"05071234567a\" is no phone number; "),
            "{faults:?}"
        );
        assert!(faults[3].starts_with("lines[0]: \"xxx") && faults[3].len() < 250, "{faults:?}");
        assert_eq!(faults.len(), 4);
        // What can be read is read, and known by its place.
        let fields: Vec<_> = (0..read.entry.numbers.len()).map(|index| read.field(index)).collect();
        assert_eq!(fields, ["virtual_numbers[0]", "lines[1]"]);
        // What has no room is counted.
        let mut room = Room(200);
        let short = super::read(store.clone(), &mut room);
        assert_eq!((short.faults.as_slice(), short.left_out), (&read.faults[..1], 3));
        // Nor is it right for want of room.
        let unlisted = super::read(store, &mut Room(0));
        assert!(unlisted.faults.is_empty() && unlisted.is_faulty());
    }

    #[test]
    fn no_more_numbers_are_read_than_a_store_may_have() {
        let store = Store {
            id: "a".to_owned(),
            name: "a".to_owned(),
            virtual_numbers: vec![String::new(); 100_000],
            lines: vec![],
        };
        let read = read(store, &mut Room(usize::MAX));
        assert_eq!((read.faults.len(), read.left_out), (NUMBERS + 1, 0));
    }
}
