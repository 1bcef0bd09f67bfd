//! Deletes what is older than the retention, a little at a time, by one ingest-svc at a time. Calls, reservations and pads that a batch
//! has locked are left for the next step; any other row that it has locked is waited for, until its commit.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, types::Type};

use super::{error::Failure, locks::RETENTION, rows::FORMER};
use crate::pad::REVOCATION_SECONDS;

/// Rows of a table deleted in one step.
const STEP: i64 = 200;
/// Callers looked at in one step.
const LOOKS: i64 = 1_000;
/// The pause after all callers have been looked through, unless calls are kept for a shorter time.
const REST: Duration = Duration::from_secs(60 * 60);

/// Each deletes up to `$1` rows.
const OF_DELETED_STORES: [&str; 5] = [
    "DELETE FROM reservations WHERE call IN
       (SELECT reservations.call FROM stores JOIN reservations ON reservations.store = stores.key
        WHERE stores.deleted LIMIT $1 FOR UPDATE OF reservations SKIP LOCKED)",
    "DELETE FROM customers WHERE (reversed, store, id) IN
       (SELECT customers.reversed, customers.store, customers.id FROM stores JOIN customers ON customers.store = stores.key
        WHERE stores.deleted LIMIT $1)",
    "DELETE FROM calls WHERE key IN
       (SELECT calls.key FROM stores JOIN calls ON calls.store = stores.key WHERE stores.deleted
        LIMIT $1 FOR UPDATE OF calls SKIP LOCKED)",
    "DELETE FROM events WHERE (store, position) IN
       (SELECT events.store, events.position FROM stores JOIN events ON events.store = stores.key
        WHERE stores.deleted LIMIT $1)",
    "DELETE FROM callers WHERE (store, reversed) IN
       (SELECT callers.store, callers.reversed FROM stores JOIN callers ON callers.store = stores.key
        WHERE stores.deleted LIMIT $1)",
];

/// Once they have nothing left: the stores themselves whose id another store has now. A store that may come back under its id keeps
/// its row, for its position.
const FORMER_STORES: &str = "DELETE FROM stores WHERE key IN
    (SELECT key FROM stores WHERE deleted AND starts_with(id, $2)
       AND NOT EXISTS (SELECT FROM calls WHERE store = stores.key)
       AND NOT EXISTS (SELECT FROM events WHERE store = stores.key)
       AND NOT EXISTS (SELECT FROM callers WHERE store = stores.key)
       AND NOT EXISTS (SELECT FROM customers WHERE store = stores.key)
       AND NOT EXISTS (SELECT FROM reservations WHERE store = stores.key)
       AND NOT EXISTS (SELECT FROM pads WHERE store = stores.key)
     LIMIT $1 FOR UPDATE SKIP LOCKED)";

/// Each deletes up to `$2` rows from before the Unix second `$1`.
const OLD: [&str; 4] = [
    "DELETE FROM quarantine WHERE key IN
       (SELECT key FROM quarantine WHERE received < $1 * 1000 ORDER BY received LIMIT $2 / 10)",
    "DELETE FROM events WHERE (store, position) IN
       (SELECT store, position FROM events WHERE created < $1 * 1000 ORDER BY created LIMIT $2)",
    "DELETE FROM reservations WHERE call IN
       (SELECT call FROM reservations WHERE at < $1 ORDER BY at LIMIT $2
        FOR UPDATE SKIP LOCKED)",
    // A call is kept until its reservation is as old, too.
    "DELETE FROM calls WHERE key IN
       (SELECT key FROM calls WHERE sdt < $1 AND NOT EXISTS (SELECT FROM reservations WHERE call = calls.key) ORDER BY sdt LIMIT $2 FOR UPDATE SKIP LOCKED)",
];

/// Pads of deleted stores count as revoked from the Unix second `$1` on.
const REVOKE_OF_DELETED_STORES: &str = "UPDATE pads SET revoked = $1 WHERE id IN
    (SELECT pads.id FROM stores JOIN pads ON pads.store = stores.key
     WHERE stores.deleted AND pads.revoked IS NULL LIMIT $2 FOR UPDATE OF pads SKIP LOCKED)";

