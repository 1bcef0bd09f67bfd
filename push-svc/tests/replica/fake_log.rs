//! A fake log in place of ingest-svc: two of its RPCs, from memory.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use prost::Message;
use ringpad_bus::Event;
use ringpad_proto::v1::{ingest_service_server::IngestServiceServer, *};
use ringpad_runtime::{
    CancellationToken,
    serve::{Clients, ConnectionLimits, HalfClose, Limits, ServeMetrics, bind, serve},
};
use tokio::time::sleep;
use tokio_stream::Empty;
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

/// The internal token that it requires.
pub const TOKEN: &str = "internal-token";

/// Bytes that cannot be decoded.
pub const BROKEN: &[u8] = b"\xff\xff";

#[derive(Clone, Default)]
pub struct FakeLog(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    epoch: Uuid,
    stores: BTreeMap<String, Store>,
    delay: Duration,
    /// How many requests named each store.
    asked: BTreeMap<String, u32>,
    /// How many of them were on behalf of one pad.
    asked_by_pads: u32,
}

#[derive(Default)]
struct Store {
    /// Set by [`FakeLog::rename`].
    name: Option<String>,
    calls: Vec<Call>,
    events: Vec<Bytes>,
}

impl Store {
    fn name(&self, id: &str) -> String {
        self.name.clone().unwrap_or_else(|| format!("Store {id}"))
    }
}

type Bytes = bytes::Bytes;

impl FakeLog {
    pub fn new(stores: &[&str]) -> Self {
        let log = Self::default();
        log.replace(stores);
        log
    }

    /// Becomes another, empty log.
    pub fn replace(&self, stores: &[&str]) {
        let mut state = self.0.lock().unwrap();
        state.epoch = Uuid::new_v4();
        state.stores = stores.iter().map(|store| ((*store).to_owned(), Store::default())).collect();
    }

    pub fn epoch(&self) -> Uuid {
        self.0.lock().unwrap().epoch
    }

    pub fn position(&self, store: &str) -> u64 {
        self.0.lock().unwrap().stores[store].events.len() as u64
    }

    /// Logs a new call, and returns the event that ingest-svc would publish.
    pub fn ring(&self, store: &str) -> Event {
        self.ring_with_memo(store, "")
    }

    pub fn ring_with_memo(&self, store: &str, memo: &str) -> Event {
        let mut state = self.0.lock().unwrap();
        let epoch = state.epoch;
        let logged = state.stores.get_mut(store).unwrap();
        let position = logged.events.len() as u64 + 1;
        let call = Call {
            id: Uuid::new_v4().to_string(),
            revision: position,
            state: CallState::Ringing.into(),
            started_at: Some(now()),
            memo: memo.to_owned(),
            ..Call::default()
        };
        logged.calls.insert(0, call.clone());
        let mut pop_until = now();
        pop_until.seconds += 30;
        let update = Update { position, call: Some(call), pop_until: Some(pop_until) };
        let response = SubscribeResponse { event: Some(subscribe_response::Event::Update(update)) };
        let bytes = Bytes::from(response.encode_to_vec());
        logged.events.push(bytes.clone());
        Event { store_id: store.to_owned(), epoch, position, bytes, receipt: None }
    }

    /// The file is damaged: an event cannot be read any more.
    pub fn break_event(&self, store: &str, position: u64) {
        let mut state = self.0.lock().unwrap();
        let events = &mut state.stores.get_mut(store).unwrap().events;
        events[usize::try_from(position).unwrap() - 1] = Bytes::from_static(BROKEN);
    }

    /// A backup is restored: the store is at an older position.
    pub fn restore(&self, store: &str, position: usize) {
        let mut state = self.0.lock().unwrap();
        let logged = state.stores.get_mut(store).unwrap();
        logged.events.truncate(position);
        let calls = logged.calls.len();
        logged.calls.drain(..calls - position);
    }

    pub fn delete(&self, store: &str) {
        self.0.lock().unwrap().stores.remove(store);
    }

    pub fn rename(&self, store: &str, name: &str) {
        self.0.lock().unwrap().stores.get_mut(store).unwrap().name = Some(name.to_owned());
    }

