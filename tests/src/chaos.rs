//! A run with many faults, all drawn from a seed: everything that is acknowledged must reach every pad of its store, once and
//! in order.
//!
//! ```text
//!  schedule ──faults──► installation (real processes, links between them) ◄──records── traffic ──acknowledged──┐
//!     ▲                      │                                                                                ▼
//!    seed                    └────── updates ──────► tablets ───────────────shown──────────────────────────► ledger ─► verdict
//! ```
//!
//! A request of the provider goes through nginx, which asks the next ingest-svc after an error, a 503 or 3 s without an answer, and counts as
//! refused if what nginx answers is not 200. There is a reason for that if, at any time between the request and its answer or shortly before,
//! a fault was active
//!
//! * of nginx, of the provider's connection to it, or of the database (a server or its replication: a commit needs both servers), or
//! * of each ingest-svc: of the process, of nginx's connection to it, or of its connection to the database.
//!
//! So none may be refused while one ingest-svc and the database are up.
//!
//! The same seed gives the same faults at the same times. How the processes react differs from run to run; what the verdict
//! demands does not. Nothing here repairs what it checks: see [`ledger`].

pub mod fault;
mod fault_log;
mod flood;
mod footprint;
mod installation;
mod lateness;
mod ledger;
mod npm_pad;
mod office;
mod person;
pub mod schedule;
mod stream_check;
mod tablet;
mod tamper;
mod traffic;
mod verdict;

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use fault::{Fault, Store};
use fault_log::Takers;
pub use installation::Broker;
pub use tamper::Tampering;
pub use verdict::Verdict;

use crate::{
    cdr,
    machine::Disk,
    pads::{Subscription, Transport},
    rabbit::unique,
    services::Shop,
    token::Claims,
    wait::until,
};
use fault_log::FaultLog;
use flood::Flood;
use footprint::Footprint;
use installation::Installation;
use lateness::StallMeter;
use ledger::{Ledger, TOKEN_LIFETIME};
use npm_pad::NpmPad;
use office::Office;
use person::Person;
use schedule::PlannedFault;
use tablet::Tablet;
use tamper::Tamper;
use traffic::{Request, Traffic};

/// Settings of every service.
const SETTINGS: [(&str, &str); 5] = [
    ("RUST_LOG", "info"),
    ("HEARTBEAT_INTERVAL", "2s"),
    ("DRAIN_WINDOW", "2s"),
    ("RETRY_INITIAL_INTERVAL", "250ms"),
    ("RETRY_MAX_INTERVAL", "4s"),
];
/// Pads that a store has from the beginning, one on each transport.
const PADS: usize = Transport::ALL.len();
/// How long pads may take to connect at first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How far ahead a replica's clock may be, by which a token expires.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3 * 3_600);

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the log is.
    pub store: Store,
    /// How long it lasts, without the settling.
    pub length: Duration,
    /// What goes wrong, see [`schedule::schedule`].
    pub planned_faults: Vec<PlannedFault>,
    /// Stores, each with a pad on every transport, and one that comes late.
    pub stores: usize,
    /// Calls a second, all stores together.
    pub calls_a_second: u32,
    /// How long everything may take to settle after the last fault.
    pub settling: Duration,
    /// The program in Node with the npm package, which some of the pads run; `None`: all pads are of the harness.
    pub npm_package: Option<PathBuf>,
    /// What is changed in the pads' streams, to check the checker.
    pub tampering: Option<Tampering>,
}

impl Plan {
    /// A small installation that meets all of these faults at once, after a beginning without any.
    pub fn small(store: Store, faults: &[Fault], lasts: Duration) -> Self {
        let (begins, after) = (Duration::from_secs(2), Duration::from_secs(4));
        Self {
            store,
            length: begins + lasts + after,
            planned_faults: faults
                .iter()
                .map(|fault| PlannedFault { at: begins, lasts, fault: *fault })
                .collect(),
            stores: 3,
            calls_a_second: 10,
            settling: Duration::from_secs(60),
            npm_package: None,
            tampering: None,
        }
    }