/// Codes that have expired at the Unix second `$1`.
const EXPIRED_CODES: &str = "DELETE FROM pads WHERE id IN
    (SELECT id FROM pads WHERE code IS NOT NULL AND store IS NULL AND expires <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Pads that were revoked before the Unix second `$1`, after which push-svc need not be told of them, and before `$2`. It does not
/// matter how long ago if their store was deleted.
const REVOKED: &str = "DELETE FROM pads WHERE id IN
    (SELECT id FROM pads WHERE revoked < $1
       AND (revoked < $2 OR store IN (SELECT key FROM stores WHERE deleted)) LIMIT $3 FOR UPDATE SKIP LOCKED)";

/// How far the look through the callers has come. There is no index by their last call, because every accept would have to write it.
#[derive(Default)]
pub(super) struct Sweep {
    /// The caller that was looked at last: store, and number read backwards.
    after: Option<(i64, String)>,
    /// When it begins again; `None`: it is under way, or due.
    rests_until: Option<Instant>,
}

/// One step, in a transaction of the caller; whether there may be more to delete, or to look at.
pub(super) async fn step(client: &Client, sweep: &mut Sweep, before: i64) -> Result<bool, Failure> {
    let lock = "SELECT pg_try_advisory_xact_lock($1)";
    let is_ours: bool = client.query_typed_one(lock, &[(&RETENTION, Type::INT8)]).await?.try_get(0)?;
    Ok(is_ours && (rows(client, before).await? > 0 || callers(client, sweep, before).await?))
}

async fn rows(client: &Client, before: i64) -> Result<u64, Failure> {
    let mut deleted = 0;
    for table in OLD {
        deleted += client.execute_typed(table, &[(&before, Type::INT8), (&STEP, Type::INT8)]).await?;
    }
    deleted += pads(client, before).await?;
    for table in OF_DELETED_STORES {
        deleted += client.execute_typed(table, &[(&STEP, Type::INT8)]).await?;
    }
    if deleted == 0 {
        deleted += client.execute_typed(FORMER_STORES, &[(&STEP, Type::INT8), (&FORMER, Type::TEXT)]).await?;
    }
    Ok(deleted)
}

async fn pads(client: &Client, before: i64) -> Result<u64, Failure> {
    let now = jiff::Timestamp::now().as_second();
    let mut changed = 0;
    for table in [REVOKE_OF_DELETED_STORES, EXPIRED_CODES] {
        changed += client.execute_typed(table, &[(&now, Type::INT8), (&STEP, Type::INT8)]).await?;
    }
    let told = now.saturating_sub(REVOCATION_SECONDS);
    let parameters: super::rows::Parameters<'_> =
        &[(&told, Type::INT8), (&before, Type::INT8), (&STEP, Type::INT8)];
    Ok(changed + client.execute_typed(REVOKED, parameters).await?)
}

/// Looks at some callers, and deletes those whose last call was before `before`; whether there are more to look at.
async fn callers(client: &Client, sweep: &mut Sweep, before: i64) -> Result<bool, Failure> {
    let now = Instant::now();
    if sweep.rests_until.is_some_and(|until| now < until) {
        return Ok(false);
    }
    let (store, reversed) = sweep.after.clone().unwrap_or((i64::MIN, String::new()));
    let last = client
        .query_typed(
            "WITH looked_at AS (
               SELECT store, reversed FROM callers WHERE (store, reversed) > ($1, $2) ORDER BY store, reversed LIMIT $4),
             deleted AS (
               DELETE FROM callers USING looked_at WHERE callers.store = looked_at.store
                 AND callers.reversed = looked_at.reversed AND callers.last_call < $3)
             SELECT store, reversed, count(*) OVER () FROM looked_at ORDER BY store DESC, reversed DESC LIMIT 1",
            &[(&store, Type::INT8), (&reversed, Type::TEXT), (&before, Type::INT8), (&LOOKS, Type::INT8)],
        )
        .await?;
    let (last, looks) = match last.first() {
        Some(row) => (Some((row.try_get(0)?, row.try_get(1)?)), row.try_get::<_, i64>(2)?),
        None => (None, 0),
    };
    let is_last = looks < LOOKS;
    sweep.after = last.filter(|_| !is_last);
    sweep.rests_until = is_last.then(|| {
        let kept = jiff::Timestamp::now().as_second().saturating_sub(before);
        now + REST.min(Duration::from_secs(u64::try_from(kept).unwrap_or_default()))
    });
    Ok(!is_last)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use ringpad_tests::postgres::PostgresServer;

    use crate::{
        call::{Action, Reservation},
        log::tests::{Place, act, gangnam, ring},
        store::Moving,
    };

    #[tokio::test]
    async fn a_reservation_that_a_batch_has_locked_is_left_for_later() {
        let server = PostgresServer::shared().await;
        let name = server.create_database().await;
        let opened = Place::Postgres(server.url(&name).parse().unwrap()).open().await;
        opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
        let call = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
        let reservation = Reservation { at: Some(-1), ..Reservation::default() };
        opened.log.act(act(call, Action::Note("note".to_owned(), Some(reservation)), 1)).await.unwrap();
        let client = server.connect(&name).await;
        let lock = "BEGIN; SELECT FROM reservations FOR UPDATE";
        let left = async || {
            let row = client.query_one("SELECT count(*) FROM reservations", &[]).await.unwrap();
            row.get::<_, i64>(0)
        };
        // It is too old; and then its store is deleted, too.
        client.batch_execute(lock).await.unwrap();
        while opened.log.purge(0).await.unwrap() {}
        opened.log.delete_store("gangnam".to_owned()).await.unwrap();
        while opened.log.purge(-2).await.unwrap() {}
        assert_eq!(left().await, 1);
        client.batch_execute("ROLLBACK").await.unwrap();
        while opened.log.purge(0).await.unwrap() {}
        assert_eq!(left().await, 0);
        opened.close().await;
    }
}
