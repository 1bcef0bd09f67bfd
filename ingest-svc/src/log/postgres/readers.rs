//! The connections that read, each used by one query at a time: a snapshot of one instant. A query that takes too long is ended by
//! the server.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tokio_postgres::Client;
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
    error::{ServerError, took_too_long},
    owner::CurrentOwner,
    pads,
    quarantine::{self, Place},
    read,
    schema::LogId,
    stores,
    target::{Servers, Session},
};
use crate::{
    capacity::LogCapacity,
    customer::{CustomerChange, CustomerEntry},
    pad::{CredentialHash, Holder, PadMark, PairedPad},
    request::Quarantined,
    store::{Moving, StoreEntry, Upserted},
};

/// For how much longer than one statement a query may wait. A server that does not answer then is given up.
const SLACK: Duration = Duration::from_secs(1);

/// How a query begins: one snapshot. The server ends a statement that takes too long.
fn begin(longest: Duration) -> String {
    let longest = longest.as_millis();
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {longest}")
}

/// What the queries of one log share.
pub(super) struct Shared {
    pub(super) servers: Servers,
    pub(super) log: LogId,
    pub(super) epoch: Uuid,
    pub(super) owner: Arc<CurrentOwner>,
    pub(super) idle: Mutex<Vec<Session>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.servers.fmt(f)
    }
}

/// The reading connections. A cloneable handle.
#[derive(Debug, Clone)]
pub(in super::super) struct Connections {
    pub(super) shared: Arc<Shared>,
    pub(super) capacity: LogCapacity,
    pub(super) unreadable: UnreadableRows,
}

/// A query's answer, or the server's error.
type Answer<'a, T> = BoxFuture<'a, Result<T, tokio_postgres::Error>>;

/// Its methods do one query each. `held` is dropped when the query has ended, also if nobody waits for it any more.
impl Connections {
    pub(in super::super) async fn calls(
        &self,
        query: CallQuery,
        held: impl Send + 'static,
    ) -> Result<Option<CallPage>, LogError> {
        let Self { capacity, unreadable, .. } = self.clone();
        self.read(held, move |client| {
            Box::pin(async move { read::calls(client, &query, &capacity, &unreadable).await })
        })
        .await
    }

    pub(in super::super) async fn reservations(
        &self,
        query: ReservationQuery,
        held: impl Send + 'static,
    ) -> Result<Option<ReservationPage>, LogError> {
        let Self { capacity, unreadable, .. } = self.clone();
        self.read(held, move |client| {
            Box::pin(async move { read::reservations(client, &query, &capacity, &unreadable).await })
        })
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
        self.read(held, move |client| {
            Box::pin(async move { read::missed(client, &cursors, limit, &unreadable).await })
        })
        .await
    }

    pub(in super::super) async fn outbox(
        &self,
        from_key: u64,
        since: i64,
        page: PageSize,
        held: impl Send + 'static,
    ) -> Result<OutboxPage, LogError> {
        let (unreadable, owner) = (self.unreadable.clone(), self.shared.owner.get());
        self.read(held, move |client| {
            Box::pin(async move { read::outbox(client, owner, from_key, since, page, &unreadable).await })
        })
        .await
    }