    /// Runs it.
    ///
    /// # Panics
    /// A process does not start, or does not come back.
    pub async fn run(&self, broker: Broker) -> Verdict {
        let mut installation = Installation::start(broker, self.store, self.tampering).await;
        let (empty, mut shops) = (Footprint::of(&installation).await, Vec::new());
        for store in 0..self.stores {
            shops.push(installation.system.store(&format!("store-{store}")).await);
        }
        let ledger = Ledger::new(self.stores, PADS);
        let tablets = self.tablets(&installation, &shops, &ledger);
        until("every pad has its snapshot", CONNECT_TIMEOUT, async || ledger.all_begun().then_some(())).await;
        let full = Footprint::of(&installation).await;
        let traffic = self.traffic(&installation, &shops, &ledger);
        let (fault_log, stop) = (Mutex::new(FaultLog::new(self.store)), watch::Sender::new(false));
        if self.tampering == Some(Tampering::LyingDisk) {
            installation.set_disk(Disk::IgnoresFlush);
        }
        let (begun, meter) = (Instant::now(), StallMeter::start());
        let calls = traffic.run(&shops, self.calls_a_second, stop.subscribe());
        let flood = self.flood(&installation, &shops);
        let office = self.office(&installation, &shops);
        let faults = async {
            installation.inject(&self.planned_faults, &fault_log).await;
            sleep(self.length.saturating_sub(begun.elapsed())).await;
            stop.send_replace(true);
        };
        let ended = timeout(self.length + self.settling, async {
            tokio::join!(calls, faults, flood.run(stop.subscribe()), office.run(stop.subscribe()))
        })
        .await;
        let settling = self.settle_for_good(&ledger, &traffic, &shops);
        let settled = installation.supervised(&fault_log, settling).await;
        let fault_log = fault_log.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut verdict = ledger.judge(&fault_log);
        count(&traffic, fault_log, &mut verdict);
        flood.judge(&mut verdict);
        office.judge(&mut verdict);
        verdict.find_late(&meter.stalls());
        verdict.left_over.extend(installation.panics());
        let has_expired = self.length <= 2 * TOKEN_LIFETIME || verdict.expired > 0;
        for (holds, words) in [
            (has_expired, "no stream ended with its token"),
            (ended.is_ok(), "calls that were not finished long after the last fault"),
            (settled, "pads that did not have everything long after the last fault"),
        ] {
            verdict.left_over.extend((!holds).then(|| words.to_owned()));
        }
        full.compare_memory(&installation, &mut verdict);
        drop(tablets);
        empty.compare_counts(&installation, &mut verdict).await;
        if !verdict.is_clean() {
            installation.keep_logs();
        }
        verdict
    }

    /// All pads, which stay until they are dropped.
    fn tablets(&self, installation: &Installation, shops: &[Shop], ledger: &Ledger) -> JoinSet<()> {
        let (mut tablets, tamper) = (JoinSet::new(), Tamper::new(self.tampering));
        let at_first = shops.iter().enumerate().flat_map(|shop| [(shop, Duration::ZERO); PADS]);
        // One pad of each store comes late, one after the other.
        let share = self.length / u32::try_from(shops.len() + 1).unwrap_or(u32::MAX);
        let late = shops.iter().enumerate().zip(1..).map(|(shop, turn)| (shop, share * turn));
        for (number, ((store, shop), comes_after)) in at_first.chain(late).enumerate() {
            let transport = Transport::ALL[number % Transport::ALL.len()];
            let pad = unique("pad");
            // Of every fifth store.
            if let (Some(script), 4, Transport::GrpcWeb) = (&self.npm_package, store % 5, transport) {
                let npm_pad = NpmPad {
                    number,
                    comes_after,
                    nginx: installation.for_pads(transport),
                    token: self.token(shop, &pad),
                    ledger: ledger.clone(),
                    script: script.clone(),
                };
                tablets.spawn(npm_pad.stay());
                continue;
            }
            let claims = tokens_end(store).then(|| Claims::new(&shop.id, &pad));
            let tablet = Tablet {
                number,
                transport,
                comes_after,
                nginx: installation.for_pads(transport),
                claims,
                asked: Subscription::new(&self.token(shop, &pad)),
                ledger: ledger.clone(),
                tamper: tamper.clone(),
            };
            tablets.spawn(tablet.stay());
        }
        tablets
    }

    /// The number provider, with the people who take its calls.
    fn traffic(&self, installation: &Installation, shops: &[Shop], ledger: &Ledger) -> Traffic {
        let people = self.people(installation, shops, ledger);
        let secrets = installation.system.secrets.clone();
        Traffic::new(installation.for_provider(), secrets, ledger.clone(), people)
    }

