//! The adopter's back office: renames the stores while calls continue, and again and again removes a store of its own and makes it
//! again with the same id.
//!
//! What a rename does to pads is checked by the [`Ledger`](super::ledger): they are asked to reconnect for the new name, and
//! miss nothing. What a removal does is checked here: the store's pads get NOT_FOUND, a ring for its number is unrouted, and
//! the store that is made again does not have the calls of the removed one.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use ringpad_proto::v1::{
    DeleteStoreRequest, Store, UpsertStoreRequest, store_service_client::StoreServiceClient,
    subscribe_response::Event,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{person::is_worth_another_try, verdict::Verdict};
use crate::{
    cdr,
    pads::{Stream, StreamEnd, Subscription, Transport},
    provider::{Provider, cdr_answer},
    secrets::Secrets,
    services::Shop,
    wait::must,
};

/// The time between two renames, and between two steps with the office's own store.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take before the office tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it waits before that.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The office.
#[derive(Debug)]
pub(super) struct Office<'a> {
    /// The internal port of each ingest-svc.
    pub(super) ingests: Vec<SocketAddr>,
    /// nginx's addresses for the number provider, and for native gRPC pads.
    pub(super) provider: SocketAddr,
    pub(super) pads: SocketAddr,
    pub(super) secrets: Secrets,
    /// The stores that are renamed.
    pub(super) shops: Vec<&'a Shop>,
    /// The office's own store, which does not exist at first, and a pad of it.
    pub(super) own: Shop,
    pub(super) own_pad: Subscription,
    pub(super) log: Mutex<OfficeLog>,
}

/// What the office has done, and the faults that it found.
#[derive(Debug, Default)]
pub(super) struct OfficeLog {
    renamed: usize,
    removed: usize,
    wrongs: Vec<String>,
}

impl Office<'_> {
    /// Works until `stop`, and drops what is under way then.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let work = async { tokio::join!(self.rename(), self.remove_and_make()) };
        tokio::select! {
            _ = work => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn rename(&self) {
        for (number, shop) in (1_u64..).zip(self.shops.iter().copied().cycle()) {
            sleep(PAUSE).await;
            self.make(shop, &format!("{} {number}호점", shop.id)).await;
            self.note(|log| log.renamed += 1);
        }
    }

    async fn remove_and_make(&self) {
        let mut former = HashSet::new();
        loop {
            self.make(&self.own, "새로 연 곳").await;
            let ring = self.ring("accepted").await;
            sleep(PAUSE).await;
            let calls = self.calls().await;
            let left: Vec<_> = calls.intersection(&former).cloned().collect();
            if !left.is_empty() || !calls.contains(&ring) {
                self.wrong(format!("a store that was made again has {calls:?}; its own is {ring}"));
            }
            former.extend(calls);
            self.remove().await;
            self.ring("unrouted").await;
            if self.first_message().await != Err(StreamEnd::NotFound) {
                self.wrong("a store that was removed has a pad".to_owned());
            }
            self.note(|log| log.removed += 1);
            sleep(PAUSE).await;
        }
    }

    async fn make(&self, shop: &Shop, name: &str) {
        let store = Store {
            id: shop.id.clone(),
            name: name.to_owned(),
            virtual_numbers: vec![shop.virtual_number.clone()],
            lines: vec![shop.line.clone()],
        };
        let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
        self.insist(async || self.client().upsert_store(request.clone()).await.map(drop)).await;
    }

    async fn remove(&self) {
        let request = DeleteStoreRequest { store_id: self.own.id.clone() };
        self.insist(async || match self.client().delete_store(request.clone()).await {
            // An earlier attempt, whose answer was lost, has removed it.
            Err(status) if status.code() == Code::NotFound => Ok(()),
            answer => answer.map(drop),
        })
        .await;
    }

    /// Asks until there is an answer.
    async fn insist(&self, ask: impl AsyncFn() -> Result<(), Status>) {
        loop {
            match ask().await {
                Ok(()) => return,
                Err(status) if is_worth_another_try(&status) => sleep(RETRY_PAUSE).await,
                Err(status) => return self.wrong(format!("the office was refused: {status:?}")),
            }
        }
    }

    /// Rings for the number of the office's own store until that is answered; returns the call's id.
    async fn ring(&self, expected: &str) -> String {
        let ring = cdr::ring(&self.own.virtual_number, &cdr::caller());
        loop {
            let answer = Provider::new(self.provider, self.secrets.clone()).post(&ring).await;
            let Some(answer) = answer.ok().filter(|answer| answer.status == StatusCode::OK) else {
                sleep(RETRY_PAUSE).await;
                continue;
            };
            let taken = cdr_answer(&answer);
            if taken.status != expected && taken.status != "duplicate" {
                self.wrong(format!("a ring was {}, not {expected}", taken.status));
            }
            return taken.call_id;
        }
    }

    /// The calls in the snapshot of a pad of the office's own store.
    async fn calls(&self) -> HashSet<String> {
        match self.first_message().await {
            Ok(Event::Snapshot(snapshot)) => {
                let calls = snapshot.open_calls.into_iter().chain(snapshot.recent_calls);
                calls.map(|call| call.id).collect()
            }
            other => {
                self.wrong(format!("a pad of a store that was made began with {other:?}"));
                HashSet::new()
            }
        }
    }

    /// The first message to a pad of the office's own store.
    async fn first_message(&self) -> Result<Event, StreamEnd> {
        loop {
            let mut stream = Stream::open(Transport::Grpc, self.pads, &self.own_pad);
            match timeout(ANSWER_TIMEOUT, stream.next()).await {
                Err(_) => sleep(RETRY_PAUSE).await,
                Ok(Err(end)) if end.is_worth_another_try() => sleep(RETRY_PAUSE).await,
                Ok(first) => return first,
            }
        }
    }

    fn client(&self) -> StoreServiceClient<Channel> {
        let ingest = fastrand::choice(&self.ingests).expect("a run has an ingest-svc");
        let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{ingest}")));
        StoreServiceClient::new(
            endpoint.connect_timeout(ANSWER_TIMEOUT).timeout(ANSWER_TIMEOUT).connect_lazy(),
        )
    }

    fn wrong(&self, words: String) {
        self.note(|log| log.wrongs.push(words));
    }

    fn note(&self, write: impl FnOnce(&mut OfficeLog)) {
        write(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds the faults that it found.
    pub(super) fn judge(self, verdict: &mut Verdict) {
        let OfficeLog { renamed, removed, wrongs } =
            self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        verdict.office = (renamed, removed);
        verdict.left_over.extend(wrongs);
    }
}
