//! Which store owns which number, and how far each store's positions have come. The writer keeps it all in memory: it is
//! the only one that changes it, and a record would otherwise pay for four look-ups. Nothing here looks at all stores or
//! all numbers but [`Directory::load`]: a record and a change of a store cost the same however many there are.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

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
    /// Done, or possible.
    Stored(Change),
    /// Nothing was changed: other stores own these numbers.
    Conflicts(Vec<Conflict>),
}

/// What an upsert makes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It never existed before.
    Created,
    /// It was deleted, and exists again.
    Recreated,
    /// It has another name or other numbers.
    Changed,
    /// It is as it was.
    Unchanged,
}

impl Change {
    /// Whether the store did not exist.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Created | Self::Recreated)
    }
}

/// Numbers that a whole import assigns to stores. One that a store of the import loses and another gains stays with the
/// former until the latter takes it: in between, its calls would have no store.
pub(crate) type Assigned = HashSet<(NumberKind, Box<str>)>;

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
    /// Stores whose position has changed since the last commit, each once.
    dirty: Vec<i64>,
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
            if !std::mem::replace(&mut store.dirty, true) {
                self.dirty.push(key);
            }
        }
    }

    /// Writes the positions taken since the last commit, just before the next one.
    pub(super) fn write_positions(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update = connection.prepare_cached("UPDATE stores SET position = ?2 WHERE key = ?1")?;
        for key in self.dirty.drain(..) {
            if let Some(store) = self.stores.get_mut(&key) {
                update.execute(params![key, store.position])?;
                store.dirty = false;
            }
        }
        Ok(())
    }

    /// Makes a store or replaces its name and numbers; writes only what is different. With `moving`, takes numbers away
    /// from their owners.
    pub(super) fn upsert(
        &mut self,
        connection: &Connection,
        entry: &StoreEntry,
        moving: Moving,
        assigned: &Assigned,
    ) -> rusqlite::Result<Upserted> {
        let former = former(connection, &entry.id)?;
        let conflicts = self.conflicts(entry, former.as_ref().map(|former| former.key));
        if moving == Moving::Refused && !conflicts.is_empty() {
            return Ok(Upserted::Conflicts(conflicts));
        }
        let change = change(former.as_ref(), entry);
        let (key, had) = match former {
            Some(former) if former.deleted => {
                (self.make(connection, entry, self.retire(connection, former.key)?)?, Vec::new())
            }
            Some(former) => {
                if former.name != entry.name {
                    connection
                        .prepare_cached("UPDATE stores SET name = ?2 WHERE key = ?1")?
                        .execute(params![former.key, entry.name])?;
                }
                (former.key, former.numbers)
            }
            None => (self.make(connection, entry, 0)?, Vec::new()),
        };
        if change != Change::Unchanged {
            self.replace_numbers(connection, key, &had, entry, assigned)?;
        }
        Ok(Upserted::Stored(change))
    }

    fn replace_numbers(
        &mut self,
        connection: &Connection,
        store: i64,
        had: &[OwnedNumber],
        entry: &StoreEntry,
        assigned: &Assigned,
    ) -> rusqlite::Result<()> {
        let wanted: HashSet<_> = entry.numbers.iter().map(|owned| (owned.kind, &owned.number)).collect();
        let mut delete = connection.prepare_cached("DELETE FROM numbers WHERE kind = ?1 AND number = ?2")?;
        for owned in had.iter().filter(|owned| !wanted.contains(&(owned.kind, &owned.number))) {
            let number = (owned.kind, owned.number.as_str().into());
            if !assigned.contains(&number) {
                delete.execute(params![owned.kind as i64, owned.number])?;
                self.numbers.remove(&number);
            }
        }
        let had: HashMap<_, _> =
            had.iter().map(|owned| ((owned.kind, &owned.number), &owned.display)).collect();
        let mut insert = connection.prepare_cached(
            "INSERT INTO numbers (kind, number, display, store) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, number) DO UPDATE SET store = excluded.store, display = excluded.display",
        )?;
        for owned in &entry.numbers {
            if had.get(&(owned.kind, &owned.number)) != Some(&&owned.display) {
                insert.execute(params![owned.kind as i64, owned.number, owned.display, store])?;
                self.numbers.insert((owned.kind, owned.number.as_str().into()), store);
            }
        }
        Ok(())
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
        let mut delete =
            connection.prepare_cached("DELETE FROM numbers WHERE store = ?1 RETURNING kind, number")?;
        let mut rows = delete.query([key])?;
        while let Some(row) = rows.next()? {
            let number: String = row.get(1)?;
            self.numbers.remove(&(kind(row.get(0)?), number.into()));
        }
        Ok(true)
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

/// A store as it was before an upsert; one that is deleted has no numbers.
struct Former {
    key: i64,
    name: String,
    deleted: bool,
    numbers: Vec<OwnedNumber>,
}

/// The store with this id, if it exists or once did.
fn former(connection: &Connection, id: &str) -> rusqlite::Result<Option<Former>> {
    let mut select = connection.prepare_cached("SELECT key, name, deleted FROM stores WHERE id = ?1")?;
    let found = select.query_row([id], |row| {
        Ok(Former { key: row.get(0)?, name: row.get(1)?, deleted: row.get(2)?, numbers: Vec::new() })
    });
    let Some(mut former) = found.optional()? else { return Ok(None) };
    former.numbers = numbers_of(connection, former.key)?;
    Ok(Some(former))
}

/// What [`Directory::upsert`] would do now.
pub(super) fn plan(
    connection: &Connection,
    entry: &StoreEntry,
    moving: Moving,
) -> rusqlite::Result<Upserted> {
    let former = former(connection, &entry.id)?;
    let mut owner = connection.prepare_cached(
        "SELECT stores.id FROM numbers JOIN stores ON stores.key = numbers.store
         WHERE numbers.kind = ?1 AND numbers.number = ?2 AND numbers.store IS NOT ?3",
    )?;
    let mut conflicts = Vec::new();
    if moving == Moving::Refused {
        let own = former.as_ref().map(|former| former.key);
        for (index, owned) in entry.numbers.iter().enumerate() {
            let owner = owner.query_row(params![owned.kind as i64, owned.number, own], |row| row.get(0));
            conflicts.extend(owner.optional()?.map(|owner| Conflict { index, owner }));
        }
    }
    if conflicts.is_empty() {
        Ok(Upserted::Stored(change(former.as_ref(), entry)))
    } else {
        Ok(Upserted::Conflicts(conflicts))
    }
}

/// A store's numbers, by kind.
pub(super) fn numbers_of(connection: &Connection, store: i64) -> rusqlite::Result<Vec<OwnedNumber>> {
    let mut numbers = connection
        .prepare_cached("SELECT kind, number, display FROM numbers WHERE store = ?1 ORDER BY kind, number")?;
    let owned = numbers.query_map([store], |row| {
        Ok(OwnedNumber { kind: kind(row.get(0)?), number: row.get(1)?, display: row.get(2)? })
    })?;
    owned.collect()
}

fn change(former: Option<&Former>, entry: &StoreEntry) -> Change {
    let Some(former) = former else { return Change::Created };
    if former.deleted {
        return Change::Recreated;
    }
    let numbers = |owned: &[OwnedNumber]| -> HashSet<_> {
        owned.iter().map(|owned| (owned.kind, owned.number.clone(), owned.display.clone())).collect()
    };
    if former.name == entry.name && numbers(&former.numbers) == numbers(&entry.numbers) {
        Change::Unchanged
    } else {
        Change::Changed
    }
}

pub(super) fn kind(stored: i64) -> NumberKind {
    match stored {
        1 => NumberKind::VirtualNumber,
        _ => NumberKind::Line,
    }
}
