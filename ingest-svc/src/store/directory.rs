//! All stores, their numbers and their positions, in memory. Nothing here looks at all stores or at all numbers: a record and a
//! change of a store cost the same however many there are.

use std::{collections::HashMap, sync::Arc};

use super::{
    key::StoreKey,
    number::{Line, NumberKind, StoreNumber, VirtualNumber},
    upsert::{Conflict, StoreEntry},
};

/// The store to which a record's numbers lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) store: StoreKey,
    /// Which of the two numbers has found it.
    pub(crate) by: NumberKind,
}

/// The position of a store's next event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextPosition {
    pub(crate) store: StoreKey,
    pub(crate) store_id: String,
    pub(crate) position: u64,
}

/// A store in memory.
#[derive(Debug, Clone)]
pub(crate) struct StoreState {
    pub(crate) id: Arc<str>,
    /// Of its newest event.
    pub(crate) position: u64,
    /// Its position is kept, in case it is made again.
    pub(crate) deleted: bool,
    /// Whether the position was taken after the last [`Directory::take_new_positions`].
    is_new_position: bool,
}

/// Which store owns which number, and the position of each store.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    stores: HashMap<StoreKey, StoreState>,
    virtual_numbers: HashMap<VirtualNumber, StoreKey>,
    lines: HashMap<Line, StoreKey>,
    /// Stores with a new position, each once.
    new_positions: Vec<StoreKey>,
}

impl Directory {
    /// Adds a store without numbers.
    pub(crate) fn add(&mut self, key: StoreKey, id: &str, position: u64) {
        let state = StoreState { id: id.into(), position, deleted: false, is_new_position: false };
        self.stores.insert(key, state);
    }

    /// Marks a store as deleted. Its numbers are taken away one by one, with [`Self::release`].
    pub(crate) fn delete(&mut self, key: StoreKey) {
        if let Some(store) = self.stores.get_mut(&key) {
            store.deleted = true;
        }
    }

    /// Gives a number to a store.
    pub(crate) fn assign(&mut self, number: StoreNumber, store: StoreKey) {
        match number {
            StoreNumber::VirtualNumber(number) => self.virtual_numbers.insert(number, store),
            StoreNumber::Line(number) => self.lines.insert(number, store),
        };
    }

    /// Takes a number away from its store.
    pub(crate) fn release(&mut self, number: &StoreNumber) {
        match number {
            StoreNumber::VirtualNumber(number) => self.virtual_numbers.remove(number),
            StoreNumber::Line(number) => self.lines.remove(number),
        };
    }

    /// The store that a call belongs to: the owner of the virtual number; the owner of the line only if the virtual number is
    /// absent or unknown.
    pub(crate) fn route(&self, virtual_number: Option<&VirtualNumber>, line: Option<&Line>) -> Option<Route> {
        let by_virtual_number = virtual_number.and_then(|number| self.virtual_numbers.get(number));
        let by_line = || line.and_then(|number| self.lines.get(number));
        let route = |by| move |store: &StoreKey| Route { store: *store, by };
        by_virtual_number
            .map(route(NumberKind::VirtualNumber))
            .or_else(|| by_line().map(route(NumberKind::Line)))
    }

    /// The store that owns a number.
    pub(crate) fn owner(&self, number: &StoreNumber) -> Option<StoreKey> {
        match number {
            StoreNumber::VirtualNumber(number) => self.virtual_numbers.get(number),
            StoreNumber::Line(number) => self.lines.get(number),
        }
        .copied()
    }

    /// A store that [`Self::route`] or a call has named; `None`: it was deleted.
    pub(crate) fn store(&self, key: StoreKey) -> Option<&StoreState> {
        self.stores.get(&key).filter(|store| !store.deleted)
    }

    /// The position of a store's next event; [`Self::take_position`] takes it. `None`: the store was deleted.
    pub(crate) fn next_position(&self, key: StoreKey) -> Option<NextPosition> {
        self.store(key).map(|store| NextPosition {
            store: key,
            store_id: store.id.to_string(),
            position: store.position + 1,
        })
    }

    /// The position of a store's newest event, also of a deleted store.
    pub(crate) fn position(&self, key: StoreKey) -> u64 {
        self.stores.get(&key).map_or(0, |store| store.position)
    }

    /// The store's next event is written, and its position is taken.
    pub(crate) fn take_position(&mut self, key: StoreKey) {
        if let Some(store) = self.stores.get_mut(&key) {
            store.position += 1;
            if !std::mem::replace(&mut store.is_new_position, true) {
                self.new_positions.push(key);
            }
        }
    }

    /// The positions that were taken since the last call, to be written before the commit.
    pub(crate) fn take_new_positions(&mut self) -> impl Iterator<Item = (StoreKey, u64)> {
        self.new_positions.drain(..).filter_map(|key| {
            let store = self.stores.get_mut(&key)?;
            store.is_new_position = false;
            Some((key, store.position))
        })
    }

    /// The numbers of an entry that other stores own. `own`: the entry's store, if it exists.
    pub(crate) fn conflicts(&self, entry: &StoreEntry, own: Option<StoreKey>) -> Vec<Conflict> {
        let owner = |number: &StoreNumber| {
            let key = self.owner(number).filter(|key| Some(*key) != own)?;
            self.stores.get(&key).map(|store| store.id.to_string())
        };
        let numbers = entry.numbers.iter().enumerate();
        numbers
            .filter_map(|(index, owned)| owner(owned.number()).map(|owner| Conflict { index, owner }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GANGNAM: StoreKey = StoreKey(1);
    const BUSAN: StoreKey = StoreKey(2);

    #[test]
    fn the_line_counts_only_if_the_virtual_number_is_absent_or_unknown() {
        let mut directory = Directory::default();
        let (dialled, line) = (VirtualNumber::from_log("+82501"), Line::from_log("+8221"));
        directory.assign(StoreNumber::VirtualNumber(dialled.clone()), GANGNAM);
        directory.assign(StoreNumber::Line(line.clone()), BUSAN);
        let unknown = VirtualNumber::from_log("+82502");
        let route = |virtual_number, line| directory.route(virtual_number, line).map(|route| route.store);
        assert_eq!(route(Some(&dialled), Some(&line)), Some(GANGNAM));
        assert_eq!(route(Some(&unknown), Some(&line)), Some(BUSAN));
        assert_eq!(route(None, Some(&line)), Some(BUSAN));
        // The same digits as a number of the other kind.
        let (dialled, line) = (VirtualNumber::from_log("+8221"), Line::from_log("+82501"));
        assert_eq!(directory.route(Some(&dialled), Some(&line)), None);
    }

    #[test]
    fn a_position_is_written_once_however_often_it_was_taken() {
        let mut directory = Directory::default();
        directory.add(GANGNAM, "gangnam", 7);
        directory.take_position(GANGNAM);
        directory.take_position(GANGNAM);
        assert_eq!(directory.take_new_positions().collect::<Vec<_>>(), [(GANGNAM, 9)]);
        assert_eq!(directory.take_new_positions().count(), 0);
        directory.take_position(GANGNAM);
        directory.delete(GANGNAM);
        assert!(directory.store(GANGNAM).is_none());
        assert_eq!(directory.take_new_positions().collect::<Vec<_>>(), [(GANGNAM, 10)]);
    }
}
