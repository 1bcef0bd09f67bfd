//! Writes a log that is copied from SQLite.
//!
//! ```text
//! no tables ─► empty tables, version -1 ─► all rows and version 1, in one transaction
//!              (commit)                    (COPY in the binary format)
//! ```
//!
//! A log of a negative version is opened by no ingest-svc. What a transaction that was not committed has written is not there any more.

use std::{pin::Pin, time::Duration};

use bytes::BytesMut;
use tokio_postgres::{
    binary_copy::BinaryCopyInWriter,
    error::SqlState,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

use super::{
    super::{
        copy::{Column, Kind, Marks, TABLES, Table, Value},
        error::LogError,
    },
    error::{ConnectError, Failure, OpenError, ServerError},
    locks::{BEGIN, COPY},
    schema::{self, VERSION},
    target::{Servers, Session},
};

/// How long the server may take nothing, e.g. while its disk is busy.
const STALL: Duration = Duration::from_secs(300);

/// Nobody else uses these tables, but a transaction whose client was killed a moment ago may not be over. The client may take its time: it
/// also reads and writes the file.
const PATIENCE: &str = "
    SET LOCAL lock_timeout = '10s';
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout';
";

/// What a database has that a log is to be copied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    /// Nothing.
    Empty,
    /// A copy of this log was begun, and was not completed.
    Begun,
    /// This log.
    Complete,
}

/// Why a database cannot take a log.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It cannot be reached, or is none that ingest-svc could use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It has the log of an ingest-svc.
    #[error(
        "it has another log already, with {stores} stores and {calls} calls{}; an empty database is needed",
        if *used { ", and an ingest-svc uses it" } else { "" }
    )]
    NotEmpty {
        /// Without deleted ones.
        stores: i64,
        /// All calls.
        calls: i64,
        /// Whether an ingest-svc has written to it within its lease.
        used: bool,
    },
    /// Another program uses it.
    #[error("it has a table or view {0:?} that is not RingPad's; an empty database is needed")]
    OtherProgram(String),
    /// Of another file.
    #[error("a copy of another log to it was begun and is not complete; an empty database is needed")]
    OtherCopy,
    /// The file may be an old copy of the one that was moved.
    #[error(
        "it has this log already, but the file is not marked as moved: it may be an old copy of the file that was; an empty database is needed"
    )]
    HasCopy,
    /// By another process.
    #[error("another process copies to it now, or has locked its tables")]
    UnderWay,
    /// It may have been committed, or may be lost with the server.
    #[error(transparent)]
    NotConfirmed(LogError),
    /// The server refuses, or the connection is lost.
    #[error(transparent)]
    Server(ServerError),
}

impl From<tokio_postgres::Error> for TargetError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) => Self::UnderWay,
            _ => Self::Server(error.into()),
        }
    }
}

impl From<Failure> for TargetError {
    fn from(failure: Failure) -> Self {
        let (Failure::Conflict(error) | Failure::Job(error) | Failure::Unusable(error)) = failure;
        Self::NotConfirmed(error)
    }
}

impl From<ConnectError> for TargetError {
    fn from(error: ConnectError) -> Self {
        Self::Open(error.into())
    }
}

/// A connection to a database that a log is copied to.
pub(in super::super) struct Target(Session);

impl Target {
    /// Connects, and looks what is there. `epoch`: of the log that is to be copied.
    pub(in super::super) async fn connect(
        servers: &Servers,
        epoch: Uuid,
    ) -> Result<(Self, State), TargetError> {
        let target = Self(servers.with_stalls(STALL).connect().await?);
        schema::check_server(&target.0.client).await?;
        let state = target.state(epoch).await?;
        Ok((target, state))
    }

    async fn state(&self, epoch: Uuid) -> Result<State, TargetError> {
        let client = &self.0.client;
        // What belongs to an extension was not made by a program.
        let found = client
            .query_typed_one(
                "SELECT to_regclass('ringpad_log') IS NOT NULL, (
                   SELECT relname FROM pg_class
                   WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
                     AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND NOT EXISTS (
                       SELECT FROM pg_depend
                       WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
                   ORDER BY relname LIMIT 1)",
                &[],
            )
            .await?;
        if !found.try_get::<_, bool>(0)? {
            let other = found.try_get::<_, Option<&str>>(1)?;
            return other.map_or(Ok(State::Empty), |name| Err(TargetError::OtherProgram(name.to_owned())));
        }
        let log = client.query_typed_one("SELECT version, id FROM ringpad_log", &[]).await?;
        let (version, id): (i32, Uuid) = (log.try_get(0)?, log.try_get(1)?);
        match version {
            VERSION if id == epoch => Ok(State::Complete),
            VERSION => Err(self.not_empty().await?),
            version if version == -VERSION && id == epoch => Ok(State::Begun),
            version if version == -VERSION => Err(TargetError::OtherCopy),
            found => Err(OpenError::Version { found: found.abs(), known: VERSION }.into()),
        }
    }

