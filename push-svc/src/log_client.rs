//! A client of the log, over the internal gRPC of one or several instances of ingest-svc. It connects at the first request,
//! and again whenever it must.

mod batches;
mod instances;
mod pairing;

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;

use ringpad_proto::v1::{
    ActOnCallRequest, Call, ListCallEventsRequest, ListCallsRequest, ListCallsResponse,
    ListReservationsRequest, ListReservationsResponse, StoreCursor, StoreEvent, StoreEvents,
};
use ringpad_runtime::{
    fair::{Turn, Turns},
    grpc,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataValue},
    transport::Endpoint,
};
use uuid::Uuid;

use crate::{
    capacity::LogCapacity,
    event_sources::EventSources,
    hub::{Completeness, is_readable},
};
use batches::Batches;
use instances::{Cost, InstanceClient, Instances};

/// How long an answer may take: less than the 3 s within which a pad must have its snapshot.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2500);

/// A cloneable client of the log.
#[derive(Clone)]
pub(crate) struct LogClient {
    instances: Instances,
    /// For pads that open a stream or read what they missed.
    streams: Turns,
    /// What pads that come back ask the log.
    batches: Arc<Batches>,
    /// For the single requests of pads.
    requests: Turns,
    /// For tablets that need a code or a token, so that they do not wait behind the searches of pads.
    tablets: Turns,
    sources: EventSources,
}

/// Events of one or many stores.
#[derive(Debug)]
pub(crate) struct Events {
    /// The epoch of the log.
    pub epoch: Uuid,
    /// One for each cursor.
    pub stores: Vec<StoreEvents>,
    /// Whether the answer has all events.
    pub completeness: Completeness,
}

/// Why the log did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LogClientError {
    /// It has no such store.
    #[error("no such store")]
    NoSuchStore,
    /// It cannot be reached, is too slow, or refuses the request.
    #[error("{}: {}", .0.code(), .0.message())]
    Unreachable(Box<Status>),
    /// Its answer is not as the protocol requires.
    #[error("unexpected answer: {0}")]
    Unexpected(&'static str),
}

impl LogClient {
    /// A client of the log that the instances at `urls` share. Nothing is connected yet.
    pub(crate) fn new(
        urls: Vec<Endpoint>,
        bearer: Option<MetadataValue<Ascii>>,
        sources: EventSources,
        capacity: LogCapacity,
        registry: &mut Registry,
    ) -> Self {
        let LogCapacity { streams, requests, tablets } = capacity;
        Self {
            instances: Instances::new(urls, bearer, registry),
            streams: Turns::new(streams),
            batches: Arc::default(),
            requests: Turns::new(requests),
            tablets: Turns::new(tablets),
            sources,
        }
    }

