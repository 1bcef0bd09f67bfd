//! Makes the tables, and changes those of an older version, while an ingest-svc of that version goes on: first what it calls, then what
//! is in the tables, some calls at a time. A start that is interrupted begins again.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use super::{
    error::OpenError,
    locks::{DIRECTORY, MIGRATION},
    rows::Parameters,
    target::Session,
};

/// The version that this code reads and writes.
pub(super) const VERSION: i32 = 2;

const TABLES: &str = concat!(
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("batch.sql"),
    include_str!("batch_2.sql")
);

/// An ingest-svc of version 1 may go on with the log while it is changed, and afterwards.
const FROM_VERSION_1: &str =
    concat!(include_str!("schema_2.sql"), include_str!("batch_2.sql"), include_str!("from_1.sql"));

/// The oldest server that is supported.
const SERVER: i32 = 14;

/// The log as it was found or made. Its epoch follows from it and the server's timeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogId {
    id: Uuid,
    /// Of the server when the log was made.
    timeline: i64,
}

impl LogId {
    /// The epoch on a timeline. A promotion begins a new one, and may have lost the last commits: their positions are given out
    /// again, in another epoch.
    pub(super) fn epoch(&self, timeline: i64) -> Uuid {
        let promotions = u128::from((timeline ^ self.timeline).cast_unsigned());
        Uuid::from_u128(self.id.as_u128() ^ promotions)
    }
}

/// For how long a start waits for its turn, and for the server. Whatever starts it then tries again.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// How a migration begins. The lock's holder is cut off if it stops in the middle.
const BEGIN: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '30s';
";

/// Calls whose reservations are read at a time: some tens of milliseconds, for which a record or an action of one of them waits.
const PAGE: i64 = 5_000;

/// The last key of the next calls; NULL: there are none.
const LAST_OF_PAGE: &str =
    "SELECT max(key) FROM (SELECT key FROM calls WHERE key > $1 ORDER BY key LIMIT $2) AS page";

/// The lock waits for an ingest-svc that is changing the call, and the newest row is read then. A reservation that is there already was
/// written by one.
const RESERVE_PAGE: &str = "
    INSERT INTO reservations (call, store, at)
    SELECT key, store, reserved_at(facts) FROM (
      SELECT key, store, facts FROM calls
      WHERE key > $1 AND key <= $2 AND store IS NOT NULL AND reserved_at(facts) IS NOT NULL
      ORDER BY key FOR NO KEY UPDATE) AS held
    ON CONFLICT (call) DO NOTHING";

/// Makes the tables if there are none, and migrates older ones. Waits for others that do so, and says so, but no longer than `longest`.
pub(super) async fn migrate(session: &Session, longest: Duration) -> Result<LogId, OpenError> {
    let (log, found) = prepare(session, longest).await?;
    if found < VERSION {
        reserve_all(&session.client).await?;
        let migrated = "UPDATE ringpad_log SET version = $1 WHERE version = $2";
        session.client.execute_typed(migrated, &[(&VERSION, Type::INT4), (&found, Type::INT4)]).await?;
        tracing::info!(version = VERSION, "the log is migrated");
    }
    Ok(log)
}

/// Reads the reservations of all calls.
async fn reserve_all(client: &Client) -> Result<(), tokio_postgres::Error> {
    let mut after = 0_i64;
    loop {
        let last = client.query_typed_one(LAST_OF_PAGE, &[(&after, Type::INT8), (&PAGE, Type::INT8)]).await?;
        let Some(last) = last.try_get::<_, Option<i64>>(0)? else { return Ok(()) };
        client.execute_typed(RESERVE_PAGE, &[(&after, Type::INT8), (&last, Type::INT8)]).await?;
        after = last;
    }
}

