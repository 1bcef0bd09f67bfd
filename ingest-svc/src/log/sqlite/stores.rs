//! The tables of stores and their numbers, and the directory as it is read from them.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::{
    Assigned, Change, Conflict, Directory, ExistingStore, Moving, NumberKind, OwnedNumber, StoreEntry,
    StoreKey, StoreNumber, Upserted, changed_numbers, plan,
};

/// Reads the directory: at the start, and after a failed commit, when memory may be ahead of the file.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Directory> {
    let mut directory = Directory::default();
    let mut stores = connection.prepare_cached("SELECT key, id, position, deleted FROM stores")?;
    let mut rows = stores.query([])?;
    while let Some(row) = rows.next()? {
        let key = row.get(0)?;
        directory.add(key, row.get_ref(1)?.as_str()?, row.get(2)?);
        if row.get(3)? {
            directory.delete(key);
        }
    }
    let mut numbers = connection.prepare_cached("SELECT kind, number, store FROM numbers")?;
    let mut rows = numbers.query([])?;
    while let Some(row) = rows.next()? {
        directory.assign(StoreNumber::from_log(row.get(0)?, row.get_ref(1)?.as_str()?), row.get(2)?);
    }
    Ok(directory)
}

/// The store with this id, unless it was deleted.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<StoreKey>> {
    connection
        .prepare_cached("SELECT key FROM stores WHERE id = ?1 AND deleted = 0")?
        .query_row([id], |row| row.get(0))
        .optional()
}

/// Writes the positions taken since the last commit, just before the next one.
pub(super) fn write_positions(connection: &Connection, directory: &mut Directory) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE stores SET position = ?2 WHERE key = ?1")?;
    directory
        .take_new_positions()
        .try_for_each(|(key, position)| update.execute(params![key, position]).map(|_| ()))
}

/// Makes a store or replaces its name and numbers; writes only what is different. With `moving`, takes numbers away from their
/// owners.
pub(super) fn upsert(
    connection: &Connection,
    directory: &mut Directory,
    entry: &StoreEntry,
    moving: Moving,
    assigned: &Assigned,
) -> rusqlite::Result<Upserted> {
    let existing = existing(connection, &entry.id)?;
    let conflicts = directory.conflicts(entry, existing.as_ref().map(|existing| existing.key));
    let outcome = plan(entry, existing.as_ref(), conflicts, moving);
    if outcome == Upserted::Stored(Change::Unchanged) || matches!(outcome, Upserted::Conflicts(_)) {
        return Ok(outcome);
    }
    let (key, before) = match existing {
        None => (insert(connection, directory, entry, 0)?, Vec::new()),
        Some(existing) if existing.deleted => {
            let position = retire(connection, directory, existing.key)?;
            (insert(connection, directory, entry, position)?, Vec::new())
        }
        Some(existing) => {
            if existing.name != entry.name {
                connection
                    .prepare_cached("UPDATE stores SET name = ?2 WHERE key = ?1")?
                    .execute(params![existing.key, entry.name])?;
            }
            (existing.key, existing.numbers)
        }
    };
    let (lost, written) = changed_numbers(&before, entry, assigned);
    let mut delete = connection.prepare_cached("DELETE FROM numbers WHERE kind = ?1 AND number = ?2")?;
    for number in lost {
        delete.execute(params![number.kind(), number.as_str()])?;
        directory.release(number);
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO numbers (kind, number, display, store) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, number) DO UPDATE SET store = excluded.store, display = excluded.display",
    )?;
    for owned in written {
        insert.execute(params![owned.kind(), owned.number().as_str(), owned.display(), key])?;
        directory.assign(owned.number().clone(), key);
    }
    Ok(outcome)
}