    pub fn answer_after(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    /// How many requests have named the store.
    pub fn asked(&self, store: &str) -> u32 {
        self.0.lock().unwrap().asked.get(store).copied().unwrap_or_default()
    }

    /// How many requests were on behalf of one pad, and not of all stores.
    pub fn asked_by_pads(&self) -> u32 {
        self.0.lock().unwrap().asked_by_pads
    }

    /// Serves it until `stop`.
    pub async fn serve(&self, stop: CancellationToken) -> SocketAddr {
        self.serve_at(([127, 0, 0, 1], 0).into(), stop).await
    }

    pub async fn serve_at(&self, address: SocketAddr, stop: CancellationToken) -> SocketAddr {
        let listener = bind("test", address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Routes::new(IngestServiceServer::new(self.clone())).into_axum_router();
        tokio::spawn(serve(
            listener,
            router,
            Limits {
                half_close: HalfClose::Disconnect,
                ..Limits::new(ConnectionLimits { total: 64, per_address: 64 }, Clients::Internal)
            },
            ServeMetrics::default().port("test"),
            stop,
            Duration::ZERO,
        ));
        address
    }

    async fn before<T>(&self, request: Request<T>) -> Result<T, Status> {
        let bearer = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        if bearer.as_deref() != Some(&format!("Bearer {TOKEN}")) {
            return Err(Status::unauthenticated("internal token"));
        }
        let delay = self.0.lock().unwrap().delay;
        sleep(delay).await;
        Ok(request.into_inner())
    }
}

pub fn now() -> ringpad_proto::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    ringpad_proto::Timestamp { seconds: since.as_secs().cast_signed(), nanos: 0 }
}

fn unimplemented<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in the fake log"))
}

#[tonic::async_trait]
impl ingest_service_server::IngestService for FakeLog {
    type IngestCallStreamStream = Empty<Result<IngestCallStreamResponse, Status>>;

    async fn list_calls(
        &self,
        request: Request<ListCallsRequest>,
    ) -> Result<Response<ListCallsResponse>, Status> {
        self.0.lock().unwrap().asked_by_pads += 1;
        let request = self.before(request).await?;
        let mut state = self.0.lock().unwrap();
        *state.asked.entry(request.store_id.clone()).or_default() += 1;
        let store = state.stores.get(&request.store_id).ok_or_else(|| Status::not_found("no such store"))?;
        let wanted = |call: &&Call| request.states.is_empty() || request.states.contains(&call.state);
        let calls = store.calls.iter().filter(wanted).take(request.page_size as usize).cloned().collect();
        Ok(Response::new(ListCallsResponse {
            calls,
            next_page_token: String::new(),
            store: Some(StoreRef { id: request.store_id.clone(), name: store.name(&request.store_id) }),
            epoch: state.epoch.to_string(),
            position: store.events.len() as u64,
        }))
    }

    async fn list_reservations(
        &self,
        _: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        Err(Status::unimplemented("this log has no reservations"))
    }

    async fn list_call_events(
        &self,
        request: Request<ListCallEventsRequest>,
    ) -> Result<Response<ListCallEventsResponse>, Status> {
        let request = self.before(request).await?;
        let mut state = self.0.lock().unwrap();
        state.asked_by_pads += u32::from(request.for_pad);
        let mut left = request.limit as usize;
        let mut stores = Vec::new();
        for StoreCursor { store_id, after_position } in request.stores {
            *state.asked.entry(store_id.clone()).or_default() += 1;
            let Some(store) = state.stores.get(&store_id) else {
                stores.push(StoreEvents { store_id, not_found: true, ..StoreEvents::default() });
                continue;
            };
            let events =
                (1..).zip(&store.events).filter(|(position, _)| *position > after_position).take(left);
            let events: Vec<_> = events
                .map(|(position, bytes)| StoreEvent { position, subscribe_response: bytes.clone() })
                .collect();
            left -= events.len();
            stores.push(StoreEvents {
                store_name: store.name(&store_id),
                store_id,
                position: store.events.len() as u64,
                events,
                not_found: false,
            });
        }
        // As an older version of ingest-svc, which neither counts bytes nor sets `more`.
        Ok(Response::new(ListCallEventsResponse { epoch: state.epoch.to_string(), stores, more: false }))
    }

    async fn ingest_call(
        &self,
        _: Request<IngestCallRequest>,
    ) -> Result<Response<IngestCallResponse>, Status> {
        unimplemented()
    }

    async fn ingest_call_stream(
        &self,
        _: Request<tonic::Streaming<IngestCallStreamRequest>>,
    ) -> Result<Response<Self::IngestCallStreamStream>, Status> {
        unimplemented()
    }

    async fn act_on_call(&self, _: Request<ActOnCallRequest>) -> Result<Response<ActOnCallResponse>, Status> {
        unimplemented()
    }

    async fn list_quarantine(
        &self,
        _: Request<ListQuarantineRequest>,
    ) -> Result<Response<ListQuarantineResponse>, Status> {
        unimplemented()
    }

    async fn replay_quarantine(
        &self,
        _: Request<ReplayQuarantineRequest>,
    ) -> Result<Response<ReplayQuarantineResponse>, Status> {
        unimplemented()
    }
}
