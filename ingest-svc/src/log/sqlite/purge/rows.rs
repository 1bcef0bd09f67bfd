//! Deletes rows that are due; each function returns how many.

use rusqlite::{Connection, params};

use crate::pad::REVOCATION_SECONDS;

/// Rows of a table deleted in one step.
const STEP: usize = 200;

/// The quarantine is bounded already, but its requests hold numbers, too.
pub(super) fn quarantined(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM quarantine WHERE key IN
               (SELECT key FROM quarantine INDEXED BY quarantine_by_age WHERE received < ?1 * 1000 LIMIT ?2)",
        )?
        .execute(params![before, STEP / 10])
}

/// Events, reservations and calls. A call is kept until its reservation is as old, too.
pub(super) fn old(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    // By the index, and not from the first key on: if the clock was wrong when events were written, the first ones may be due
    // last.
    let events = connection
        .prepare_cached(
            "DELETE FROM events WHERE key IN
               (SELECT key FROM events INDEXED BY events_by_age WHERE created < ?1 * 1000 LIMIT ?2)",
        )?
        .execute(params![before, STEP])?;
    let reservations = connection
        .prepare_cached(
            "DELETE FROM reservations WHERE call IN
               (SELECT call FROM reservations INDEXED BY reservations_by_age WHERE at < ?1 LIMIT ?2)",
        )?
        .execute(params![before, STEP])?;
    // A call's age counts from its `sdt`, not from its receipt. By the stores' index, so that a call that came too early, or long
    // after its `sdt`, does not delay other ones.
    let calls = connection
        .prepare_cached(
            "DELETE FROM calls WHERE key IN
               (SELECT key FROM calls WHERE store IS NULL AND sdt < ?1
                UNION ALL
                SELECT calls.key FROM stores CROSS JOIN calls INDEXED BY calls_of_store
                  ON calls.store = stores.key AND calls.sdt < ?1
                WHERE NOT EXISTS (SELECT 1 FROM reservations WHERE call = calls.key)
                LIMIT ?2)",
        )?
        .execute(params![before, STEP])?;
    Ok(events + reservations + calls)
}

/// Codes that have expired at the Unix second `now`, and pads that were revoked before `before`. A pad of a deleted store counts as
/// revoked from now on. A revoked pad stays for as long as push-svc must be told of it.
pub(super) fn pads(connection: &Connection, before: i64, now: i64) -> rusqlite::Result<usize> {
    let told = now.saturating_sub(REVOCATION_SECONDS);
    let of_deleted_store = connection
        .prepare_cached(
            "UPDATE pads SET revoked = ?1 WHERE id IN
               (SELECT pads.id FROM stores INDEXED BY stores_deleted CROSS JOIN pads INDEXED BY pads_of_store
                  ON pads.store = stores.key WHERE stores.deleted = 1 AND pads.revoked IS NULL LIMIT ?2)",
        )?
        .execute(params![now, STEP])?;
    let expired = connection
        .prepare_cached(
            "DELETE FROM pads WHERE id IN
               (SELECT id FROM pads WHERE code IS NOT NULL AND store IS NULL AND expires <= ?1 LIMIT ?2)",
        )?
        .execute(params![now, STEP])?;
    let revoked = connection
        .prepare_cached(
            "DELETE FROM pads WHERE id IN
               (SELECT id FROM pads WHERE revoked < ?1
                  AND (revoked < ?2 OR store IN (SELECT key FROM stores WHERE deleted = 1)) LIMIT ?3)",
        )?
        .execute(params![told, before, STEP])?;
    Ok(of_deleted_store + expired + revoked)
}

/// What deleted stores have left: nobody can ask for it any more. Once nothing is left, also the stores themselves whose id
/// another store has now.
pub(super) fn of_deleted_stores(connection: &Connection) -> rusqlite::Result<usize> {
    let tables = [
        "DELETE FROM reservations WHERE call IN
           (SELECT reservations.call FROM stores INDEXED BY stores_deleted CROSS JOIN reservations INDEXED BY reservations_of_store
              ON reservations.store = stores.key WHERE stores.deleted = 1 LIMIT ?1)",
        "DELETE FROM customers WHERE (reversed, store, id) IN
           (SELECT customers.reversed, customers.store, customers.id FROM stores INDEXED BY stores_deleted
              CROSS JOIN customers INDEXED BY customers_of_store ON customers.store = stores.key WHERE stores.deleted = 1 LIMIT ?1)",
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
                   (SELECT key FROM stores WHERE deleted = 1 AND id LIKE ' former %'
                      AND NOT EXISTS (SELECT 1 FROM pads WHERE store = stores.key) LIMIT ?1)",
            )?
            .execute(params![STEP])?;
    }
    Ok(deleted)
}
