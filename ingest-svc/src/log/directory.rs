//! Which store owns which number, and how far each store's positions have come. The writer keeps it all in memory: it is
//! the only one that changes it, and a record would otherwise pay for four look-ups.

use std::{collections::HashMap, fmt, sync::Arc};

use rusqlite::{Connection, OptionalExtension, params};

/// What a number is to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// The 050 number that customers dial.
    VirtualNumber = 1,
    /// The real number behind it.
    Line = 2,
}

impl NumberKind {
    /// The field of `ringpad.v1.Store` that holds it.
    pub fn field(self) -> &'static str {
        match self {
            Self::VirtualNumber => "virtual_numbers",
            Self::Line => "lines",
        }
    }
}

/// A number as the directory knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedNumber {
    /// What it is to the store.
    pub kind: NumberKind,
    /// E.164: what records are matched by.
    pub number: String,
    /// As people write it.
    pub display: String,
}

/// Without the number.
impl fmt::Debug for OwnedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedNumber").field("kind", &self.kind).finish_non_exhaustive()
    }
}

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
    /// Where it stands in [`StoreEntry::numbers`].
    pub index: usize,
    /// The store that owns it.
    pub owner: String,
}

/// What an upsert did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upserted {
    /// Done, or possible; true if the store did not exist.
    Stored(bool),
    /// Nothing was changed: other stores own these numbers.
    Conflicts(Vec<Conflict>),
}

/// To which store a number leads.
pub(super) struct Route<'a> {
    pub(super) kind: NumberKind,
    pub(super) number: &'a str,
    pub(super) store: i64,
}

