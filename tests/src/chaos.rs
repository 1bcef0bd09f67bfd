//! A bad night, played from a seed: everything that is acknowledged must be on every pad of its store, once and in order.
//!
//! ```text
//!  schedule ──acts──► stage (real processes, links between them) ◄──records── traffic ──acknowledged──┐
//!     ▲                  │                                                                            ▼
//!    seed                └────── updates ──────► tablets ─────────────shown────────────────────► ledger ─► verdict
//! ```
//!
//! Contract: the same seed plays the same acts at the same times. What the processes make of them differs from run to
//! run; what the verdict asks of them does not. Nothing here mends what it checks: see [`ledger`].

pub mod fault;
mod flood;
mod footprint;
mod lateness;
mod ledger;
mod npm_pad;
mod office;
mod person;
pub mod schedule;
mod stage;
mod tablet;
mod tamper;
mod traffic;
mod verdict;
mod weather;
mod wire;

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

pub use stage::Broker;
pub use tamper::Deed;
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
use flood::Flood;
use footprint::Footprint;
use lateness::Pulse;
use ledger::{Ledger, TOKEN_LIVES};
use npm_pad::NpmPad;
use office::Office;
use person::Person;
use schedule::Act;
use stage::Stage;
use tablet::Tablet;
use tamper::Tamper;
use traffic::{Request, Traffic};
use weather::Weather;

/// Settings of every service of a play.
const SETTINGS: [(&str, &str); 5] = [
    ("RUST_LOG", "info"),
    ("HEARTBEAT_INTERVAL", "2s"),
    ("DRAIN_WINDOW", "2s"),
    ("RETRY_INITIAL_INTERVAL", "250ms"),
    ("RETRY_MAX_INTERVAL", "4s"),
];
/// Pads of a store from the beginning, one on each transport.
const PADS: usize = Transport::ALL.len();
/// How long pads may take to come at first.
const COMING: Duration = Duration::from_secs(60);

/// How far ahead a replica's clock may be, by which a token expires.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3 * 3_600);

/// What to play.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long, settling not counted.
    pub length: Duration,
    /// What goes wrong, see [`schedule::schedule`].
    pub acts: Vec<Act>,
    /// Stores, each with a pad on every transport, and one that comes late.
    pub stores: usize,
    /// Calls a second, all stores together.
    pub calls_a_second: u32,
    /// How long everything may take to settle once all is well again.
    pub settling: Duration,
    /// The program in Node that some of the pads are: the npm package. `None`: none is.
    pub npm_package: Option<PathBuf>,
    /// What is done to the pads' streams, to check the checker.
    pub deed: Option<Deed>,
}

impl Plan {
    /// Plays it.
    ///
    /// # Panics
    /// A process does not start, or does not come back.
    pub async fn play(&self, broker: Broker) -> Verdict {
        let mut stage = Stage::set(broker).await;
        let (empty, mut shops) = (Footprint::of(&stage).await, Vec::new());
        for store in 0..self.stores {
            shops.push(stage.system.store(&format!("store-{store}")).await);
        }
        let ledger = Ledger::new(self.stores, PADS);
        let tablets = self.tablets(&stage, &shops, &ledger);
        until("every pad has its snapshot", COMING, async || ledger.all_begun().then_some(())).await;
        let full = Footprint::of(&stage).await;

        let people = self.people(&stage, &shops, &ledger);
        let traffic =
            Traffic::new(stage.for_provider(), stage.system.secrets.clone(), ledger.clone(), people);
        let (weather, enough) = (Mutex::new(Weather::default()), watch::Sender::new(false));
        if self.deed == Some(Deed::LyingDisk) {
            stage.set_disk(Disk::Lies);
        }
        let (begun, pulse) = (Instant::now(), Pulse::start());
        let calls = traffic.run(&shops, self.calls_a_second, enough.subscribe());
        let flood = self.flood(&stage, &shops);
        let office = self.office(&stage, &shops);
        let faults = async {
            stage.play(&self.acts, &weather).await;
            sleep(self.length.saturating_sub(begun.elapsed())).await;
            enough.send_replace(true);
        };
        let ended = timeout(self.length + self.settling, async {
            tokio::join!(calls, faults, flood.run(enough.subscribe()), office.run(enough.subscribe()))
        })
        .await;
        let settled = self.settle_for_good(&ledger, &traffic, &shops).await;
        let weather = weather.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut verdict = ledger.judge(&weather);
        count(&traffic, weather, &mut verdict);
        flood.judge(&mut verdict);
        office.judge(&mut verdict);
        if self.length > 2 * TOKEN_LIVES && verdict.expired == 0 {
            verdict.left_over.push("streams whose tokens ended long ago".to_owned());
        }
        verdict.find_late(&pulse.stalls());
        verdict.left_over.extend(stage.panics());
        if ended.is_err() {
            verdict.left_over.push("calls that are not done with long after all is well".to_owned());
        }
        if !settled {
            verdict.left_over.push("pads that do not have everything long after all is well".to_owned());
        }
        full.compare_memory(&stage, &mut verdict);
        drop(tablets);
        empty.compare_counts(&stage, &mut verdict).await;
        if !verdict.is_clean() {
            stage.keep_logs();
        }
        verdict
    }

