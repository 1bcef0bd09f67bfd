//! Writes what the records and actions of a batch have changed, and commits: one round trip, whatever their number.

use std::collections::BTreeMap;

use tokio::try_join;
use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use super::{
    customers,
    error::Failure,
    locks::LEASE,
    rows::{Parameters, signed},
    target::Session,
    working::{CallRow, CallerRow, Working},
};
use crate::{call::CallKey, store::StoreKey};

/// Who commits, and what becomes of its row.
pub(super) struct Mark {
    pub(super) owner: Uuid,
    /// The sequence of its newest event before this batch.
    pub(super) newest: u64,
    /// How far its relay has come.
    pub(super) relayed: u64,
}

/// Writes everything, and commits. The transaction holds the lock on the owner's row.
pub(super) async fn save(session: &Session, mut working: Working, mark: &Mark) -> Result<(), Failure> {
    let client = &session.client;
    let positions: Vec<_> = working.directory.take_new_positions().collect();
    let calls = |is_new: bool| {
        let changed = working.calls.iter().filter(|(_, row)| row.is_changed);
        changed.filter(|(key, _)| (key.0 < 0) == is_new).collect::<Vec<_>>()
    };
    let (new, known) = (calls(true), calls(false));
    try_join!(
        biased;
        insert_calls(client, &new),
        update_calls(client, &known),
        write_callers(client, &working.callers),
        reserve(client, &working.reserved),
        customers::name(client, &working.named),
        publish(client, &working, &positions, mark),
        client.batch_execute("COMMIT"),
    )?;
    session.check_commit()
}

/// After a statement that failed, the server takes the commit for a rollback, and refuses the statements between. `biased`: the
/// error of the first one is returned, which says why.
async fn execute(
    client: &Client,
    statement: &str,
    parameters: Parameters<'_>,
) -> Result<(), tokio_postgres::Error> {
    client.execute_typed(statement, parameters).await.map(drop)
}

async fn insert_calls(client: &Client, calls: &[(&CallKey, &CallRow)]) -> Result<(), tokio_postgres::Error> {
    if calls.is_empty() {
        return Ok(());
    }
    // The newest has the lowest key; keys are given out in the order of the array.
    let rows: Vec<_> = calls.iter().rev().map(|(_, row)| *row).collect();
    let columns = Columns::of(&rows);
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let sources: Vec<_> = rows.iter().map(|row| &*row.source).collect();
    let seqs: Vec<_> = rows.iter().map(|row| row.seq.as_str()).collect();
    execute(
        client,
        "SELECT batch_insert_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&ids, Type::UUID_ARRAY),
            (&sources, Type::TEXT_ARRAY),
            (&seqs, Type::TEXT_ARRAY),
            (&columns.sdt, Type::INT8_ARRAY),
            (&columns.store, Type::INT8_ARRAY),
            (&columns.caller, Type::TEXT_ARRAY),
            (&columns.state, Type::INT4_ARRAY),
            (&columns.facts, Type::BYTEA_ARRAY),
            (&columns.fingerprints, Type::BYTEA_ARRAY),
            (&columns.seen, Type::BYTEA_ARRAY),
        ],
    )
    .await
}

async fn update_calls(client: &Client, calls: &[(&CallKey, &CallRow)]) -> Result<(), tokio_postgres::Error> {
    if calls.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = calls.iter().map(|(_, row)| *row).collect();
    let columns = Columns::of(&rows);
    let keys: Vec<_> = calls.iter().map(|(key, _)| key.0).collect();
    execute(
        client,
        "SELECT batch_update_calls($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            (&keys, Type::INT8_ARRAY),
            (&columns.sdt, Type::INT8_ARRAY),
            (&columns.store, Type::INT8_ARRAY),
            (&columns.caller, Type::TEXT_ARRAY),
            (&columns.state, Type::INT4_ARRAY),
            (&columns.facts, Type::BYTEA_ARRAY),
            (&columns.fingerprints, Type::BYTEA_ARRAY),
            (&columns.seen, Type::BYTEA_ARRAY),
        ],
    )
    .await
}

