//! The number provider: rings at a steady rate, each followed by its final record, sent again until it is acknowledged; and
//! on some stores a [`Person`] who takes a call whenever there is one and the last is done.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::StatusCode;
use ringpad_proto::v1::Cdr;
use tokio::{
    sync::{Mutex as Turn, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    ledger::{Acknowledged, Ledger, Part, Record},
    person::Person,
};
use crate::{
    cdr,
    provider::{Provider, taken},
    secrets::Secrets,
    services::Shop,
    wait::must,
};

/// How long after its ring a call is over, in ms.
const TALK: std::ops::Range<u64> = 300..3_000;
/// One memo of so many is long, and repeats a text so many times: 2,000 bytes.
const LONG_EACH: u32 = 20;
const LONG_MEMO: usize = 142;
/// How long a provider waits before it sends an unacknowledged record again.
const AGAIN: Duration = Duration::from_millis(500);

/// A request that was answered, or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) refused: bool,
}

/// A provider at work. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    nginx: SocketAddr,
    secrets: Secrets,
    ledger: Ledger,
    /// Who takes calls, by the store's number.
    people: Arc<BTreeMap<usize, Turn<Person>>>,
    /// Connections that nobody uses just now.
    idle: Arc<Mutex<Vec<Provider>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Traffic {
    pub(super) fn new(nginx: SocketAddr, secrets: Secrets, ledger: Ledger, people: Vec<Person>) -> Self {
        let people = people.into_iter().map(|person| (person.store, Turn::new(person))).collect();
        Self {
            nginx,
            secrets,
            ledger,
            people: Arc::new(people),
            idle: Arc::default(),
            requests: Arc::default(),
        }
    }

    /// Rings `a_second` times a second, at the stores in turn, until `enough`; returns when every record is acknowledged and every call done with.
    pub(super) async fn run(&self, shops: &[Shop], a_second: u32, mut enough: watch::Receiver<bool>) {
        let (mut ticks, mut calls) = (interval(Duration::from_secs(1) / a_second), JoinSet::new());
        // The rate is what it is; a late tick must not make a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for (store, shop) in shops.iter().enumerate().cycle() {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = enough.wait_for(|enough| *enough) => break,
            }
            let (traffic, number) = (self.clone(), shop.virtual_number.clone());
            calls.spawn(async move { traffic.call(store, &number).await });
            while let Some(ended) = calls.try_join_next() {
                must("a call", ended);
            }
        }
        calls.join_all().await;
    }

    /// Rings once at each store, and returns when every record is acknowledged and every call done with: whatever else there is comes before it.
    pub(super) async fn sentinel(&self, shops: &[Shop]) {
        let calls = shops.iter().enumerate().map(|(store, shop)| self.call(store, &shop.virtual_number));
        futures_util::future::join_all(calls).await;
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn call(&self, store: usize, virtual_number: &str) {
        let mut ring = cdr::ring(virtual_number, &cdr::caller());
        if fastrand::u32(..).is_multiple_of(LONG_EACH) {
            ring.memo = "세차 예약 ".repeat(LONG_MEMO);
        }
        let call_id = self.insist(store, &ring, Part::Ring).await;
        // Whoever has a call takes no other.
        let person = self.people.get(&store).and_then(|person| person.try_lock().ok());
        if let Some(person) = &person {
            person.claim(&call_id).await;
        }
        sleep(Duration::from_millis(fastrand::u64(TALK))).await;
        let last = if fastrand::bool() { cdr::answered(&ring) } else { cdr::missed(&ring) };
        self.insist(store, &last, Part::End).await;
        if let Some(person) = &person {
            person.finish(&call_id).await;
        }
    }

    /// Sends a record until it is acknowledged, and returns its call's id. The play's end is bounded by whoever waits for it.
    async fn insist(&self, store: usize, record: &Cdr, part: Part) -> String {
        let sent = Instant::now();
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut provider = idle.unwrap_or_else(|| Provider::new(self.nginx, self.secrets.clone()));
            let from = Instant::now();
            let answer = provider.post(record).await;
            let until = Instant::now();
            let answer = answer.ok().filter(|answer| answer.status == StatusCode::OK);
            self.note(Request { from, until, refused: answer.is_none() });
            if let Some(answer) = answer {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(provider);
                let acknowledged = Acknowledged { sent, at: until, wall: SystemTime::now() };
                let call_id = taken(&answer).call_id;
                self.ledger.acknowledge(store, Record { call_id: call_id.clone(), part }, acknowledged);
                return call_id;
            }
            sleep(AGAIN.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    fn note(&self, request: Request) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
}
