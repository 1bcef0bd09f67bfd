//! The reading half of the log. Four queues, so that what pads look for delays neither live events, nor pads that open a stream, nor
//! tablets that need a token; in two of them the stores take turns.

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use jiff::Timestamp;
use ringpad_runtime::fair::Turns;
use uuid::Uuid;

use super::{
    database::DatabaseReader,
    error::LogError,
    job::CustomerImport,
    metrics::LogMetrics,
    read::{
        AllMissed, CallPage, CallQuery, Cursor, OutboxPage, PageSize, Purpose, ReservationPage,
        ReservationQuery,
    },
};
use crate::{
    capacity::LogCapacity,
    customer::{CustomerChange, CustomerEntry},
    pad::{CredentialHash, Holder, PadMark, PairedPad},
    request::Quarantined,
    store::{Moving, StoreEntry, Upserted},
};

/// The one key of a queue in which stores do not take turns.
const ANYBODY: &str = "";

/// Asks the database, and counts a query that was ended.
macro_rules! ask {
    ($log:ident.$query:ident($($argument:expr),*)) => {
        $log.count(match &$log.database {
            DatabaseReader::Sqlite(connections) => connections.$query($($argument),*).await,
            DatabaseReader::Postgres(connections) => connections.$query($($argument),*).await,
        })
    };
}

/// A cloneable handle that only reads, and does not keep the writer alive.
#[derive(Debug, Clone)]
pub struct LogReader {
    epoch: Uuid,
    database: DatabaseReader,
    /// What repairs live events: the relay, and replicas that compare their stores.
    live: Turns,
    /// Pads that open a stream, for the first time or again.
    pads: Turns,
    /// Pads that look for calls, and people.
    searches: Turns,
    /// Tablets whose credential is checked. They have no store before the answer, so stores cannot take turns.
    credentials: Turns,
    metrics: LogMetrics,
}

impl LogReader {
    pub(super) fn new(
        epoch: Uuid,
        database: DatabaseReader,
        capacity: &LogCapacity,
        metrics: LogMetrics,
    ) -> Self {
        Self {
            epoch,
            database,
            live: Turns::new(capacity.live_readers),
            pads: Turns::new(capacity.pad_readers),
            searches: Turns::new(capacity.search_readers),
            credentials: Turns::new(capacity.credential_readers),
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
        ask!(self.calls(query, turn))
    }

    /// A page of a store's reservations, by their time; `None`: no such store.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn reservations(&self, query: ReservationQuery) -> Result<Option<ReservationPage>, LogError> {
        let turn = self.searches.wait(&query.store_id).await;
        ask!(self.reservations(query, turn))
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
        ask!(self.missed(cursors, limit, turn))
    }

    /// Stores with an id after `after`, by id.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn stores(&self, after: String, limit: u32) -> Result<Vec<StoreEntry>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        ask!(self.stores(after, limit, turn))
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
        ask!(self.plan_stores(entries, moving, turn))
    }

    /// A store's customers with an id after `after`, by id; `None`: no such store.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn customers(
        &self,
        store_id: String,
        after: String,
        limit: u32,
    ) -> Result<Option<Vec<CustomerEntry>>, LogError> {
        let turn = self.searches.wait(&store_id).await;
        ask!(self.customers(store_id, after, limit, turn))
    }

    /// What [`super::Log::import_customers`] would do now; `None`: no such store.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn plan_customers(
        &self,
        import: CustomerImport,
    ) -> Result<Option<Vec<CustomerChange>>, LogError> {
        let turn = self.searches.wait(&import.store_id).await;
        ask!(self.plan_customers(import, turn))
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
        ask!(self.newest_quarantined(before, limit, turn))
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
        ask!(self.oldest_quarantined(from, limit, turn))
    }

    /// Whose credential it is at a Unix second; `None`: nobody's. Tablets without a token ask, and wait for no other
    /// readers: behind the searches of many stores, at their opening time, push-svc would give up, and the tablets show nothing.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn holder(&self, credential: CredentialHash, now: i64) -> Result<Option<Holder>, LogError> {
        let turn = self.credentials.wait(ANYBODY).await;
        ask!(self.holder(credential, now, turn))
    }

    /// Pads of one store, or, with an empty id, of all that exist, after a place in their order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn pads(
        &self,
        store_id: String,
        after: Option<PadMark>,
        limit: u32,
    ) -> Result<Vec<PairedPad>, LogError> {
        let turn = self.searches.wait(ANYBODY).await;
        ask!(self.pads(store_id, after, limit, turn))
    }

    /// Pads that were revoked at the Unix second `since` or later, and those of deleted stores.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn revoked_pads(&self, since: i64) -> Result<Vec<Uuid>, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        ask!(self.revoked_pads(since, turn))
    }

    /// Events for the relay: from a key on, and not older than `since` (Unix milliseconds).
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn outbox(&self, from_key: u64, since: i64, page: PageSize) -> Result<OutboxPage, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        ask!(self.outbox(from_key, since, page, turn))
    }

    /// When the newest one of the calls began that were logged last; `None`: there is no call.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn newest_call(&self) -> Result<Option<Timestamp>, LogError> {
        let turn = self.live.wait(ANYBODY).await;
        ask!(self.newest_call(turn))
    }

    /// Counts a query that was ended.
    fn count<T>(&self, answer: Result<T, LogError>) -> Result<T, LogError> {
        if matches!(answer, Err(LogError::TooLong)) {
            self.metrics.long_reads.inc();
        }
        answer
    }
}
