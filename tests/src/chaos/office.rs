//! The adopter's back office: gives the stores of the play new names while calls go on, and removes a store of its own and
//! makes it again under the same id, over and over.
//!
//! What a rename does to pads is in the [`Ledger`](super::ledger) like everything else: they are asked to come for the new
//! name, and miss nothing. What a removal must do is asked here: the store's pads are told that there is none, a ring for its
//! number is nobody's, and once it is made again it begins without the former one's calls.

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
    provider::{Provider, taken},
    secrets::Secrets,
    services::Shop,
    wait::must,
};

/// Between two renames, and between two steps with the store of its own.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take before the office asks again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits before that.
const AGAIN: Duration = Duration::from_millis(500);

/// The office.
#[derive(Debug)]
pub(super) struct Office<'a> {
    /// ingest-svc's internal port.
    pub(super) ingest: SocketAddr,
    /// Where the number provider finds nginx, and native gRPC pads.
    pub(super) provider: SocketAddr,
    pub(super) pads: SocketAddr,
    pub(super) secrets: Secrets,
    /// Those that get new names.
    pub(super) shops: Vec<&'a Shop>,
    /// The store of its own, which is not there at first, and a pad of it.
    pub(super) own: Shop,
    pub(super) own_pad: Subscription,
    /// What it has done, and what was wrong.
    pub(super) done: Mutex<Deeds>,
}

/// What the office has done, and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    renamed: usize,
    removed: usize,
    wrongs: Vec<String>,
}

impl Office<'_> {
    /// Works until `enough`. Whatever is under way then is left.
    pub(super) async fn run(&self, mut enough: watch::Receiver<bool>) {
        let work = async { tokio::join!(self.rename(), self.remove_and_make()) };
        tokio::select! {
            _ = work => {}
            _ = enough.wait_for(|enough| *enough) => {}
        }
    }

    async fn rename(&self) {
        for (number, shop) in (1_u64..).zip(self.shops.iter().copied().cycle()) {
            sleep(PAUSE).await;
            self.make(shop, &format!("{} {number}호점", shop.id)).await;
            self.note(|deeds| deeds.renamed += 1);
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
            self.note(|deeds| deeds.removed += 1);
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
            // It was removed by an attempt whose answer did not come.
            Err(status) if status.code() == Code::NotFound => Ok(()),
            answer => answer.map(drop),
        })
        .await;
    }

    /// Asks until it is answered. Faults keep answers from coming; they refuse nothing.
    async fn insist(&self, ask: impl AsyncFn() -> Result<(), Status>) {
        loop {
            match ask().await {
                Ok(()) => return,
                Err(status) if is_worth_another_try(&status) => sleep(AGAIN).await,
                Err(status) => return self.wrong(format!("the office was refused: {status:?}")),
            }
        }
    }

    /// Rings for the number of its own store until that is answered; the call.
    async fn ring(&self, expected: &str) -> String {
        let ring = cdr::ring(&self.own.virtual_number, &cdr::caller());
        loop {
            let answer = Provider::new(self.provider, self.secrets.clone()).post(&ring).await;
            let Some(answer) = answer.ok().filter(|answer| answer.status == StatusCode::OK) else {
                sleep(AGAIN).await;
                continue;
            };
            let taken = taken(&answer);
            if taken.status != expected && taken.status != "duplicate" {
                self.wrong(format!("a ring was {}, not {expected}", taken.status));
            }
            return taken.call_id;
        }
    }

    /// The calls that a pad of its own store begins with.
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

    /// What a pad of its own store is told first, once it is told anything.
    async fn first_message(&self) -> Result<Event, StreamEnd> {
        loop {
            let mut stream = Stream::open(Transport::Grpc, self.pads, &self.own_pad);
            match timeout(PATIENCE, stream.next()).await {
                Err(_) => sleep(AGAIN).await,
                Ok(Err(end)) if end.is_worth_another_try() => sleep(AGAIN).await,
                Ok(told) => return told,
            }
        }
    }

    fn client(&self) -> StoreServiceClient<Channel> {
        let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{}", self.ingest)));
        StoreServiceClient::new(endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy())
    }

    fn wrong(&self, words: String) {
        self.note(|deeds| deeds.wrongs.push(words));
    }

    fn note(&self, write: impl FnOnce(&mut Deeds)) {
        write(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says what was wrong.
    pub(super) fn judge(self, verdict: &mut Verdict) {
        let Deeds { renamed, removed, wrongs } =
            self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        verdict.office = (renamed, removed);
        verdict.left_over.extend(wrongs);
    }
}
