//! The number provider: rings at a steady rate, each followed by its final record, each sent again until it is acknowledged. At
//! some stores a [`Person`] takes calls, one after the other.

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
    ledger::{Acknowledged, Ledger, Record, Step},
    person::Person,
};
use crate::{
    cdr,
    provider::{Provider, cdr_answer},
    secrets::Secrets,
    services::Shop,
    wait::must,
};

/// The time from a ring to the end of its call, in ms.
const TALK: std::ops::Range<u64> = 300..3_000;
/// One memo in `LONG_EACH` is long, 2,000 bytes: a text `LONG_MEMO` times.
const LONG_EACH: u32 = 20;
const LONG_MEMO: usize = 142;
/// How long a provider waits before it sends an unacknowledged record again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A request, and whether it was refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) refused: bool,
}

/// A provider. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    nginx: SocketAddr,
    secrets: Secrets,
    ledger: Ledger,
    /// The people who take calls, by the store's number.
    people: Arc<BTreeMap<usize, Turn<Person>>>,
    /// Connections that are not in use now.
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

    /// Rings `a_second` times a second, at one store after the other, until `stop`. Returns when every record is acknowledged
    /// and every call finished.
    pub(super) async fn run(&self, shops: &[Shop], a_second: u32, mut stop: watch::Receiver<bool>) {
        let (mut ticks, mut calls) = (interval(Duration::from_secs(1) / a_second), JoinSet::new());
        // A late tick must not cause a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for (store, shop) in shops.iter().enumerate().cycle() {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let (traffic, number) = (self.clone(), shop.virtual_number.clone());
            calls.spawn(async move { traffic.call(store, &number).await });
            while let Some(ended) = calls.try_join_next() {
                must("a call", ended);
            }
        }
        calls.join_all().await;
    }

    /// Rings once at each store, and returns when every record is acknowledged and every call finished. Everything else comes
    /// before these rings.
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
        let call_id = self.insist(store, &ring, Step::Ring).await;
        // A person who has a call takes no other one.
        let person = self.people.get(&store).and_then(|person| person.try_lock().ok());
        if let Some(person) = &person {
            person.claim(&call_id).await;
        }
        sleep(Duration::from_millis(fastrand::u64(TALK))).await;
        let last = if fastrand::bool() { cdr::answered(&ring) } else { cdr::missed(&ring) };
        self.insist(store, &last, Step::End).await;
        if let Some(person) = &person {
            person.finish(&call_id).await;
        }
    }

    /// Sends a record until it is acknowledged, and returns its call's id. The caller bounds how long this may take.
    async fn insist(&self, store: usize, record: &Cdr, step: Step) -> String {
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
                let call_id = cdr_answer(&answer).call_id;
                self.ledger.acknowledge(store, Record { call_id: call_id.clone(), step }, acknowledged);
                return call_id;
            }
            sleep(RETRY_PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    fn note(&self, request: Request) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
}
