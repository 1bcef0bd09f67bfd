//! What push-svc and people read from the log. Each answer is of one instant.

mod calls;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    call::update_within_bounds,
    directory::{self, Moving, StoreEntry, Upserted},
    set_aside::{Kind, SetAside},
};
pub(super) use calls::calls;
pub use calls::{CallPage, CallQuery, PageMark, Purpose};

/// Bytes of calls or events in one answer, unless the first alone has more: with all around them far less than the 4 MiB that
/// most gRPC libraries take as a message.
pub(super) const ANSWER: usize = 1024 * 1024;

/// Calls that are looked at for the newest one: a day's, or an hour's, whatever single ones say.
const LAST: u32 = 1_000;

/// How far a reader has come in one store.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The store.
    pub store_id: String,
    /// The last position the reader has.
    pub after: u64,
}

/// What a reader has missed.
#[derive(Clone)]
pub struct AllMissed {
    /// One for each cursor.
    pub stores: Vec<Missed>,
    /// Whether that is all that is kept; if not, the answer would have had too many events or bytes.
    pub extent: Extent,
}

/// Whether an answer has all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// It has.
    Whole,
    /// There is more for who asks again from where this ends.
    Part,
}

/// What a reader has missed in one store.
#[derive(Clone)]
pub struct Missed {
    /// The store.
    pub store_id: String,
    /// What pads show; empty: no such store.
    pub store_name: String,
    /// The store's newest position; `None`: no such store.
    pub position: Option<u64>,
    /// Position and encoded `SubscribeResponse`, from the cursor on and without a gap.
    pub events: Vec<(u64, Vec<u8>)>,
}

/// An event as the relay publishes it.
#[derive(Clone)]
pub struct OutboxEvent {
    /// The event's key in the log.
    pub key: u64,
    /// The store.
    pub store_id: String,
    /// The store's position; 0 with a hint.
    pub position: u64,
    /// When it was written, in Unix milliseconds.
    pub created: i64,
    /// Encoded `SubscribeResponse`.
    pub bytes: Vec<u8>,
}

/// How much is read at once at most.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    /// Events.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// Some of the events that the relay is to publish.
#[derive(Clone)]
pub struct OutboxPage {
    /// In commit order.
    pub events: Vec<OutboxEvent>,
    /// Whether these are all.
    pub extent: Extent,
}

/// One answer a cursor; `limit` events over all of them, and no more bytes than [`ANSWER`].
pub(super) fn missed(
    connection: &mut Connection,
    cursors: &[Cursor],
    limit: usize,
    set_aside: &SetAside,
) -> rusqlite::Result<AllMissed> {
    let snapshot = connection.transaction()?;
    let mut find =
        snapshot.prepare_cached("SELECT key, name, position FROM stores WHERE id = ?1 AND deleted = 0")?;
    let mut room = Room { events: limit, bytes: ANSWER, set_aside };
    let mut extent = Extent::Whole;
    let mut stores = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        let store: Option<(i64, String, u64)> = find
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

/// What an answer may still take.
struct Room<'a> {
    events: usize,
    bytes: usize,
    set_aside: &'a SetAside,
}

/// Reads a store's events after a position, without a gap: none if the next one is older than what is kept, or cannot be
/// read, and the reader needs a fresh start: a snapshot has what the event had told.
fn events_after(
    snapshot: &Connection,
    store: i64,
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
            room.set_aside.note(Kind::Event, row.get(2)?);
            break;
        };
        // The first one of an answer always has room: whoever asks must get on.
        if bytes.len() > room.bytes && room.bytes < ANSWER {
            room.events = 0;
            return Ok(Extent::Part);
        }
        room.events -= 1;
        room.bytes = room.bytes.saturating_sub(bytes.len());
        events.push((position, bytes));
    }
    Ok(Extent::Whole)
}

/// Events from a key on, in commit order, and what was written at `since` (Unix milliseconds) or later; as many as fit
/// `page`, and one at least. In place of one that cannot be read comes a hint, which makes hubs ask the log.
pub(super) fn outbox(
    connection: &Connection,
    from_key: u64,
    since: i64,
    page: PageSize,
    set_aside: &SetAside,
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
            set_aside.note(Kind::Event, row.get(0)?);
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
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut stores = Vec::new();
    for row in rows {
        let (key, id, name) = row?;
        stores.push(StoreEntry { id, name, numbers: directory::numbers_of(&snapshot, key)? });
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
    entries.iter().map(|entry| directory::plan(&snapshot, entry, moving)).collect()
}

/// When the newest of the last [`LAST`] calls began.
pub(super) fn newest_call(connection: &Connection) -> rusqlite::Result<Option<jiff::Timestamp>> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(sdt) FROM (SELECT sdt FROM calls ORDER BY key DESC LIMIT ?1)")?
        .query_row([LAST], |row| row.get(0))?;
    Ok(newest.and_then(|newest| jiff::Timestamp::from_second(newest).ok()))
}
