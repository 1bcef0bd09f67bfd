//! A client of the log, over ingest-svc's internal gRPC. It connects at the first request, and again whenever it must.

use std::time::Duration;

use ringpad_proto::v1::{
    ActOnCallRequest, Call, ListCallEventsRequest, ListCallsRequest, ListCallsResponse, StoreCursor,
    StoreEvent, StoreEvents, ingest_service_client::IngestServiceClient,
};
use ringpad_runtime::{
    fair::{Turn, Turns},
    grpc,
};
use tokio::time::{Instant, timeout_at};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{
    capacity::LogCapacity,
    event_sources::EventSources,
    hub::{Completeness, is_readable},
};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take: less than the 3 s within which a pad must have its snapshot.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2500);
/// How often the connection is checked by a ping, and how long the answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
/// How large an answer may be. One of the current ingest-svc has about 1 MiB; an older version does not count bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A cloneable client of the log.
#[derive(Clone)]
pub(crate) struct LogClient {
    client: IngestServiceClient<InterceptedService<Channel, TokenInterceptor>>,
    /// For pads that open a stream or read what they missed.
    streams: Turns,
    /// For the single requests of pads.
    requests: Turns,
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
#[derive(Debug, thiserror::Error)]
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
    /// A client of the log at `endpoint`. Nothing is connected yet.
    pub(crate) fn new(
        endpoint: Endpoint,
        bearer: Option<MetadataValue<Ascii>>,
        sources: EventSources,
        capacity: LogCapacity,
    ) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .http2_keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let client = IngestServiceClient::with_interceptor(channel, TokenInterceptor(bearer))
            .max_decoding_message_size(ANSWER_BYTES);
        let LogCapacity { streams, requests } = capacity;
        Self { client, streams: Turns::new(streams), requests: Turns::new(requests), sources }
    }

    /// A store's calls.
    ///
    /// # Errors
    /// There is no such store, or no answer.
    pub(crate) async fn calls(&self, request: ListCallsRequest) -> Result<ListCallsResponse, LogClientError> {
        let _turn = self.streams.wait(&request.store_id).await;
        self.answer(self.client.clone().list_calls(request).await)
    }

    /// Carries out a pad's action.
    ///
    /// # Errors
    /// The log's own status if the action is refused; or `UNAVAILABLE`.
    pub(crate) async fn act(&self, request: ActOnCallRequest) -> Result<Call, Status> {
        let store = request.store_id.clone();
        let (_turn, request) = self.wait_for_turn(&store, request).await?;
        let answer = self.answer_or_refusal(self.client.clone().act_on_call(request).await)?;
        answer.call.ok_or_else(|| grpc::unavailable("the answer of the log has no call"))
    }

    /// The calls that a pad searches for.
    ///
    /// # Errors
    /// The log's own status if the request is refused; or `UNAVAILABLE`.
    pub(crate) async fn search(&self, request: ListCallsRequest) -> Result<ListCallsResponse, Status> {
        let store = request.store_id.clone();
        let (_turn, request) = self.wait_for_turn(&store, request).await?;
        self.answer_or_refusal(self.client.clone().list_calls(request).await)
    }

    /// The events that one pad has missed, at most `limit`.
    ///
    /// # Errors
    /// There is no such store, or no answer.
    pub(crate) async fn missed(
        &self,
        cursor: StoreCursor,
        limit: u32,
    ) -> Result<(Uuid, StoreEvents), LogClientError> {
        let _turn = self.streams.wait(&cursor.store_id).await;
        let request = ListCallEventsRequest { stores: vec![cursor], limit, for_pad: true };
        let Events { epoch, mut stores, .. } = self.read_events(request).await?;
        match stores.pop() {
            Some(StoreEvents { not_found: true, .. }) => Err(LogClientError::NoSuchStore),
            Some(events) => Ok((epoch, events)),
            None => Err(LogClientError::Unexpected("no store in the answer")),
        }
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
            match self.client.clone().list_call_events(request.clone()).await {
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

    /// Waits until a single request may be sent. The request gets the rest of the time that an answer may take.
    async fn wait_for_turn<T>(&self, store: &str, request: T) -> Result<(Turn, Request<T>), Status> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        let turn = timeout_at(until, self.requests.wait(store)).await;
        let turn = turn.map_err(|_| grpc::unavailable("too many requests of this store wait for the log"))?;
        let mut request = Request::new(request);
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        Ok((turn, request))
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

/// Adds the internal token to each request.
#[derive(Clone)]
struct TokenInterceptor(Option<MetadataValue<Ascii>>);

impl Interceptor for TokenInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}
