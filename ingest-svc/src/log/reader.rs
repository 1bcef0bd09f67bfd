//! The reading half of the log: a few connections, each of them used by one query at a time.
//!
//! Three queues, so that what pads look for delays neither live events nor pads that come in; in two of them the stores
//! take turns. A query that takes too long is ended: what it reads from could not be moved out of the write-ahead log.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use ringpad_runtime::fair::{Turn, Turns};
use rusqlite::{Connection, ErrorCode};
use uuid::Uuid;

use super::metrics::LogMetrics;
use super::{
    LogError,
    directory::{Moving, StoreEntry, Upserted},
    file::LogFile,
    quarantine::{self, Quarantined},
    read::{self, AllMissed, CallPage, CallQuery, Cursor, OutboxPage, PageSize, Purpose},
    schema,
    set_aside::SetAside,
};

/// Queries at the same time in each of the queues, and those of one store among them.
const LIVE: (usize, usize) = (2, 2);
const RETURNS: (usize, usize) = (2, 1);
const SEARCHES: (usize, usize) = (2, 1);

/// How long a query may take, from its turn on: push-svc waits 2.5 s.
const LONGEST: Duration = Duration::from_secs(2);

/// Steps of SQLite's virtual machine between two looks at the clock: some ten microseconds.
const STEPS: i32 = 1_000;

/// The one key of a queue in which stores do not take turns.
const ANYBODY: &str = "";

/// A cloneable handle that only reads, and does not keep the writer alive.
#[derive(Debug, Clone)]
pub struct LogReader {
    epoch: Uuid,
    readers: Arc<Readers>,
    /// What mends live events: the relay, and replicas that compare their stores.
    live: Turns,
    /// Pads that come in or come back.
    returns: Turns,
    /// Pads that look for calls, and people.
    searches: Turns,
    set_aside: SetAside,
    metrics: LogMetrics,
}

/// Connections that wait for a query.
#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    /// Dropped after the connections.
    file: Arc<LogFile>,
}

impl LogReader {
    pub(super) fn new(epoch: Uuid, file: Arc<LogFile>, metrics: LogMetrics) -> Self {
        let readers = Arc::new(Readers { idle: Mutex::default(), file });
        let [live, returns, searches] = [LIVE, RETURNS, SEARCHES].map(|(all, each)| Turns::new(all, each));
        let set_aside = SetAside::new(metrics.unreadable_rows.clone());
        Self { epoch, readers, live, returns, searches, set_aside, metrics }
    }

    /// Which log this is.
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// A page of a store's calls, newest first; `None`: no such store.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn calls(&self, query: CallQuery) -> Result<Option<CallPage>, LogError> {
        let queue = match query.purpose {
            Purpose::Snapshot => &self.returns,
            Purpose::Search => &self.searches,
        };
        let turn = queue.wait(&query.store_id).await;
        let set_aside = self.set_aside.clone();
        self.read(turn, move |connection| read::calls(connection, &query, &set_aside)).await
    }

    /// What replicas have missed, one answer a cursor: `limit` events over all of them, and about 1 MiB of them. With `pad`,
    /// the store of one that comes back, it waits behind other pads.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn missed(
        &self,
        cursors: Vec<Cursor>,
        limit: usize,
        pad: Option<&str>,
    ) -> Result<AllMissed, LogError> {
        let turn = match pad {
            Some(store) => self.returns.wait(store).await,
            None => self.live.wait(ANYBODY).await,
        };
        let set_aside = self.set_aside.clone();
        self.read(turn, move |connection| read::missed(connection, &cursors, limit, &set_aside)).await
    }

    /// Stores with an id after `after`, by id.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn stores(&self, after: String, limit: u32) -> Result<Vec<StoreEntry>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        self.read(turn, move |connection| read::stores(connection, &after, limit)).await
    }

    /// What [`super::Log::upsert_store`] would do with each of these stores now.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn plan_stores(
        &self,
        entries: Vec<StoreEntry>,
        moving: Moving,
    ) -> Result<Vec<Upserted>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        self.read(turn, move |connection| read::plans(connection, &entries, moving)).await
    }

    /// Quarantined requests with an id below `before`, newest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn newest_quarantined(
        &self,
        before: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Quarantined)>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        self.read(turn, move |connection| quarantine::newest(connection, before, limit)).await
    }

    /// Quarantined requests with an id from `from` on, oldest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn oldest_quarantined(
        &self,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Quarantined)>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        self.read(turn, move |connection| quarantine::oldest(connection, from, limit)).await
    }

    /// Events for the relay: from a key on, and not older than `since` (Unix milliseconds).
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn outbox(&self, from_key: u64, since: i64, page: PageSize) -> Result<OutboxPage, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        let set_aside = self.set_aside.clone();
        self.read(turn, move |connection| read::outbox(connection, from_key, since, page, &set_aside)).await
    }

    /// When the newest of the calls began that were logged last; `None`: there is no call.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn newest_call(&self) -> Result<Option<Timestamp>, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        self.read(turn, |connection| read::newest_call(connection)).await
    }

    /// Reads on a thread for blocking work. A query that takes longer than [`LONGEST`], or that nobody waits for any more, is
    /// ended.
    async fn read<T: Send + 'static>(
        &self,
        turn: Turn,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let readers = Arc::clone(&self.readers);
        // Goes with this future.
        let asked = Arc::new(());
        let wanted = Arc::downgrade(&asked);
        let work = move || {
            let _turn = turn;
            let mut connection = readers.take()?;
            let answer = bounded(&mut connection, wanted, query)?;
            // Only a connection that has worked is used again.
            readers.give_back(connection);
            Ok(answer)
        };
        let answer = tokio::task::spawn_blocking(work).await;
        let answer = answer.unwrap_or_else(|_| Err(LogError::Unavailable(Arc::from("reading it panicked"))));
        if matches!(answer, Err(LogError::TooLong)) {
            self.metrics.long_reads.inc();
        }
        drop(asked);
        answer
    }
}

/// Does a query that ends with [`LogError::TooLong`] when its time is over, or the asker gone.
pub(super) fn bounded<T>(
    connection: &mut Connection,
    wanted: Weak<()>,
    query: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> Result<T, LogError> {
    let began = Instant::now();
    let is_over = move || wanted.strong_count() == 0 || began.elapsed() > LONGEST;
    let answer = connection.progress_handler(STEPS, Some(is_over)).and_then(|()| query(connection));
    answer.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => LogError::TooLong,
        _ => LogError::unavailable(&error),
    })
}

impl Readers {
    /// A connection that waits, or a new one.
    fn take(&self) -> Result<Connection, LogError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        self.file.check_name()?;
        schema::open_reader(&self.file).map_err(|error| LogError::unavailable(&error))
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
