//! The reading half of the log. Three queues, so that what pads look for delays neither live events nor pads that open a stream;
//! in two of them the stores take turns.

use jiff::Timestamp;
use ringpad_runtime::fair::Turns;
use uuid::Uuid;

use super::{
    error::LogError,
    metrics::LogMetrics,
    read::{AllMissed, CallPage, CallQuery, Cursor, OutboxPage, PageSize, Purpose},
    sqlite::Connections,
};
use crate::{
    capacity::{LogCapacity, Readers},
    request::Quarantined,
    store::{Moving, StoreEntry, Upserted},
};

/// The one key of a queue in which stores do not take turns.
const ANYBODY: &str = "";

/// A cloneable handle that only reads, and does not keep the writer alive.
#[derive(Debug, Clone)]
pub struct LogReader {
    epoch: Uuid,
    connections: Connections,
    /// What repairs live events: the relay, and replicas that compare their stores.
    live: Turns,
    /// Pads that open a stream, for the first time or again.
    pads: Turns,
    /// Pads that look for calls, and people.
    searches: Turns,
    metrics: LogMetrics,
}

impl LogReader {
    pub(super) fn new(
        epoch: Uuid,
        connections: Connections,
        capacity: &LogCapacity,
        metrics: LogMetrics,
    ) -> Self {
        let turns = |readers: Readers| Turns::new(readers.all, readers.of_one_store);
        Self {
            epoch,
            connections,
            live: turns(capacity.live_readers),
            pads: turns(capacity.pad_readers),
            searches: turns(capacity.search_readers),
            metrics,
        }
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
            Purpose::Snapshot => &self.pads,
            Purpose::Search => &self.searches,
        };
        let turn = queue.wait(&query.store_id).await;
        self.count(self.connections.calls(query, turn).await)
    }

    /// What replicas have missed, one answer for each cursor: `limit` events over all of them, and about 1 MiB of them. With
    /// `pad`, the store of a pad that comes back, it waits behind other pads.
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
            Some(store) => self.pads.wait(store).await,
            None => self.live.wait(ANYBODY).await,
        };
        self.count(self.connections.missed(cursors, limit, turn).await)
    }

    /// Stores with an id after `after`, by id.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn stores(&self, after: String, limit: u32) -> Result<Vec<StoreEntry>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        self.count(self.connections.stores(after, limit, turn).await)
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
        self.count(self.connections.plan_stores(entries, moving, turn).await)
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
        self.count(self.connections.newest_quarantined(before, limit, turn).await)
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
        self.count(self.connections.oldest_quarantined(from, limit, turn).await)
    }

    /// Events for the relay: from a key on, and not older than `since` (Unix milliseconds).
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn outbox(&self, from_key: u64, since: i64, page: PageSize) -> Result<OutboxPage, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        self.count(self.connections.outbox(from_key, since, page, turn).await)
    }

    /// When the newest one of the calls began that were logged last; `None`: there is no call.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn newest_call(&self) -> Result<Option<Timestamp>, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        self.count(self.connections.newest_call(turn).await)
    }

    /// Counts a query that was ended.
    fn count<T>(&self, answer: Result<T, LogError>) -> Result<T, LogError> {
        if matches!(answer, Err(LogError::TooLong)) {
            self.metrics.long_reads.inc();
        }
        answer
    }
}
