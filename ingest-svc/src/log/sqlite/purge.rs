//! Deletes what is older than the retention, a little at a time, so that no accept waits long for it.

mod callers;
mod stores;

use rusqlite::{Connection, params};

pub(super) use callers::Sweep;

/// Rows of a table deleted in one step.
const STEP: usize = 200;

/// What one step did.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Rows that were deleted, of all tables.
    pub(super) deleted: usize,
    /// How many of them were requests in the quarantine.
    pub(super) quarantined: usize,
    /// There may be more to delete, or to look at.
    pub(super) more: bool,
}

/// Deletes up to [`STEP`] rows a table: events, calls and refused requests from before `before` (Unix seconds), and what
/// deleted stores have left. Once there are none left, looks for callers whose last call was before it.
pub(super) fn step(connection: &Connection, sweep: &mut Sweep, before: i64) -> rusqlite::Result<Step> {
    let quarantined = refused_requests(connection, before)?;
    let deleted = quarantined + old_rows(connection, before)? + stores::step(connection)?;
    if deleted > 0 {
        return Ok(Step { deleted, quarantined, more: true });
    }
    callers::step(connection, sweep, before)
}

/// The quarantine is bounded already, but what was no CDR holds numbers too.
fn refused_requests(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM quarantine WHERE key IN
               (SELECT key FROM quarantine INDEXED BY quarantine_by_age WHERE received < ?1 * 1000 LIMIT ?2)",
        )?
        .execute(params![before, STEP / 10])
}

fn old_rows(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
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
    Ok(events + calls)
}
