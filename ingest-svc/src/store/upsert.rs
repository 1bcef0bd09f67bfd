//! What it takes to make a store, or to replace its name and numbers.

use std::collections::{HashMap, HashSet};

use super::{
    key::StoreKey,
    number::{OwnedNumber, StoreNumber},
};

/// A store to be made or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// The adopter's own id.
    pub id: String,
    /// What pads show.
    pub name: String,
    /// All its numbers.
    pub numbers: Vec<OwnedNumber>,
}

/// A number that another store owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its index in [`StoreEntry::numbers`].
    pub index: usize,
    /// The store that owns it.
    pub owner: String,
}

/// What an upsert did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upserted {
    /// Done, or possible.
    Stored(Change),
    /// Nothing was changed: other stores own these numbers.
    Conflicts(Vec<Conflict>),
}

/// Which outcomes tell push-svc to ask the log about the store. A deletion always does.
impl Upserted {
    /// After an upsert of one store: also if nothing is different.
    pub(crate) fn hints_pads(&self) -> bool {
        matches!(self, Self::Stored(_))
    }

    /// After an import: only if the store has existed before and is different now. No pad can have a new store, and thousands of
    /// hints would only keep the bus busy.
    pub(crate) fn hints_pads_after_import(&self) -> bool {
        matches!(self, Self::Stored(Change::Recreated | Change::Changed))
    }
}

/// What an upsert changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The store has never existed before.
    Created,
    /// It was deleted, and exists again.
    Recreated,
    /// It has another name or other numbers.
    Changed,
    /// Nothing.
    Unchanged,
}

impl Change {
    /// Whether the store did not exist.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Created | Self::Recreated)
    }
}

/// Whether an upsert may take numbers away from other stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moving {
    /// It may not: a number that another store owns is a conflict.
    Refused,
    /// It may.
    Allowed,
}

/// The numbers that a whole import assigns to stores. A number that one store of the import loses and another store gains stays
/// with the first until the second takes it. Otherwise its calls would have no store for a while.
pub(crate) type Assigned = HashSet<StoreNumber>;

/// A store before an upsert. A deleted store has no numbers.
#[derive(Debug, Clone)]
pub(crate) struct ExistingStore {
    pub(crate) key: StoreKey,
    pub(crate) name: String,
    pub(crate) deleted: bool,
    pub(crate) numbers: Vec<OwnedNumber>,
}

/// What an upsert of `entry` does. `existing`: the store with its id; `conflicts`: its numbers that other stores own.
pub(crate) fn plan(
    entry: &StoreEntry,
    existing: Option<&ExistingStore>,
    conflicts: Vec<Conflict>,
    moving: Moving,
) -> Upserted {
    if moving == Moving::Refused && !conflicts.is_empty() {
        return Upserted::Conflicts(conflicts);
    }
    Upserted::Stored(match existing {
        None => Change::Created,
        Some(existing) if existing.deleted => Change::Recreated,
        Some(existing) if existing.name == entry.name && has_same_numbers(existing, entry) => {
            Change::Unchanged
        }
        Some(_) => Change::Changed,
    })
}

fn has_same_numbers(existing: &ExistingStore, entry: &StoreEntry) -> bool {
    existing.numbers.iter().collect::<HashSet<_>>() == entry.numbers.iter().collect()
}

/// Which numbers a store that has had the numbers `before` loses, and which ones are to be written.
pub(crate) fn changed_numbers<'a>(
    before: &'a [OwnedNumber],
    entry: &'a StoreEntry,
    assigned: &Assigned,
) -> (Vec<&'a StoreNumber>, Vec<&'a OwnedNumber>) {
    let wanted: HashSet<_> = entry.numbers.iter().map(OwnedNumber::number).collect();
    let lost = before.iter().map(OwnedNumber::number);
    let lost = lost.filter(|number| !wanted.contains(number) && !assigned.contains(*number)).collect();
    let displays: HashMap<_, _> = before.iter().map(|owned| (owned.number(), owned.display())).collect();
    let is_written = |owned: &&OwnedNumber| displays.get(owned.number()) != Some(&owned.display());
    (lost, entry.numbers.iter().filter(is_written).collect())
}
