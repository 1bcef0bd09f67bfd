//! The log, asked over ingest-svc's internal gRPC. Connects when first asked, and again whenever it has to.

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
    hub::{Cut, is_readable},
    sources::Sources,
};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take: under the 3 s in which a pad must have its snapshot.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2500);
/// How often the connection is asked whether it is alive, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
/// How large an answer may be. One of today's ingest-svc has about 1 MiB; an older one does not count bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How many pads that come in or come back may ask at the same time, and how many of one store; more wait. So a storm of
/// returning pads is no storm on the log, and what mends the live events, which does not wait here, is not behind it.
const RETURNS: (usize, usize) = (32, 16);
/// The same for single requests, which wait in a queue of their own.
const SINGLE: (usize, usize) = (16, 4);

/// A cloneable handle on the log.
#[derive(Clone)]
pub(crate) struct LogClient {
    client: IngestServiceClient<InterceptedService<Channel, Bearer>>,
    returns: Turns,
    single: Turns,
    sources: Sources,
}

/// Events of one or many stores.
#[derive(Debug)]
pub(crate) struct Events {
    /// Which log this is.
    pub epoch: Uuid,
    /// One for each cursor.
    pub stores: Vec<StoreEvents>,
    /// Whether the answer ended at its limit.
    pub cut: Cut,
}

/// Why the log did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// It has no such store.
    #[error("no such store")]
    NoSuchStore,
    /// It cannot be reached, is too slow, or refuses us.
    #[error("{code}: {message}")]
    Unreachable {
        /// What gRPC calls it.
        code: Code,
        /// In words.
        message: String,
    },
    /// It answers something that the contract does not know.
    #[error("unexpected answer: {0}")]
    Unexpected(&'static str),
}

impl LogClient {
    /// A client of the log at `endpoint`. Nothing is connected yet.
    pub(crate) fn new(endpoint: Endpoint, bearer: Option<MetadataValue<Ascii>>, sources: Sources) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .http2_keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let client = IngestServiceClient::with_interceptor(channel, Bearer(bearer))
            .max_decoding_message_size(ANSWER_BYTES);
        let [returns, single] = [RETURNS, SINGLE].map(|(all, each)| Turns::new(all, each));
        Self { client, returns, single, sources }
    }

    /// A store's calls.
    ///
    /// # Errors
    /// There is no such store, or no answer.
    pub(crate) async fn calls(&self, request: ListCallsRequest) -> Result<ListCallsResponse, LogError> {
        let _turn = self.returns.wait(&request.store_id).await;
        self.answer(self.client.clone().list_calls(request).await)
    }

    /// Has a pad's action done.
    ///
    /// # Errors
    /// What the log says is wrong with it, in its own words; or `UNAVAILABLE`.
    pub(crate) async fn act(&self, request: ActOnCallRequest) -> Result<Call, Status> {
        let store = request.store_id.clone();
        let (_turn, request) = self.in_turn(&store, request).await?;
        let acted = self.verdict(self.client.clone().act_on_call(request).await)?;
        acted.call.ok_or_else(|| grpc::unavailable("the log has answered without a call"))
    }

    /// Calls that a pad looks for.
    ///
    /// # Errors
    /// What the log says is wrong with the request, in its own words; or `UNAVAILABLE`.
    pub(crate) async fn search(&self, request: ListCallsRequest) -> Result<ListCallsResponse, Status> {
        let store = request.store_id.clone();
        let (_turn, request) = self.in_turn(&store, request).await?;
        self.verdict(self.client.clone().list_calls(request).await)
    }

    /// What one pad has missed, at most `limit` events.
    ///
    /// # Errors
    /// There is no such store, or no answer.
    pub(crate) async fn missed(
        &self,
        cursor: StoreCursor,
        limit: u32,
    ) -> Result<(Uuid, StoreEvents), LogError> {
        let _turn = self.returns.wait(&cursor.store_id).await;
        let request = ListCallEventsRequest { stores: vec![cursor], limit, for_pad: true };
        let Events { epoch, mut stores, .. } = self.read_events(request).await?;
        match stores.pop() {
            Some(StoreEvents { not_found: true, .. }) => Err(LogError::NoSuchStore),
            Some(events) => Ok((epoch, events)),
            None => Err(LogError::Unexpected("no store in the answer")),
        }
    }

    /// What many stores have missed, at most `limit` events in all; fewer if the answer would be too large. Never waits behind
    /// pads.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn events(&self, stores: Vec<StoreCursor>, limit: u32) -> Result<Events, LogError> {
        self.read_events(ListCallEventsRequest { stores, limit, for_pad: false }).await
    }

    async fn read_events(&self, mut request: ListCallEventsRequest) -> Result<Events, LogError> {
        let mut answer = loop {
            match self.client.clone().list_call_events(request.clone()).await {
                // An older ingest-svc does not count bytes.
                Err(status) if status.code() == Code::OutOfRange && request.limit > 1 => {
                    request.limit = (request.limit / 8).max(1);
                }
                answer => break self.answer(answer)?,
            }
        };
        let epoch = epoch(&answer.epoch)?;
        answer.stores.iter_mut().for_each(until_unreadable);
        let count: usize = answer.stores.iter().map(|store| store.events.len()).sum();
        // An older ingest-svc does not say that there is more.
        let full = u32::try_from(count).is_ok_and(|count| count >= request.limit);
        let cut = if answer.more || full { Cut::Short } else { Cut::Whole };
        Ok(Events { epoch, stores: answer.stores, cut })
    }

    /// Waits for a single request's turn. What is left of the time that an answer may take is the request's.
    async fn in_turn<T>(&self, store: &str, request: T) -> Result<(Turn, Request<T>), Status> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        let turn = timeout_at(until, self.single.wait(store)).await;
        let turn = turn.map_err(|_| grpc::unavailable("too many requests of this store wait for the log"))?;
        let mut request = Request::new(request);
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        Ok((turn, request))
    }

    /// An answer of the log, or its verdict on the request; whatever else happened, the pad may ask again.
    fn verdict<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, Status> {
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

    fn answer<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, LogError> {
        match answer {
            Ok(answer) => {
                self.sources.log_up();
                Ok(answer.into_inner())
            }
            Err(status) if status.code() == Code::NotFound => {
                self.sources.log_up();
                Err(LogError::NoSuchStore)
            }
            Err(status) => {
                let error =
                    LogError::Unreachable { code: status.code(), message: status.message().to_owned() };
                self.sources.log_down(&error.to_string());
                Err(error)
            }
        }
    }
}

/// Leaves out an event that cannot be read, which an older ingest-svc sends, and what follows it: as if the log did not keep
/// it any more.
fn until_unreadable(store: &mut StoreEvents) {
    let unreadable = |event: &StoreEvent| !is_readable(event.position, &event.subscribe_response);
    if let Some(first) = store.events.iter().position(unreadable) {
        tracing::error!(
            store = store.store_id,
            position = store.events.get(first).map(|event| event.position),
            "the log has an event that cannot be read: its pads begin anew"
        );
        store.events.truncate(first);
    }
}

/// Reads an epoch.
///
/// # Errors
/// It is no UUID.
pub(crate) fn epoch(text: &str) -> Result<Uuid, LogError> {
    Uuid::try_parse(text).map_err(|_| LogError::Unexpected("the epoch is no UUID"))
}

/// Adds the internal token to each request.
#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}