/// Makes the tables, or what an older log needs before its rows can be changed. Also returns the version that was found.
async fn prepare(session: &Session, longest: Duration) -> Result<(LogId, i32), OpenError> {
    timeout(longest, async {
        check_server(&session.client).await?;
        loop {
            match attempt(session).await {
                Err(OpenError::Tables(error)) if error.is_lock_timeout() => {
                    tracing::warn!(
                        "the start waits for another ingest-svc that makes or changes the tables of the log, or for another program that has locked them"
                    );
                    session.client.batch_execute("ROLLBACK").await?;
                }
                outcome => return outcome,
            }
        }
    })
    .await
    .unwrap_or(Err(OpenError::NoTurn { longest }))
}

async fn attempt(session: &Session) -> Result<(LogId, i32), OpenError> {
    let client = &session.client;
    client.batch_execute(BEGIN).await?;
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&MIGRATION, Type::INT8)]).await?;
    let exists = client.query_typed_one("SELECT to_regclass('ringpad_log') IS NOT NULL", &[]).await?;
    if !exists.try_get::<_, bool>(0)? {
        make(session, VERSION, Uuid::new_v4()).await?;
    }
    let log = client.query_typed_one("SELECT version, id, timeline FROM ringpad_log", &[]).await?;
    let found: i32 = log.try_get(0)?;
    if found == 1 {
        tracing::info!(from = found, to = VERSION, "migrating the log to this version");
        add_version_2(client).await?;
    }
    // Dropped, the connection takes the transaction back.
    if found < 0 {
        return Err(OpenError::Copying);
    }
    if found != VERSION && found != 1 {
        return Err(OpenError::Version { found, known: VERSION });
    }
    client.batch_execute("COMMIT").await?;
    Ok((LogId { id: log.try_get(1)?, timeline: log.try_get(2)? }, found))
}

/// Adds the tables and functions of version 2, unless a start that was interrupted has done so.
async fn add_version_2(client: &Client) -> Result<(), tokio_postgres::Error> {
    // A batch that has begun may still call the function of version 1. The next ones wait for some milliseconds.
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&DIRECTORY, Type::INT8)]).await?;
    let exists = client.query_typed_one("SELECT to_regclass('reservations') IS NOT NULL", &[]).await?;
    if exists.try_get::<_, bool>(0)? {
        return Ok(());
    }
    client.batch_execute(FROM_VERSION_1).await
}

async fn make(session: &Session, version: i32, id: Uuid) -> Result<(), tokio_postgres::Error> {
    session.client.batch_execute(TABLES).await?;
    let insert = "INSERT INTO ringpad_log (single, version, id, timeline) VALUES (true, $1, $2, $3)";
    let values: Parameters<'_> =
        &[(&version, Type::INT4), (&id, Type::UUID), (&session.timeline.number, Type::INT8)];
    session.client.execute_typed(insert, values).await?;
    Ok(())
}

/// Makes the tables for a log with this epoch that is to be copied. Until that is complete, the version is negative.
pub(super) async fn make_for_copy(session: &Session, epoch: Uuid) -> Result<(), tokio_postgres::Error> {
    let client = &session.client;
    client.batch_execute(BEGIN).await?;
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&MIGRATION, Type::INT8)]).await?;
    make(session, -VERSION, epoch).await?;
    client.batch_execute("COMMIT").await
}

pub(super) async fn check_server(client: &Client) -> Result<(), OpenError> {
    let settings = client
        .query_typed_one(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')",
            &[],
        )
        .await?;
    let found = settings.try_get(0)?;
    if found < SERVER {
        return Err(OpenError::Server { found });
    }
    let found: String = settings.try_get(1)?;
    if found == "UTF8" { Ok(()) } else { Err(OpenError::Encoding { found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promotion_makes_another_epoch_and_a_restart_does_not() {
        let log = LogId { id: Uuid::from_u128(7), timeline: 3 };
        assert_eq!(log.epoch(3), log.id);
        let later = [4, 5, 6].map(|timeline| log.epoch(timeline));
        assert!(later.iter().all(|epoch| *epoch != log.id));
        assert!(later[0] != later[1] && later[1] != later[2]);
    }
}
