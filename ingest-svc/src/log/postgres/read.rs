//! Reads events, stores and calls.

mod calls;

use std::collections::HashMap;

use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use super::{
    super::{
        answer::{MissedEvents, OutboxEvents},
        read::{AllMissed, Cursor, LAST_CALLS, OutboxEvent, OutboxPage, PageSize},
        unreadable::UnreadableRows,
    },
    rows::{can_exist, signed, unsigned},
    stores::owned,
};
use crate::store::{OwnedNumber, StoreEntry};
pub(super) use calls::{calls, reservations};

/// Events of one store that are read at once.
const CHUNK: i64 = 128;

/// One answer for each cursor; no more than `limit` over all of them, unless the first event alone has more bytes.
pub(super) async fn missed(
    client: &Client,
    cursors: &[Cursor],
    limit: PageSize,
    unreadable: &UnreadableRows,
) -> Result<AllMissed, tokio_postgres::Error> {
    let ids: Vec<_> =
        cursors.iter().map(|cursor| cursor.store_id.as_str()).filter(|id| can_exist(id)).collect();
    let select = "SELECT id, key, name, position FROM stores WHERE id = ANY ($1) AND NOT deleted";
    let mut found = HashMap::new();
    for row in client.query_typed(select, &[(&ids, Type::TEXT_ARRAY)]).await? {
        let (key, name, position): (i64, String, _) =
            (row.try_get(1)?, row.try_get(2)?, unsigned(row.try_get(3)?));
        found.insert(row.try_get::<_, String>(0)?, (key, (name, position)));
    }
    let mut answer = MissedEvents::new(limit, unreadable);
    for cursor in cursors {
        let (key, store) = found.get(&cursor.store_id).cloned().unzip();
        let is_behind = answer.add_store(cursor, store);
        if let Some(key) = key.filter(|_| is_behind) {
            events_after(client, key, cursor.after, &mut answer).await?;
        }
    }
    Ok(answer.into_answer())
}

/// Reads a store's events after a position, as many as the answer takes.
async fn events_after(
    client: &Client,
    store: i64,
    after: u64,
    answer: &mut MissedEvents<'_>,
) -> Result<(), tokio_postgres::Error> {
    let select =
        "SELECT position, bytes FROM events WHERE store = $1 AND position > $2 ORDER BY position LIMIT $3";
    let mut last = signed(after);
    loop {
        let rows = client
            .query_typed(select, &[(&store, Type::INT8), (&last, Type::INT8), (&CHUNK, Type::INT8)])
            .await?;
        for row in &rows {
            last = row.try_get(0)?;
            if !answer.add_event(last, unsigned(last), Some(row.try_get(1)?)) {
                return Ok(());
            }
        }
        if rows.len() < CHUNK as usize {
            return Ok(());
        }
    }
}

/// An owner's events from a sequence on that were written at `since` (Unix milliseconds) or later.
pub(super) async fn outbox(
    client: &Client,
    owner: Uuid,
    from: u64,
    since: i64,
    page: PageSize,
    unreadable: &UnreadableRows,
) -> Result<OutboxPage, tokio_postgres::Error> {
    let (from, limit) = (signed(from), signed(page.events as u64));
    let rows = client
        .query_typed(
            "SELECT events.sequence, stores.id, events.position, events.created, events.bytes
             FROM events JOIN stores ON stores.key = events.store
             WHERE events.owner = $1 AND events.sequence >= $2 AND events.created >= $3
             ORDER BY events.sequence LIMIT $4",
            &[(&owner, Type::UUID), (&from, Type::INT8), (&since, Type::INT8), (&limit, Type::INT8)],
        )
        .await?;
    let mut events = OutboxEvents::new(page, unreadable);
    for row in &rows {
        let event = OutboxEvent {
            key: unsigned(row.try_get(0)?),
            store_id: row.try_get(1)?,
            position: unsigned(row.try_get(2)?),
            created: row.try_get(3)?,
            bytes: Vec::new(),
        };
        if !events.add(event, Some(row.try_get(4)?)) {
            break;
        }
    }
    Ok(events.into_page())
}

/// All stores from an id on, by id.
pub(super) async fn stores(
    client: &Client,
    after: &str,
    limit: u32,
) -> Result<Vec<StoreEntry>, tokio_postgres::Error> {
    let limit = i64::from(limit);
    // The ids after what cannot be an id are those after its beginning.
    let after = after.split('\0').next().unwrap_or_default();
    let select = "SELECT key, id, name FROM stores WHERE NOT deleted AND id > $1 ORDER BY id LIMIT $2";
    let rows = client.query_typed(select, &[(&after, Type::TEXT), (&limit, Type::INT8)]).await?;
    let keys: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let select =
        "SELECT kind, number, display, store FROM numbers WHERE store = ANY ($1) ORDER BY kind, number";
    let mut numbers: HashMap<i64, Vec<OwnedNumber>> = HashMap::new();
    for row in client.query_typed(select, &[(&keys, Type::INT8_ARRAY)]).await? {
        numbers.entry(row.try_get(3)?).or_default().push(owned(&row)?);
    }
    rows.iter()
        .map(|row| {
            let numbers = numbers.remove(&row.try_get(0)?).unwrap_or_default();
            Ok(StoreEntry { id: row.try_get(1)?, name: row.try_get(2)?, numbers })
        })
        .collect()
}

/// When the newest of the last [`LAST_CALLS`] calls began.
pub(super) async fn newest_call(client: &Client) -> Result<Option<jiff::Timestamp>, tokio_postgres::Error> {
    let select = "SELECT max(sdt) FROM (SELECT sdt FROM calls ORDER BY key DESC LIMIT $1) AS last";
    let newest: Option<i64> =
        client.query_typed_one(select, &[(&i64::from(LAST_CALLS), Type::INT8)]).await?.try_get(0)?;
    Ok(newest.and_then(|newest| jiff::Timestamp::from_second(newest).ok()))
}