    pub(in super::super) async fn stores(
        &self,
        after: String,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<StoreEntry>, LogError> {
        self.read(held, move |client| Box::pin(async move { read::stores(client, &after, limit).await }))
            .await
    }

    pub(in super::super) async fn plan_stores(
        &self,
        entries: Vec<StoreEntry>,
        moving: Moving,
        held: impl Send + 'static,
    ) -> Result<Vec<Upserted>, LogError> {
        self.read(held, move |client| Box::pin(async move { stores::plans(client, &entries, moving).await }))
            .await
    }

    pub(in super::super) async fn customers(
        &self,
        store_id: String,
        after: String,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Option<Vec<CustomerEntry>>, LogError> {
        self.read(held, move |client| {
            Box::pin(async move { customers::list(client, &store_id, &after, limit).await })
        })
        .await
    }

    pub(in super::super) async fn plan_customers(
        &self,
        import: CustomerImport,
        held: impl Send + 'static,
    ) -> Result<Option<Vec<CustomerChange>>, LogError> {
        self.read(held, move |client| Box::pin(async move { customers::plan(client, &import).await })).await
    }

    pub(in super::super) async fn newest_quarantined(
        &self,
        before: u64,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<(u64, Quarantined)>, LogError> {
        self.read(held, move |client| Box::pin(quarantine::read(client, Place::Before(before), limit))).await
    }

    pub(in super::super) async fn oldest_quarantined(
        &self,
        from: u64,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<(u64, Quarantined)>, LogError> {
        self.read(held, move |client| Box::pin(quarantine::read(client, Place::From(from), limit))).await
    }

    pub(in super::super) async fn holder(
        &self,
        credential: CredentialHash,
        now: i64,
        held: impl Send + 'static,
    ) -> Result<Option<Holder>, LogError> {
        self.read(held, move |client| Box::pin(pads::holder(client, credential, now))).await
    }

    pub(in super::super) async fn pads(
        &self,
        store_id: String,
        after: Option<PadMark>,
        limit: u32,
        held: impl Send + 'static,
    ) -> Result<Vec<PairedPad>, LogError> {
        self.read(held, move |client| {
            Box::pin(async move { pads::list(client, &store_id, after.as_ref(), limit).await })
        })
        .await
    }

    pub(in super::super) async fn revoked_pads(
        &self,
        since: i64,
        held: impl Send + 'static,
    ) -> Result<Vec<Uuid>, LogError> {
        self.read(held, move |client| Box::pin(pads::revoked(client, since))).await
    }

    pub(in super::super) async fn newest_call(
        &self,
        held: impl Send + 'static,
    ) -> Result<Option<jiff::Timestamp>, LogError> {
        self.read(held, |client| Box::pin(read::newest_call(client))).await
    }

    /// Reads in a task of its own, so that a query that nobody waits for any more still holds its place until it has ended.
    async fn read<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        query: impl for<'a> FnOnce(&'a Client) -> Answer<'a, T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (shared, longest) = (Arc::clone(&self.shared), self.capacity.longest_read);
        let work = async move {
            let _held = held;
            let session = shared.take().await?;
            let (client, begin) = (&session.client, begin(longest));
            let answer = timeout(longest + SLACK, async {
                let (_, timeline, answer) = tokio::try_join!(
                    biased;
                    client.batch_execute(&begin),
                    session.timeline.now(client),
                    query(client),
                )?;
                client.batch_execute("COMMIT").await?;
                Ok((timeline, answer))
            });
            match answer.await {
                // A proxy may have moved this connection to a server that was promoted.
                Ok(Ok((timeline, _))) if shared.log.epoch(timeline) != shared.epoch => {
                    Err(Obstacle::Promoted.into())
                }
                Ok(Ok((_, answer))) => {
                    // Only a connection that has worked is used again.
                    shared.give_back(session);
                    Ok(answer)
                }
                Ok(Err(error)) if took_too_long(&error) => Err(LogError::TooLong),
                Ok(Err(error)) => Err(LogError::unavailable(ServerError::from(error))),
                Err(_) => Err(Obstacle::NoAnswer.into()),
            }
        };
        tokio::spawn(work).await.unwrap_or_else(|_| Err(Obstacle::Panicked.into()))
    }
}

impl Shared {
    /// A connection that is idle, or a new one.
    async fn take(&self) -> Result<Session, LogError> {
        while let Some(session) = self.pop() {
            if !session.client.is_closed() {
                return Ok(session);
            }
        }
        let session = self.servers.connect().await.map_err(LogError::unavailable)?;
        // Another epoch's positions must not be taken for this one's.
        if self.log.epoch(session.timeline.number) != self.epoch {
            return Err(Obstacle::Promoted.into());
        }
        Ok(session)
    }

    fn pop(&self) -> Option<Session> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }
}
