//! Reads events, stores and calls.

mod calls;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{
        read::{AllMissed, Cursor, Extent, Missed, OutboxEvent, OutboxPage, PageSize},
        unreadable::{Kind, UnreadableRows},
    },
    stores,
};
use crate::{
    call::update_within_bounds,
    store::{Moving, StoreEntry, StoreKey, Upserted},
};
pub(super) use calls::calls;

/// Calls that are looked at for the newest one: a day's, or an hour's, so that a single wrong one does not decide.
const LAST: u32 = 1_000;

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
    let mut room = Room { events: limit.events, bytes: limit.bytes, is_empty: true, unreadable };
    let mut extent = Extent::Whole;
    let mut stores = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        let store: Option<(StoreKey, String, u64)> = find
            .query_row([&cursor.store_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let mut events = Vec::new();
        if let Some((key, _, position)) = &store
            && *position > cursor.after
            && events_after(&snapshot, *key, cursor.after, &mut room, &mut events)? == Extent::Part
        {
            extent = Extent::Part;
        }
        stores.push(Missed {
            store_id: cursor.store_id.clone(),
            position: store.as_ref().map(|(_, _, position)| *position),
            store_name: store.map(|(_, name, _)| name).unwrap_or_default(),
            events,
        });
    }
    Ok(AllMissed { stores, extent })
}

/// How much an answer may still take.
struct Room<'a> {
    events: usize,
    bytes: usize,
    /// Whether nothing has been taken yet.
    is_empty: bool,
    unreadable: &'a UnreadableRows,
}

/// Reads a store's events after a position, without a gap. There are none if the next one is older than the retention, or cannot
/// be read; the reader then needs a snapshot, which has what the event had changed.
fn events_after(
    snapshot: &Connection,
    store: StoreKey,
    after: u64,
    room: &mut Room<'_>,
    events: &mut Vec<(u64, Vec<u8>)>,
) -> rusqlite::Result<Extent> {
    let mut select = snapshot.prepare_cached(
        "SELECT position, bytes, key FROM events WHERE store = ?1 AND position > ?2 ORDER BY position",
    )?;
    let mut rows = select.query(params![store, after])?;
    while let Some(row) = rows.next()? {
        let position = row.get(0)?;
        if events.is_empty() && position != after + 1 {
            break;
        }
        if room.events == 0 {
            return Ok(Extent::Part);
        }
        let Some(bytes) = row.get(1).ok().and_then(|bytes| update_within_bounds(position, bytes)) else {
            room.unreadable.note(Kind::Event, row.get(2)?);
            break;
        };
        // The first event of an answer always has room: a reader that asks again must make progress.
        if bytes.len() > room.bytes && !room.is_empty {
            room.events = 0;
            return Ok(Extent::Part);
        }
        room.events -= 1;
        room.is_empty = false;
        room.bytes = room.bytes.saturating_sub(bytes.len());
        events.push((position, bytes));
    }
    Ok(Extent::Whole)
}

/// Events from a key on, in commit order, that were written at `since` (Unix milliseconds) or later: as many as fit into `page`,
/// and one at least. An event that cannot be read is replaced by a hint, which makes hubs ask the log.
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
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (key, position) = (row.get(0)?, row.get(2)?);
        let read = row.get(4).ok().and_then(|bytes| update_within_bounds(position, bytes));
        if read.is_none() {
            unreadable.note(Kind::Event, row.get(0)?);
        }
        let (position, encoded) = read.map_or_else(Default::default, |encoded| (position, encoded));
        let event =
            OutboxEvent { key, store_id: row.get(1)?, position, created: row.get(3)?, bytes: encoded };
        bytes += event.bytes.len();
        if bytes > page.bytes && !events.is_empty() {
            return Ok(OutboxPage { events, extent: Extent::Part });
        }
        events.push(event);
    }
    let extent = if events.len() < page.events { Extent::Whole } else { Extent::Part };
    Ok(OutboxPage { events, extent })
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

/// When the newest of the last [`LAST`] calls began.
pub(super) fn newest_call(connection: &Connection) -> rusqlite::Result<Option<jiff::Timestamp>> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(sdt) FROM (SELECT sdt FROM calls ORDER BY key DESC LIMIT ?1)")?
        .query_row([LAST], |row| row.get(0))?;
    Ok(newest.and_then(|newest| jiff::Timestamp::from_second(newest).ok()))
}
