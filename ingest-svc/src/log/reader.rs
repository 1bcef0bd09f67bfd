//! The reading half of the log: a few connections, each of them used by one query at a time.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    LogError,
    directory::StoreEntry,
    file::LogFile,
    quarantine::{self, Quarantined},
    read::{self, AllMissed, CallPage, CallQuery, Cursor, OutboxPage, PageSize},
    schema,
};

/// Connections that read at the same time.
const READERS: usize = 3;

/// A cloneable handle that only reads, and does not keep the writer alive.
#[derive(Debug, Clone)]
pub struct LogReader {
    epoch: Uuid,
    readers: Arc<Readers>,
    permits: Arc<Semaphore>,
}

/// Connections that wait for a query.
#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    /// Dropped after the connections.
    file: Arc<LogFile>,
}

impl LogReader {
    pub(super) fn new(epoch: Uuid, file: Arc<LogFile>) -> Self {
        let readers = Arc::new(Readers { idle: Mutex::default(), file });
        Self { epoch, readers, permits: Arc::new(Semaphore::new(READERS)) }
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
        self.read(move |connection| read::calls(connection, &query)).await
    }

    /// What readers have missed, one answer a cursor: `limit` events over all of them, and about 1 MiB of them.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn missed(&self, cursors: Vec<Cursor>, limit: usize) -> Result<AllMissed, LogError> {
        self.read(move |connection| read::missed(connection, &cursors, limit)).await
    }

    /// Stores with an id after `after`, by id.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn stores(&self, after: String, limit: u32) -> Result<Vec<StoreEntry>, LogError> {
        self.read(move |connection| read::stores(connection, &after, limit)).await
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
        self.read(move |connection| quarantine::newest(connection, before, limit)).await
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
        self.read(move |connection| quarantine::oldest(connection, from, limit)).await
    }

    /// Events for the relay: from a key on, and not older than `since` (Unix milliseconds).
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn outbox(&self, from_key: u64, since: i64, page: PageSize) -> Result<OutboxPage, LogError> {
        self.read(move |connection| read::outbox(connection, from_key, since, page)).await
    }

    /// Reads on a thread for blocking work, at most [`READERS`] at a time; the others wait for their turn.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let broken = |why: &str| LogError::Unavailable(Arc::from(why));
        let permit =
            Arc::clone(&self.permits).acquire_owned().await.map_err(|_| broken("it is being closed"))?;
        let readers = Arc::clone(&self.readers);
        let work = move || {
            let _permit = permit;
            let mut connection = readers.take()?;
            let answer = query(&mut connection).map_err(|error| LogError::unavailable(&error))?;
            // Only a connection that has worked is used again.
            readers.give_back(connection);
            Ok(answer)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| broken("reading it panicked"))?
    }
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
