//! Deletes what is older than the retention, a little at a time, so that no accept waits long for it.

mod callers;
mod rows;

use rusqlite::Connection;

pub(super) use callers::Sweep;

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

/// Deletes up to 200 rows of each table: events, calls, revoked pads and quarantined requests from before `before` (Unix seconds), and what
/// deleted stores have left. Once there are none left, looks for callers whose last call was before it.
pub(super) fn step(connection: &Connection, sweep: &mut Sweep, before: i64) -> rusqlite::Result<Step> {
    let quarantined = rows::quarantined(connection, before)?;
    let now = jiff::Timestamp::now().as_second();
    let deleted = quarantined
        + rows::old(connection, before)?
        + rows::pads(connection, before, now)?
        + rows::of_deleted_stores(connection)?;
    if deleted > 0 {
        return Ok(Step { deleted, quarantined, more: true });
    }
    let swept = callers::step(connection, sweep, before)?;
    Ok(Step { deleted: swept.deleted, quarantined: 0, more: swept.more })
}