    /// A person at a pad of every second store.
    fn people(&self, installation: &Installation, shops: &[Shop], ledger: &Ledger) -> Vec<Person> {
        let at = shops.iter().enumerate().step_by(2);
        let person = |(store, shop)| Person {
            nginx: installation.for_pads(Transport::Grpc),
            store,
            number: store * PADS,
            pad: "counter".to_owned(),
            token: self.token(shop, "counter"),
            colleagues_token: self.token(shop, "office"),
            ledger: ledger.clone(),
        };
        at.map(person).collect()
    }

    /// A pad that floods, of a store at which a person takes calls.
    fn flood(&self, installation: &Installation, shops: &[Shop]) -> Flood {
        let token = self.token(&shops[0], "flooder");
        Flood { nginx: installation.for_pads(Transport::Grpc), token, answers: Mutex::default() }
    }

    /// The office that renames stores, and makes and removes one of its own.
    fn office<'a>(&self, installation: &Installation, shops: &'a [Shop]) -> Office<'a> {
        let own = Shop { id: "moving".to_owned(), virtual_number: cdr::virtual_number(), line: cdr::line() };
        Office {
            ingests: installation.ingests().map(|(_, at)| at.grpc).collect(),
            provider: installation.for_provider(),
            pads: installation.for_pads(Transport::Grpc),
            secrets: installation.system.secrets.clone(),
            shops: shops
                .iter()
                .enumerate()
                .filter(|(store, _)| !tokens_end(*store))
                .map(|(_, shop)| shop)
                .collect(),
            own_pad: Subscription::new(&self.token(&own, "counter")),
            own,
            log: Mutex::default(),
        }
    }

    /// A pad's token that is valid for the whole run.
    fn token(&self, shop: &Shop, pad: &str) -> String {
        let lasts = CONNECT_TIMEOUT + self.length + 2 * self.settling + CLOCKS_DIFFER;
        Claims::new(&shop.id, pad).lasting(lasts).token()
    }

    /// Waits until every pad was shown as much as its store has, and then one ring more: an update that comes too often comes
    /// before that ring. Returns whether it succeeded.
    async fn settle_for_good(&self, ledger: &Ledger, traffic: &Traffic, shops: &[Shop]) -> bool {
        let settled = self.settle(ledger).await;
        let rung = timeout(self.settling, traffic.sentinel(shops)).await;
        rung.is_ok() && self.settle(ledger).await && settled
    }

    /// Waits until every pad was shown as much as its store has. Returns whether it succeeded.
    async fn settle(&self, ledger: &Ledger) -> bool {
        let even = async {
            while !ledger.is_even() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(self.settling, even).await.is_ok()
    }
}

/// Whether the pads of a store have tokens that end after [`TOKEN_LIFETIME`]: those of every fifth store. Such a store keeps its
/// name, since after a rename its pads would connect again before their tokens end.
fn tokens_end(store: usize) -> bool {
    store % 5 == 2
}

fn count(traffic: &Traffic, fault_log: FaultLog, verdict: &mut Verdict) {
    verdict.faults = fault_log.kinds();
    for Request { from, until, refused } in traffic.requests() {
        let takers = fault_log.takers(from, until);
        let only_broker = fault_log.only_broker(from, until);
        verdict.refused += usize::from(refused);
        verdict.refused_without_reason += usize::from(refused && takers != Takers::Nobody);
        verdict.without_broker.0 += usize::from(only_broker);
        verdict.without_broker.1 += usize::from(only_broker && refused);
        if takers == Takers::Rest {
            verdict.without_an_ingest.0 += 1;
            verdict.without_an_ingest.1 += usize::from(refused);
            verdict.slowest_without_an_ingest = verdict.slowest_without_an_ingest.max(until - from);
        }
        if refused && takers != Takers::Nobody {
            let (took, meanwhile) = (until - from, fault_log.during(from, until));
            verdict.say(format!(
                "a record was refused after {:.1} s; meanwhile: {meanwhile}",
                took.as_secs_f64()
            ));
        }
    }
    for ingest in 0..fault_log.store().ingests() {
        let exits = fault_log.exits(ingest);
        if exits > 0 {
            verdict.left_over.push(format!("ingest-svc {ingest} ended {exits} times by itself"));
        }
    }
    verdict.fault_log = fault_log;
}
