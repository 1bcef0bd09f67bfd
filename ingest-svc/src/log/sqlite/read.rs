//! Reads events, stores and calls.

mod calls;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{
        answer::{MissedEvents, OutboxEvents},
        read::{AllMissed, Cursor, LAST_CALLS, OutboxEvent, OutboxPage, PageSize},
        unreadable::UnreadableRows,
    },
    stores,
};
use crate::store::{Moving, StoreEntry, StoreKey, Upserted};
pub(super) use calls::{calls, reservations};

/// One answer for each cursor; no more than `limit` over all of them, unless the first event alone has more bytes.
pub(super) fn missed(
    connection: &mut Connection,
    cursors: &[Cursor],
    limit: PageSize,
    unreadable: &UnreadableRows,
) -> rusqlite::Result<AllMissed> {
    let snapshot = connection.transaction()?;
    let mut find =
        snapshot.prepare_cached("SELECT key, name, position FROM stores WHERE id = ?1 AND deleted = 0")?;
    let mut select = snapshot.prepare_cached(
        "SELECT key, position, bytes FROM events WHERE store = ?1 AND position > ?2 ORDER BY position",
    )?;
    let mut answer = MissedEvents::new(limit, unreadable);
    for cursor in cursors {
        let store: Option<(StoreKey, (String, u64))> = find
            .query_row([&cursor.store_id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
            .optional()?;
        let (key, store) = store.unzip();
        if !answer.add_store(cursor, store) {
            continue;
        }
        let mut rows = select.query(params![key, cursor.after])?;
        while let Some(row) = rows.next()? {
            if !answer.add_event(row.get(0)?, row.get(1)?, row.get(2).ok()) {
                break;
            }
        }
    }
    Ok(answer.into_answer())
}

/// Events from a key on, in commit order, that were written at `since` (Unix milliseconds) or later.
pub(super) fn outbox(
    connection: &Connection,
    from_key: u64,
    since: i64,
    page: PageSize,
    unreadable: &UnreadableRows,
) -> rusqlite::Result<OutboxPage> {
    let mut select = connection.prepare_cached(
        "SELECT events.key, stores.id, events.position, events.created, events.bytes
         FROM events JOIN stores ON stores.key = events.store
         WHERE events.key >= ?1 AND events.created >= ?2 ORDER BY events.key LIMIT ?3",
    )?;
    let mut rows = select.query(params![from_key, since, page.events])?;
    let mut events = OutboxEvents::new(page, unreadable);
    while let Some(row) = rows.next()? {
        let event = OutboxEvent {
            key: row.get(0)?,
            store_id: row.get(1)?,
            position: row.get(2)?,
            created: row.get(3)?,
            bytes: Vec::new(),
        };
        if !events.add(event, row.get(4).ok()) {
            break;
        }
    }
    Ok(events.into_page())
}

/// All stores from an id on, by id.
pub(super) fn stores(
    connection: &mut Connection,
    after: &str,
    limit: u32,
) -> rusqlite::Result<Vec<StoreEntry>> {
    let snapshot = connection.transaction()?;
    let mut select = snapshot.prepare_cached(
        "SELECT key, id, name FROM stores WHERE deleted = 0 AND id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let rows = select.query_map(params![after, limit], |row| {
        Ok((row.get::<_, StoreKey>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut stores = Vec::new();
    for row in rows {
        let (key, id, name) = row?;
        stores.push(StoreEntry { id, name, numbers: stores::numbers_of(&snapshot, key)? });
    }
    Ok(stores)
}

/// What an upsert of each of these stores would do, one after the other.
pub(super) fn plans(
    connection: &mut Connection,
    entries: &[StoreEntry],
    moving: Moving,
) -> rusqlite::Result<Vec<Upserted>> {
    let snapshot = connection.transaction()?;
    entries.iter().map(|entry| stores::plan_upsert(&snapshot, entry, moving)).collect()
}

/// When the newest of the last [`LAST_CALLS`] calls began.
pub(super) fn newest_call(connection: &Connection) -> rusqlite::Result<Option<jiff::Timestamp>> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(sdt) FROM (SELECT sdt FROM calls ORDER BY key DESC LIMIT ?1)")?
        .query_row([LAST_CALLS], |row| row.get(0))?;
    Ok(newest.and_then(|newest| jiff::Timestamp::from_second(newest).ok()))
}