/// The columns of a call that can change.
struct Columns<'a> {
    sdt: Vec<i64>,
    store: Vec<Option<i64>>,
    caller: Vec<Option<&'a str>>,
    state: Vec<i32>,
    facts: Vec<&'a [u8]>,
    fingerprints: Vec<&'a [u8]>,
    seen: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(rows: &[&'a CallRow]) -> Self {
        Self {
            sdt: rows.iter().map(|row| row.sdt).collect(),
            store: rows.iter().map(|row| row.store.map(|store| store.0)).collect(),
            caller: rows.iter().map(|row| row.caller.as_deref()).collect(),
            state: rows.iter().map(|row| row.state).collect(),
            facts: rows.iter().map(|row| row.facts.as_slice()).collect(),
            fingerprints: rows.iter().map(|row| row.fingerprints.as_flattened()).collect(),
            seen: rows.iter().map(|row| row.seen.as_slice()).collect(),
        }
    }
}

/// A row that is not there any more was deleted because of its age, and is made again.
async fn write_callers(
    client: &Client,
    callers: &BTreeMap<(StoreKey, String), CallerRow>,
) -> Result<(), tokio_postgres::Error> {
    let rows: Vec<_> = callers.iter().filter(|(_, row)| row.is_changed).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let stores: Vec<_> = rows.iter().map(|((store, _), _)| store.0).collect();
    let reversed: Vec<_> = rows.iter().map(|((_, reversed), _)| reversed.as_str()).collect();
    let calls: Vec<_> = rows.iter().map(|(_, row)| i64::from(row.calls)).collect();
    let last_calls: Vec<_> = rows.iter().map(|(_, row)| row.last_call.unwrap_or_default()).collect();
    let notes: Vec<_> = rows.iter().map(|(_, row)| row.last_note.as_bytes()).collect();
    let reservations: Vec<_> = rows.iter().map(|(_, row)| row.last_reservation.as_deref()).collect();
    execute(
        client,
        "SELECT batch_write_callers($1, $2, $3, $4, $5, $6)",
        &[
            (&stores, Type::INT8_ARRAY),
            (&reversed, Type::TEXT_ARRAY),
            (&calls, Type::INT8_ARRAY),
            (&last_calls, Type::INT8_ARRAY),
            (&notes, Type::BYTEA_ARRAY),
            (&reservations, Type::BYTEA_ARRAY),
        ],
    )
    .await
}

/// Notes when the reservations of these calls are. After the calls were written: one of them may be new.
async fn reserve(
    client: &Client,
    reserved: &BTreeMap<Uuid, (StoreKey, Option<i64>)>,
) -> Result<(), tokio_postgres::Error> {
    if reserved.is_empty() {
        return Ok(());
    }
    let calls: Vec<_> = reserved.keys().collect();
    let stores: Vec<_> = reserved.values().map(|(store, _)| store.0).collect();
    let times: Vec<_> = reserved.values().map(|(_, at)| *at).collect();
    execute(
        client,
        "SELECT batch_reserve($1, $2, $3)",
        &[(&calls, Type::UUID_ARRAY), (&stores, Type::INT8_ARRAY), (&times, Type::INT8_ARRAY)],
    )
    .await
}

/// Writes the stores' positions, the events, and the owner's row.
async fn publish(
    client: &Client,
    working: &Working,
    positions: &[(StoreKey, u64)],
    mark: &Mark,
) -> Result<(), tokio_postgres::Error> {
    let (keys, new_positions): (Vec<_>, Vec<_>) =
        positions.iter().map(|(key, position)| (key.0, signed(*position))).unzip();
    let events = &working.events;
    let stores: Vec<_> = events.iter().map(|event| event.store.0).collect();
    let positions: Vec<_> = events.iter().map(|event| signed(event.position)).collect();
    let bytes: Vec<_> = events.iter().map(|event| &*event.bytes).collect();
    let (newest, relayed) = (signed(mark.newest), signed(mark.relayed));
    let created = working.now.as_millisecond();
    execute(
        client,
        &format!("SELECT batch_publish($1, $2, $3, clock_timestamp() + {LEASE}, $4, $5, $6, $7, $8, $9)"),
        &[
            (&mark.owner, Type::UUID),
            (&newest, Type::INT8),
            (&relayed, Type::INT8),
            (&created, Type::INT8),
            (&keys, Type::INT8_ARRAY),
            (&new_positions, Type::INT8_ARRAY),
            (&stores, Type::INT8_ARRAY),
            (&positions, Type::INT8_ARRAY),
            (&bytes, Type::BYTEA_ARRAY),
        ],
    )
    .await
}