    /// Watches which instances answer, until `stop`.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        self.instances.watch(stop).await;
    }

    /// A store's calls.
    ///
    /// # Errors
    /// There is no such store, or no answer.
    pub(crate) async fn calls(&self, request: ListCallsRequest) -> Result<ListCallsResponse, LogClientError> {
        let _turn = self.streams.wait(&request.store_id).await;
        self.answer(self.list_calls(request, answer_time()).await)
    }

    /// Carries out a pad's action.
    ///
    /// # Errors
    /// The log's own status if the action is refused; or `UNAVAILABLE`.
    pub(crate) async fn act(&self, request: ActOnCallRequest) -> Result<Call, Status> {
        let store = request.store_id.clone();
        let (_turn, until) = wait_for_turn(&self.requests, &store).await?;
        let call = async |mut client: InstanceClient, request| client.act_on_call(request).await;
        let answer = self.instances.ask(request, Cost::Little, until, call).await;
        let answer = self.answer_or_refusal(answer)?;
        answer.call.ok_or_else(|| grpc::unavailable("the answer of the log has no call"))
    }

    /// The reservations that a pad asks for.
    ///
    /// # Errors
    /// The log's own status if the request is refused; or `UNAVAILABLE`.
    pub(crate) async fn reservations(
        &self,
        request: ListReservationsRequest,
    ) -> Result<ListReservationsResponse, Status> {
        let store = request.store_id.clone();
        let (_turn, until) = wait_for_turn(&self.requests, &store).await?;
        let call = async |mut client: InstanceClient, request| client.list_reservations(request).await;
        let answer = self.instances.ask(request, Cost::Much, until, call).await;
        self.answer_or_refusal(answer)
    }

    /// The calls that a pad searches for.
    ///
    /// # Errors
    /// The log's own status if the request is refused; or `UNAVAILABLE`.
    pub(crate) async fn search(&self, request: ListCallsRequest) -> Result<ListCallsResponse, Status> {
        let store = request.store_id.clone();
        let (_turn, until) = wait_for_turn(&self.requests, &store).await?;
        self.answer_or_refusal(self.list_calls(request, until).await)
    }

    /// The events that one pad has missed. Pads that ask at the same time share a request, for `limit` events a pad in all.
    ///
    /// # Errors
    /// There is no such store, or no answer.
    pub(crate) async fn missed(
        &self,
        cursor: StoreCursor,
        limit: u32,
    ) -> Result<(Uuid, StoreEvents), LogClientError> {
        let _turn = self.streams.wait(&cursor.store_id).await;
        let read = |stores: Vec<StoreCursor>| {
            let limit = u32::try_from(stores.len()).map_or(limit, |pads| limit.saturating_mul(pads));
            self.read_events(ListCallEventsRequest { stores, limit, for_pad: true })
        };
        let answer = self.batches.ask(&cursor, read).await?;
        let is_left_out = answer.completeness == Completeness::Truncated
            && answer.events.events.is_empty()
            && answer.events.position > cursor.after_position;
        let (epoch, events) = if is_left_out {
            let Events { epoch, mut stores, .. } = read(vec![cursor]).await?;
            (epoch, stores.pop().ok_or(LogClientError::Unexpected("no store in the answer"))?)
        } else {
            (answer.epoch, answer.events)
        };
        if events.not_found { Err(LogClientError::NoSuchStore) } else { Ok((epoch, events)) }
    }

    /// The events that many stores have missed, at most `limit` in all; fewer if the answer would be too large. Never waits
    /// for pads.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn events(
        &self,
        stores: Vec<StoreCursor>,
        limit: u32,
    ) -> Result<Events, LogClientError> {
        self.read_events(ListCallEventsRequest { stores, limit, for_pad: false }).await
    }

    async fn read_events(&self, mut request: ListCallEventsRequest) -> Result<Events, LogClientError> {
        let mut answer = loop {
            let call = async |mut client: InstanceClient, request| client.list_call_events(request).await;
            match self.instances.ask(request.clone(), Cost::Much, answer_time(), call).await {
                // An older version of ingest-svc does not count bytes.
                Err(status) if status.code() == Code::OutOfRange && request.limit > 1 => {
                    request.limit = (request.limit / 8).max(1);
                }
                answer => break self.answer(answer)?,
            }
        };
        let epoch = epoch(&answer.epoch)?;
        answer.stores.iter_mut().for_each(truncate_at_unreadable);
        let count: usize = answer.stores.iter().map(|store| store.events.len()).sum();
        // An older version of ingest-svc does not set `more`.
        let full = u32::try_from(count).is_ok_and(|count| count >= request.limit);
        let truncated = answer.more || full;
        let completeness = if truncated { Completeness::Truncated } else { Completeness::Complete };
        Ok(Events { epoch, stores: answer.stores, completeness })
    }

    async fn list_calls(
        &self,
        request: ListCallsRequest,
        until: Instant,
    ) -> Result<tonic::Response<ListCallsResponse>, Status> {
        let call = async |mut client: InstanceClient, request| client.list_calls(request).await;
        self.instances.ask(request, Cost::Much, until, call).await
    }

    /// The answer of the log, or its refusal of the request. After any other error the pad may try again.
    fn answer_or_refusal<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, Status> {
        match answer {
            Err(status)
                if matches!(
                    status.code(),
                    Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound
                ) =>
            {
                self.sources.log_up();
                Err(status)
            }
            answer => self.answer(answer).map_err(|error| {
                tracing::debug!(%error, "no answer for a pad");
                grpc::unavailable("the log cannot be reached")
            }),
        }
    }

    fn answer<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, LogClientError> {
        match answer {
            Ok(answer) => {
                self.sources.log_up();
                Ok(answer.into_inner())
            }
            Err(status) if status.code() == Code::NotFound => {
                self.sources.log_up();
                Err(LogClientError::NoSuchStore)
            }
            Err(status) => {
                let error = LogClientError::Unreachable(Box::new(status));
                self.sources.log_down(&error.to_string());
                Err(error)
            }
        }
    }
}

/// Waits until a single request of a store or an address may be sent, and returns the time by which it must be answered.
async fn wait_for_turn(turns: &Turns, whose: &str) -> Result<(Turn, Instant), Status> {
    let until = answer_time();
    let turn = timeout_at(until, turns.wait(whose)).await;
    let turn = turn.map_err(|_| grpc::unavailable("too many requests wait for the log"))?;
    Ok((turn, until))
}

fn answer_time() -> Instant {
    Instant::now() + ANSWER_TIMEOUT
}

/// Removes an event that cannot be read, which an older version of ingest-svc sends, and all that follow it, as if the log
/// did not have them any more.
fn truncate_at_unreadable(store: &mut StoreEvents) {
    let unreadable = |event: &StoreEvent| !is_readable(event.position, &event.subscribe_response);
    if let Some(first) = store.events.iter().position(unreadable) {
        tracing::error!(
            store = store.store_id,
            position = store.events.get(first).map(|event| event.position),
            "the log has an event that cannot be read: the store's pads get a fresh snapshot"
        );
        store.events.truncate(first);
    }
}

/// Parses an epoch.
///
/// # Errors
/// It is not a UUID.
pub(crate) fn epoch(text: &str) -> Result<Uuid, LogClientError> {
    Uuid::try_parse(text).map_err(|_| LogClientError::Unexpected("the epoch is not a UUID"))
}