    async fn not_empty(&self) -> Result<TargetError, TargetError> {
        let found = self
            .0
            .client
            .query_typed_one(
                "SELECT (SELECT count(*) FROM stores WHERE NOT deleted), (SELECT count(*) FROM calls),
                   EXISTS (SELECT FROM owners WHERE lease > clock_timestamp())",
                &[],
            )
            .await?;
        Ok(TargetError::NotEmpty {
            stores: found.try_get(0)?,
            calls: found.try_get(1)?,
            used: found.try_get(2)?,
        })
    }

    /// Makes the tables if there are none, and begins the transaction of the copy.
    pub(in super::super) async fn begin(&self, state: State, epoch: Uuid) -> Result<(), TargetError> {
        let client = &self.0.client;
        if state == State::Empty {
            schema::make_for_copy(&self.0, epoch).await?;
        }
        client.batch_execute(BEGIN).await?;
        client.batch_execute(PATIENCE).await?;
        client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&COPY, Type::INT8)]).await?;
        // It may have been completed until it was locked.
        if self.state(epoch).await? != State::Begun {
            return Err(TargetError::UnderWay);
        }
        let tables = TABLES.each_ref().map(|table| table.name).join(", ");
        // What an attempt that was killed has left takes room until then.
        Ok(client.batch_execute(&format!("TRUNCATE owners, {tables}")).await?)
    }

    /// Begins to write rows of a table.
    pub(in super::super) async fn write(&self, table: &Table) -> Result<TableWriter, TargetError> {
        let columns: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        let statement = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.name, columns.join(", "));
        let types: Vec<_> = table.columns.iter().map(Column::sql_type).collect();
        let sink = self.0.client.copy_in(&statement).await?;
        Ok(TableWriter(Box::pin(BinaryCopyInWriter::new(sink, &types))))
    }

    /// Does everything but the commit.
    pub(in super::super) async fn complete(&self, marks: &Marks) -> Result<(), TargetError> {
        let client = &self.0.client;
        // The next key is above all that were given out. A sequence is not set back by a rollback; the next attempt sets it again.
        let keys = "SELECT setval('store_keys', greatest(1, (SELECT max(key) FROM stores)), EXISTS (SELECT FROM stores)),
            setval(pg_get_serial_sequence('calls', 'key'), greatest(1, (SELECT max(key) FROM calls)), EXISTS (SELECT FROM calls)),
            setval(pg_get_serial_sequence('quarantine', 'key'), greatest(1, $1), $1 > 0)";
        client.query_typed(keys, &[(&marks.quarantined, Type::INT8)]).await?;
        // The first ingest-svc takes what was not published over, as from one that has ended.
        let owner =
            "INSERT INTO owners (owner, newest, relayed, lease) SELECT $1, $2, $3, '-infinity' WHERE $2 > $3";
        let owned = [
            (&marks.epoch as &(dyn ToSql + Sync), Type::UUID),
            (&marks.newest, Type::INT8),
            (&marks.relayed, Type::INT8),
        ];
        client.execute_typed(owner, &owned).await?;
        // Until the server does so by itself, it would not know how many rows there are.
        let tables = TABLES.each_ref().map(|table| table.name).join(", ");
        client.batch_execute(&format!("ANALYZE {tables}")).await?;
        let timeline = self.0.timeline.expression;
        let log = format!("UPDATE ringpad_log SET version = $1, id = $2, timeline = {timeline}");
        client.execute_typed(&log, &[(&VERSION, Type::INT4), (&marks.epoch, Type::UUID)]).await?;
        Ok(())
    }

    /// Commits, and waits for a synchronous standby.
    pub(in super::super) async fn commit(self) -> Result<(), TargetError> {
        self.0.forget_warnings();
        self.0.commit().await?;
        self.0.close().await;
        Ok(())
    }
}

/// Writes rows of one table.
pub(in super::super) struct TableWriter(Pin<Box<BinaryCopyInWriter>>);

impl TableWriter {
    /// Writes some rows.
    pub(in super::super) async fn add(&mut self, rows: Vec<Vec<Value>>) -> Result<(), TargetError> {
        for row in rows {
            self.0.as_mut().write_raw(row).await?;
        }
        Ok(())
    }

    /// There are no more; how many the server has taken.
    pub(in super::super) async fn finish(mut self) -> Result<u64, TargetError> {
        Ok(self.0.as_mut().finish().await?)
    }
}

impl Column {
    pub(super) fn sql_type(&self) -> Type {
        match self.kind {
            Kind::Bool => Type::BOOL,
            Kind::Int2 => Type::INT2,
            Kind::Int4 => Type::INT4,
            Kind::Int8 => Type::INT8,
            Kind::Text => Type::TEXT,
            Kind::Bytes => Type::BYTEA,
            Kind::Uuid => Type::UUID,
        }
    }
}

type SqlError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(value) => value.to_sql_checked(sql_type, out),
            Self::Int2(value) => value.to_sql_checked(sql_type, out),
            Self::Int4(value) => value.to_sql_checked(sql_type, out),
            Self::Int8(value) => value.to_sql_checked(sql_type, out),
            Self::Text(value) => value.to_sql_checked(sql_type, out),
            Self::Bytes(value) => value.to_sql_checked(sql_type, out),
            Self::Uuid(value) => value.to_sql_checked(sql_type, out),
        }
    }

    /// Each value looks at the type itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
