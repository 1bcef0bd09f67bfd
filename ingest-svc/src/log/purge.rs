//! Deletes what is older than the retention, a little at a time, so that no accept waits long for it.

mod callers;
mod stores;

use rusqlite::{Connection, params};

pub(super) use callers::Sweep;

/// Rows of a table deleted in one step.
const STEP: usize = 200;

/// Deletes up to [`STEP`] events and calls from before `before` (Unix seconds), callers whose last call was before it, and
/// what deleted stores have left; says whether there may be more.
pub(super) fn step(connection: &Connection, sweep: &mut Sweep, before: i64) -> rusqlite::Result<bool> {
    let more =
        [old_rows(connection, before)?, callers::step(connection, sweep, before)?, stores::step(connection)?];
    Ok(more.contains(&true))
}

fn old_rows(connection: &Connection, before: i64) -> rusqlite::Result<bool> {
    // By the index, and not from the first key on: of events that were written while the clock was wrong, the first may be
    // the last that are due.
    let events = connection
        .prepare_cached(
            "DELETE FROM events WHERE key IN
               (SELECT key FROM events INDEXED BY events_by_age WHERE created < ?1 * 1000 LIMIT ?2)",
        )?
        .execute(params![before, STEP])?;
    // A call's age is its own, not that of its receipt: by the stores' index, so that one which came before its time, or
    // long after it, holds up no other.
    let calls = connection
        .prepare_cached(
            "DELETE FROM calls WHERE key IN
               (SELECT key FROM calls WHERE store IS NULL AND sdt < ?1
                UNION ALL
                SELECT calls.key FROM stores CROSS JOIN calls INDEXED BY calls_of_store
                  ON calls.store = stores.key AND calls.sdt < ?1
                LIMIT ?2)",
        )?
        .execute(params![before, STEP])?;
    // Bounded already; what was no CDR holds numbers too.
    let quarantined = connection
        .prepare_cached(
            "DELETE FROM quarantine WHERE key IN
               (SELECT key FROM quarantine INDEXED BY quarantine_by_age WHERE received < ?1 * 1000 LIMIT ?2)",
        )?
        .execute(params![before, STEP / 10])?;
    Ok(quarantined + events + calls > 0)
}