/// A store in memory.
#[derive(Debug, Clone)]
pub(super) struct StoreState {
    pub(super) id: Arc<str>,
    pub(super) position: u64,
    dirty: bool,
    /// Its position is kept for the day it comes back.
    deleted: bool,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Directory {
    stores: HashMap<i64, StoreState>,
    numbers: HashMap<(NumberKind, Box<str>), i64>,
}

impl Directory {
    /// Reads the directory; also after a failed commit, when memory may be ahead of the file.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut directory = Self::default();
        let mut stores = connection.prepare_cached("SELECT key, id, position, deleted FROM stores")?;
        let mut rows = stores.query([])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(1)?;
            let state =
                StoreState { id: id.into(), position: row.get(2)?, dirty: false, deleted: row.get(3)? };
            directory.stores.insert(row.get(0)?, state);
        }
        let mut numbers = connection.prepare_cached("SELECT kind, number, store FROM numbers")?;
        let mut rows = numbers.query([])?;
        while let Some(row) = rows.next()? {
            let number: String = row.get(1)?;
            directory.numbers.insert((kind(row.get(0)?), number.into()), row.get(2)?);
        }
        Ok(directory)
    }

    /// The store that a call belongs to: the owner of the virtual number; of the line only if the virtual number is
    /// absent or unknown.
    pub(super) fn route<'a>(
        &self,
        virtual_number: Option<&'a str>,
        line: Option<&'a str>,
    ) -> Option<Route<'a>> {
        let owner = |kind, number: &'a str| {
            self.numbers.get(&(kind, number.into())).map(|store| Route { kind, number, store: *store })
        };
        virtual_number
            .and_then(|number| owner(NumberKind::VirtualNumber, number))
            .or_else(|| line.and_then(|number| owner(NumberKind::Line, number)))
    }

    /// A store that [`Self::route`] or a call's row has named; `None`: it was deleted.
    pub(super) fn store(&self, key: i64) -> Option<&StoreState> {
        self.stores.get(&key).filter(|store| !store.deleted)
    }

    /// The store's event is written: its position is taken.
    pub(super) fn take_position(&mut self, key: i64) {
        if let Some(store) = self.stores.get_mut(&key) {
            store.position += 1;
            store.dirty = true;
        }
    }

    /// Writes the positions taken since the last commit, just before the next one.
    pub(super) fn write_positions(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update = connection.prepare_cached("UPDATE stores SET position = ?2 WHERE key = ?1")?;
        for (key, store) in self.stores.iter_mut().filter(|(_, store)| store.dirty) {
            update.execute(params![key, store.position])?;
            store.dirty = false;
        }
        Ok(())
    }

    /// Makes a store or replaces its name and numbers. With `moving`, takes numbers away from their owners.
    pub(super) fn upsert(
        &mut self,
        connection: &Connection,
        entry: &StoreEntry,
        moving: Moving,
    ) -> rusqlite::Result<Upserted> {
        let known = known(connection, &entry.id)?;
        let outcome = self.check(connection, entry, moving)?;
        if matches!(outcome, Upserted::Conflicts(_)) {
            return Ok(outcome);
        }
        let key = match known {
            Some((key, false)) => {
                connection
                    .prepare_cached("UPDATE stores SET name = ?2 WHERE key = ?1")?
                    .execute(params![key, entry.name])?;
                key
            }
            Some((former, true)) => self.make(connection, entry, self.retire(connection, former)?)?,
            None => self.make(connection, entry, 0)?,
        };
        self.forget_numbers(connection, key)?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO numbers (kind, number, display, store) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, number) DO UPDATE SET store = excluded.store, display = excluded.display",
        )?;
        for owned in &entry.numbers {
            insert.execute(params![owned.kind as i64, owned.number, owned.display, key])?;
            self.numbers.insert((owned.kind, owned.number.as_str().into()), key);
        }
        Ok(outcome)
    }

    /// A store that is new, or was deleted when its position was this.
    fn make(&mut self, connection: &Connection, entry: &StoreEntry, position: u64) -> rusqlite::Result<i64> {
        connection
            .prepare_cached("INSERT INTO stores (id, name, position) VALUES (?1, ?2, ?3)")?
            .execute(params![entry.id, entry.name, position])?;
        let key = connection.last_insert_rowid();
        let state = StoreState { id: entry.id.as_str().into(), position, dirty: false, deleted: false };
        self.stores.insert(key, state);
        Ok(key)
    }

    /// Takes the id away from a deleted store, for a new one that has none of its calls, callers and events, and goes on from
    /// its position. What it has left is deleted little by little.
    fn retire(&self, connection: &Connection, key: i64) -> rusqlite::Result<u64> {
        // No store id begins with a space.
        connection
            .prepare_cached("UPDATE stores SET id = ' former ' || key WHERE key = ?1")?
            .execute([key])?;
        Ok(self.stores.get(&key).map_or(0, |store| store.position))
    }

    /// What [`Self::upsert`] would do; changes nothing.
    pub(super) fn check(
        &self,
        connection: &Connection,
        entry: &StoreEntry,
        moving: Moving,
    ) -> rusqlite::Result<Upserted> {
        let known = known(connection, &entry.id)?;
        let conflicts = self.conflicts(entry, known.map(|(key, _)| key));
        if moving == Moving::Refused && !conflicts.is_empty() {
            return Ok(Upserted::Conflicts(conflicts));
        }
        Ok(Upserted::Stored(known.is_none_or(|(_, deleted)| deleted)))
    }

    /// Removes a store and its numbers; its position stays, for the day it comes back. What it has left is deleted little by
    /// little. False: there is none.
    pub(super) fn delete(&mut self, connection: &Connection, id: &str) -> rusqlite::Result<bool> {
        let key: Option<i64> = connection
            .prepare_cached("UPDATE stores SET deleted = 1 WHERE id = ?1 AND deleted = 0 RETURNING key")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let Some(key) = key else { return Ok(false) };
        if let Some(store) = self.stores.get_mut(&key) {
            store.deleted = true;
        }
        self.forget_numbers(connection, key)?;
        Ok(true)
    }

    fn forget_numbers(&mut self, connection: &Connection, store: i64) -> rusqlite::Result<()> {
        connection.prepare_cached("DELETE FROM numbers WHERE store = ?1")?.execute([store])?;
        self.numbers.retain(|_, owner| *owner != store);
        Ok(())
    }

    fn conflicts(&self, entry: &StoreEntry, own: Option<i64>) -> Vec<Conflict> {
        let owner = |owned: &OwnedNumber| {
            let key = *self.numbers.get(&(owned.kind, owned.number.as_str().into()))?;
            (Some(key) != own).then(|| self.stores.get(&key).map(|store| store.id.to_string())).flatten()
        };
        let numbers = entry.numbers.iter().enumerate();
        numbers.filter_map(|(index, owned)| owner(owned).map(|owner| Conflict { index, owner })).collect()
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

/// The key of a store that exists or once did, and whether it is deleted.
fn known(connection: &Connection, id: &str) -> rusqlite::Result<Option<(i64, bool)>> {
    let mut select = connection.prepare_cached("SELECT key, deleted FROM stores WHERE id = ?1")?;
    select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

pub(super) fn kind(stored: i64) -> NumberKind {
    match stored {
        1 => NumberKind::VirtualNumber,
        _ => NumberKind::Line,
    }
}