/// A store that is new, or was deleted when its position was this.
fn insert(
    connection: &Connection,
    directory: &mut Directory,
    entry: &StoreEntry,
    position: u64,
) -> rusqlite::Result<StoreKey> {
    connection
        .prepare_cached("INSERT INTO stores (id, name, position) VALUES (?1, ?2, ?3)")?
        .execute(params![entry.id, entry.name, position])?;
    let key = StoreKey(connection.last_insert_rowid());
    directory.add(key, &entry.id, position);
    Ok(key)
}

/// Takes the id away from a deleted store, for a new one. That has none of its calls, callers and events, and continues from its
/// position, which is returned. What the deleted store has left is deleted little by little.
fn retire(connection: &Connection, directory: &Directory, key: StoreKey) -> rusqlite::Result<u64> {
    // No store id begins with a space.
    connection.prepare_cached("UPDATE stores SET id = ' former ' || key WHERE key = ?1")?.execute([key])?;
    Ok(directory.position(key))
}

/// Removes a store and its numbers; its position stays, in case it is made again. What it has left is deleted little by little.
/// False: there is no such store.
pub(super) fn delete(connection: &Connection, directory: &mut Directory, id: &str) -> rusqlite::Result<bool> {
    let key: Option<StoreKey> = connection
        .prepare_cached("UPDATE stores SET deleted = 1 WHERE id = ?1 AND deleted = 0 RETURNING key")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(key) = key else { return Ok(false) };
    directory.delete(key);
    let mut delete =
        connection.prepare_cached("DELETE FROM numbers WHERE store = ?1 RETURNING kind, number")?;
    let mut rows = delete.query([key])?;
    while let Some(row) = rows.next()? {
        directory.release(&StoreNumber::from_log(row.get(0)?, row.get_ref(1)?.as_str()?));
    }
    Ok(true)
}

/// The store with this id, if it exists or once did.
fn existing(connection: &Connection, id: &str) -> rusqlite::Result<Option<ExistingStore>> {
    let mut select = connection.prepare_cached("SELECT key, name, deleted FROM stores WHERE id = ?1")?;
    let found = select.query_row([id], |row| {
        Ok(ExistingStore { key: row.get(0)?, name: row.get(1)?, deleted: row.get(2)?, numbers: Vec::new() })
    });
    let Some(mut existing) = found.optional()? else { return Ok(None) };
    existing.numbers = numbers_of(connection, existing.key)?;
    Ok(Some(existing))
}

/// What [`upsert`] would do now, read from the tables alone: the directory is the writer's.
pub(super) fn plan_upsert(
    connection: &Connection,
    entry: &StoreEntry,
    moving: Moving,
) -> rusqlite::Result<Upserted> {
    let existing = existing(connection, &entry.id)?;
    let mut owner = connection.prepare_cached(
        "SELECT stores.id FROM numbers JOIN stores ON stores.key = numbers.store
         WHERE numbers.kind = ?1 AND numbers.number = ?2 AND numbers.store IS NOT ?3",
    )?;
    let mut conflicts = Vec::new();
    if moving == Moving::Refused {
        let own = existing.as_ref().map(|existing| existing.key);
        for (index, owned) in entry.numbers.iter().enumerate() {
            let number = owned.number();
            let owner = owner.query_row(params![number.kind(), number.as_str(), own], |row| row.get(0));
            conflicts.extend(owner.optional()?.map(|owner| Conflict { index, owner }));
        }
    }
    Ok(plan(entry, existing.as_ref(), conflicts, moving))
}

/// A store's numbers, by kind.
pub(super) fn numbers_of(connection: &Connection, store: StoreKey) -> rusqlite::Result<Vec<OwnedNumber>> {
    let mut numbers = connection
        .prepare_cached("SELECT kind, number, display FROM numbers WHERE store = ?1 ORDER BY kind, number")?;
    let owned = numbers.query_map([store], |row| {
        let kind: NumberKind = row.get(0)?;
        let number = StoreNumber::from_log(kind, row.get_ref(1)?.as_str()?);
        Ok(OwnedNumber::from_log(number, row.get_ref(2)?.as_str()?))
    })?;
    owned.collect()
}