    /// All pads, coming and staying until they are dropped.
    fn tablets(&self, stage: &Stage, shops: &[Shop], ledger: &Ledger) -> JoinSet<()> {
        let (mut tablets, tamper) = (JoinSet::new(), Tamper::new(self.deed));
        let at_first = shops.iter().enumerate().flat_map(|shop| [(shop, Duration::ZERO); PADS]);
        // One of each store comes late, one after the other.
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
                    nginx: stage.for_pads(transport),
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
                nginx: stage.for_pads(transport),
                claims,
                asked: Subscription::new(&self.token(shop, &pad)),
                ledger: ledger.clone(),
                tamper: tamper.clone(),
            };
            tablets.spawn(tablet.stay());
        }
        tablets
    }

    /// Somebody at a pad of every second store.
    fn people(&self, stage: &Stage, shops: &[Shop], ledger: &Ledger) -> Vec<Person> {
        let at = shops.iter().enumerate().step_by(2);
        let person = |(store, shop)| Person {
            nginx: stage.for_pads(Transport::Grpc),
            store,
            number: store * PADS,
            pad: "counter".to_owned(),
            token: self.token(shop, "counter"),
            colleagues_token: self.token(shop, "office"),
            ledger: ledger.clone(),
        };
        at.map(person).collect()
    }

    /// A pad that floods, of a store at which somebody else takes calls.
    fn flood(&self, stage: &Stage, shops: &[Shop]) -> Flood {
        let token = self.token(&shops[0], "flooder");
        Flood { nginx: stage.for_pads(Transport::Grpc), token, answers: Mutex::default() }
    }

    /// Who gives the stores new names, and has one that comes and goes.
    fn office<'a>(&self, stage: &Stage, shops: &'a [Shop]) -> Office<'a> {
        let own = Shop { id: "moving".to_owned(), virtual_number: cdr::virtual_number(), line: cdr::line() };
        Office {
            ingest: stage.system.ingest_at.grpc,
            provider: stage.for_provider(),
            pads: stage.for_pads(Transport::Grpc),
            secrets: stage.system.secrets.clone(),
            shops: shops
                .iter()
                .enumerate()
                .filter(|(store, _)| !tokens_end(*store))
                .map(|(_, shop)| shop)
                .collect(),
            own_pad: Subscription::new(&self.token(&own, "counter")),
            own,
            done: Mutex::default(),
        }
    }

    /// A token of a pad that outlasts the play.
    fn token(&self, shop: &Shop, pad: &str) -> String {
        let lasts = COMING + self.length + 2 * self.settling + CLOCKS_DIFFER;
        Claims::new(&shop.id, pad).lasting(lasts).token()
    }

    /// Waits until every pad was shown as much as its store has, and then a ring behind all of it: whatever comes once too
    /// often comes before this. Whether they were.
    async fn settle_for_good(&self, ledger: &Ledger, traffic: &Traffic, shops: &[Shop]) -> bool {
        let settled = self.settle(ledger).await;
        let rung = timeout(self.settling, traffic.sentinel(shops)).await;
        rung.is_ok() && self.settle(ledger).await && settled
    }

    /// Waits until every pad was shown as much as its store has; whether they were.
    async fn settle(&self, ledger: &Ledger) -> bool {
        let even = async {
            while !ledger.is_even() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(self.settling, even).await.is_ok()
    }
}

/// Whether the pads of a store have tokens that end every [`TOKEN_LIVES`]: those of every fifth one. Such a store keeps its name,
/// for which its pads would come anew before their tokens end.
fn tokens_end(store: usize) -> bool {
    store % 5 == 2
}

fn count(traffic: &Traffic, weather: Weather, verdict: &mut Verdict) {
    verdict.weather = weather;
    verdict.faults = verdict.weather.kinds();
    for Request { from, until, refused } in traffic.requests() {
        let excused = verdict.weather.excuses_refusal(from, until);
        let only_broker = verdict.weather.only_broker(from, until);
        verdict.refused += usize::from(refused);
        verdict.refused_for_nothing += usize::from(refused && !excused);
        verdict.without_broker.0 += usize::from(only_broker);
        verdict.without_broker.1 += usize::from(only_broker && refused);
    }
}
