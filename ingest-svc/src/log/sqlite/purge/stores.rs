//! Deletes what deleted stores have left, a little at a time: nobody can ask for it any more.

use rusqlite::{Connection, params};

use super::STEP;

/// Deletes up to [`STEP`] rows of each table, and once these have none left, the stores themselves whose id another has now;
/// how many rows that were.
pub(super) fn step(connection: &Connection) -> rusqlite::Result<usize> {
    let tables = [
        "DELETE FROM calls WHERE key IN
           (SELECT calls.key FROM stores INDEXED BY stores_deleted CROSS JOIN calls INDEXED BY calls_of_store
              ON calls.store = stores.key WHERE stores.deleted = 1 LIMIT ?1)",
        "DELETE FROM events WHERE key IN
           (SELECT events.key FROM stores INDEXED BY stores_deleted CROSS JOIN events INDEXED BY events_of_store
              ON events.store = stores.key WHERE stores.deleted = 1 LIMIT ?1)",
        "DELETE FROM callers WHERE (store, reversed) IN
           (SELECT callers.store, callers.reversed FROM stores INDEXED BY stores_deleted CROSS JOIN callers
              ON callers.store = stores.key WHERE stores.deleted = 1 LIMIT ?1)",
    ];
    let mut deleted = 0;
    for table in tables {
        deleted += connection.prepare_cached(table)?.execute(params![STEP])?;
    }
    if deleted == 0 {
        // A store that may come back under its id keeps its row, for its position.
        deleted += connection
            .prepare_cached(
                "DELETE FROM stores WHERE key IN
                   (SELECT key FROM stores WHERE deleted = 1 AND id LIKE ' former %' LIMIT ?1)",
            )?
            .execute(params![STEP])?;
    }
    Ok(deleted)
}
