//! Makes the tables, and changes those of an older version: by one ingest-svc at a time, in one transaction.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use super::{error::OpenError, locks::MIGRATION, rows::Parameters, target::Session};

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

/// Makes the tables if there are none, and migrates older ones. Waits for others that do so, and says so, but no longer than `longest`.
pub(super) async fn migrate(session: &Session, longest: Duration) -> Result<LogId, OpenError> {
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

async fn attempt(session: &Session) -> Result<LogId, OpenError> {
    let client = &session.client;
    client.batch_execute(BEGIN).await?;
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&MIGRATION, Type::INT8)]).await?;
    let exists = client.query_typed_one("SELECT to_regclass('ringpad_log') IS NOT NULL", &[]).await?;
    if !exists.try_get::<_, bool>(0)? {
        make(session, VERSION, Uuid::new_v4()).await?;
    }
    let log = client.query_typed_one("SELECT version, id, timeline FROM ringpad_log", &[]).await?;
    let mut found: i32 = log.try_get(0)?;
    if found == 1 {
        tracing::info!(from = found, to = VERSION, "migrating the log to this version");
        client.batch_execute(FROM_VERSION_1).await?;
        client.execute_typed("UPDATE ringpad_log SET version = $1", &[(&VERSION, Type::INT4)]).await?;
        found = VERSION;
    }
    // Dropped, the connection takes the transaction back.
    if found < 0 {
        return Err(OpenError::Copying);
    }
    if found != VERSION {
        return Err(OpenError::Version { found, known: VERSION });
    }
    client.batch_execute("COMMIT").await?;
    Ok(LogId { id: log.try_get(1)?, timeline: log.try_get(2)? })
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
