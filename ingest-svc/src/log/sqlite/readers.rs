//! The connections that read, each used by one query at a time. A query that takes too long is ended: what it reads could not be
//! moved out of the write-ahead log.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use uuid::Uuid;

use super::{
    super::{
        error::{LogError, Obstacle},
        job::CustomerImport,
        read::{
            AllMissed, CallPage, CallQuery, Cursor, OutboxPage, PageSize, ReservationPage, ReservationQuery,
        },
        unreadable::UnreadableRows,
    },
    customers,
    file::LogFile,
    open::open_reader,
    pads, quarantine, read,
};
use crate::{
    capacity::LogCapacity,
    customer::{CustomerChange, CustomerEntry},
    pad::{CredentialHash, Holder, PadMark, PairedPad},
    request::Quarantined,
    store::{Moving, StoreEntry, Upserted},
};

/// Steps of SQLite's virtual machine between two looks at the clock: some ten microseconds.
const STEPS: i32 = 1_000;

/// The reading connections. A cloneable handle.
#[derive(Debug, Clone)]
pub(in super::super) struct Connections {
    shared: Arc<Shared>,
    capacity: LogCapacity,
    unreadable: UnreadableRows,
}

#[derive(Debug)]
struct Shared {
    idle: Mutex<Vec<Connection>>,
    /// Dropped after the connections.
    file: Arc<LogFile>,
}

/// Its methods do one query each. `held` is dropped when the query has ended, also if nobody waits for it any more.
impl Connections {
    pub(super) fn new(file: Arc<LogFile>, capacity: LogCapacity, unreadable: UnreadableRows) -> Self {
        Self { shared: Arc::new(Shared { idle: Mutex::default(), file }), capacity, unreadable }
    }

    pub(in super::super) async fn calls(
        &self,
        query: CallQuery,
        held: impl Send + 'static,
    ) -> Result<Option<CallPage>, LogError> {
        let Self { capacity, unreadable, .. } = self.clone();
        self.read(held, move |connection| read::calls(connection, &query, &capacity, &unreadable)).await
    }

    pub(in super::super) async fn reservations(
        &self,
        query: ReservationQuery,
        held: impl Send + 'static,
    ) -> Result<Option<ReservationPage>, LogError> {
        let Self { capacity, unreadable, .. } = self.clone();
        self.read(held, move |connection| read::reservations(connection, &query, &capacity, &unreadable))
            .await
    }

    pub(in super::super) async fn missed(
        &self,
        cursors: Vec<Cursor>,
        limit: usize,
        held: impl Send + 'static,
    ) -> Result<AllMissed, LogError> {
        let unreadable = self.unreadable.clone();
        let limit = PageSize { events: limit, bytes: self.capacity.answer_bytes };
        self.read(held, move |connection| read::missed(connection, &cursors, limit, &unreadable)).await
    }

    pub(in super::super) async fn outbox(
        &self,
        from_key: u64,
        since: i64,
        page: PageSize,
        held: impl Send + 'static,
    ) -> Result<OutboxPage, LogError> {
        let unreadable = self.unreadable.clone();
        self.read(held, move |connection| read::outbox(connection, from_key, since, page, &unreadable)).await
    }

    pub(in super::super) async fn stores(
        &self,
        after: String,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<StoreEntry>, LogError> {
        self.read(held, move |connection| read::stores(connection, &after, limit)).await
    }

    pub(in super::super) async fn plan_stores(
        &self,
        entries: Vec<StoreEntry>,
        moving: Moving,
        held: impl Send + 'static,
    ) -> Result<Vec<Upserted>, LogError> {
        self.read(held, move |connection| read::plans(connection, &entries, moving)).await
    }

    pub(in super::super) async fn customers(
        &self,
        store_id: String,
        after: String,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Option<Vec<CustomerEntry>>, LogError> {
        self.read(held, move |connection| customers::list(connection, &store_id, &after, limit)).await
    }

    pub(in super::super) async fn plan_customers(
        &self,
        import: CustomerImport,
        held: impl Send + 'static,
    ) -> Result<Option<Vec<CustomerChange>>, LogError> {
        self.read(held, move |connection| customers::plan(connection, &import)).await
    }

    pub(in super::super) async fn newest_quarantined(
        &self,
        before: u64,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<(u64, Quarantined)>, LogError> {
        self.read(held, move |connection| quarantine::newest(connection, before, limit)).await
    }

    pub(in super::super) async fn oldest_quarantined(
        &self,
        from: u64,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<(u64, Quarantined)>, LogError> {
        self.read(held, move |connection| quarantine::oldest(connection, from, limit)).await
    }

    pub(in super::super) async fn holder(
        &self,
        credential: CredentialHash,
        now: i64,
        held: impl Send + 'static,
    ) -> Result<Option<Holder>, LogError> {
        self.read(held, move |connection| pads::holder(connection, credential, now)).await
    }

    pub(in super::super) async fn pads(
        &self,
        store_id: String,
        after: Option<PadMark>,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<PairedPad>, LogError> {
        self.read(held, move |connection| pads::list(connection, &store_id, after.as_ref(), limit)).await
    }

    pub(in super::super) async fn revoked_pads(
        &self,
        since: i64,
        held: impl Send + 'static,
    ) -> Result<Vec<Uuid>, LogError> {
        self.read(held, move |connection| pads::revoked(connection, since)).await
    }

    pub(in super::super) async fn newest_call(
        &self,
        held: impl Send + 'static,
    ) -> Result<Option<jiff::Timestamp>, LogError> {
        self.read(held, |connection| read::newest_call(connection)).await
    }

    /// Reads on a thread for blocking work. A query that takes longer than the longest read, or that nobody waits for any more, is
    /// ended.
    async fn read<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (shared, longest) = (Arc::clone(&self.shared), self.capacity.longest_read);
        // Dropped with this future.
        let asked = Arc::new(());
        let wanted = Arc::downgrade(&asked);
        let work = move || {
            let _held = held;
            let mut connection = shared.take()?;
            let answer = bounded(&mut connection, longest, wanted, query)?;
            // Only a connection that has worked is used again.
            shared.give_back(connection);
            Ok(answer)
        };
        let answer = tokio::task::spawn_blocking(work).await;
        drop(asked);
        answer.unwrap_or_else(|_| Err(Obstacle::Panicked.into()))
    }
}

/// Does a query that ends with [`LogError::TooLong`] when its time is over, or nobody waits for it.
pub(super) fn bounded<T>(
    connection: &mut Connection,
    longest: Duration,
    wanted: Weak<()>,
    query: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> Result<T, LogError> {
    let began = Instant::now();
    let is_over = move || wanted.strong_count() == 0 || began.elapsed() > longest;
    let answer = connection.progress_handler(STEPS, Some(is_over)).and_then(|()| query(connection));
    answer.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => LogError::TooLong,
        _ => error.into(),
    })
}

impl Shared {
    /// A connection that is idle, or a new one.
    fn take(&self) -> Result<Connection, LogError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        self.file.check_name()?;
        Ok(open_reader(&self.file)?)
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
