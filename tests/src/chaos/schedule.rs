//! Which fault comes when: drawn from a seed, so that a run can be repeated.
//!
//! ```text
//!  calm │ cut off alone │ broker only │ anything │ broker only │ anything │ … │ calm             SQLite
//!  calm │ cut off alone │ ingest-svc │ database │ broker only │ anything │ ingest-svc │ … │ calm    PostgreSQL
//!       └──────── still cut off ───┘
//! ```
//!
//! First an ingest-svc alone is cut off from the broker; for the first half of that time nothing else is at
//! fault, so that every ring of that time must be on its pads within 4 s.
//!
//! [`lateness`](super::lateness) says how late each of them may make a ring.
//!
//! Faults are dealt like cards: each kind comes before any kind comes again. Some cards have the same fault for both ingest-svc
//! at the same time. In a round of the broker there is no other fault,
//! so that its effect on providers can be measured alone; likewise in those of ingest-svc and of the database.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use fastrand::Rng;

use super::fault::{Blocked, Disk, Fault, Lost, Process, REPLICAS, Route, Store, Target};
use crate::{link::Direction, machine};

/// Time without faults before the first and after the last.
pub const CALM: Duration = Duration::from_secs(12);
/// How long a frozen server of the database stays frozen, and everything that waits for it.
const FREEZE_DATABASE: Duration = Duration::from_secs(12);
/// The time between the beginnings of two faults, in ms.
const GAP: Range<u64> = 500..3_000;
/// The time between two rounds, so that effects of one round are not attributed to the next.
const BETWEEN: Duration = Duration::from_secs(4);
/// How far clocks jump, in seconds: less than a day, since a record that is further ahead of the clock is refused.
const JUMPS: [i64; 6] = [-7_200, -600, -20, 20, 600, 7_200];

/// A fault, and when it is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedFault {
    /// When it begins, from the beginning of the run on.
    pub at: Duration,
    /// How long it lasts, without the recovery.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

impl PlannedFault {
    /// When what it strikes works again.
    fn is_over_at(self) -> Duration {
        self.at + self.lasts + self.fault.recovery()
    }
}

/// What is different for each store of the log.
struct Rules {
    /// How long the first ingest-svc is cut off from the broker. For the first half of it there is no other fault.
    cut_off: Duration,
    /// How long a frozen process stays frozen.
    freeze: Duration,
    /// Which faults come in a round, and how many cards of them. After the last round the first one comes again.
    rounds: &'static [(Wanted, usize)],
}

/// Whether a fault belongs to a round.
type Wanted = fn(Fault) -> bool;

impl Rules {
    fn of(store: Store) -> Self {
        match store {
            Store::Sqlite => Self {
                cut_off: Duration::from_secs(60),
                freeze: Duration::from_secs(40),
                rounds: &[(Fault::is_the_brokers, 4), (|_| true, 28)],
            },
            // Two minutes have less time for more faults.
            Store::Postgres => Self {
                cut_off: Duration::from_secs(24),
                freeze: Duration::from_secs(20),
                rounds: &[
                    (is_of_ingest, 6),
                    (is_the_databases, 3),
                    (Fault::is_the_brokers, 4),
                    (|_| true, 24),
                ],
            },
        }
    }
}

/// Whether nginx has to find another ingest-svc.
fn is_of_ingest(fault: Fault) -> bool {
    matches!(fault.blocks(), Blocked::Ingest(_))
}

fn is_the_databases(fault: Fault) -> bool {
    fault.target() == Target::Database
}

/// The faults of a run of this length, in the order in which they begin.
pub fn schedule(store: Store, seed: u64, length: Duration) -> Vec<PlannedFault> {
    let (mut rng, rules) = (Rng::with_seed(seed), Rules::of(store));
    let end = length.saturating_sub(CALM);
    let mut decks: Vec<_> =
        rules.rounds.iter().map(|(wanted, cards)| (Deck::of(store, *wanted), *cards)).collect();
    let (mut planned_faults, mut round_begins) = (Vec::new(), CALM);
    let mut free = BTreeMap::<Target, Duration>::new();
    let cut_off = PlannedFault { at: CALM, lasts: rules.cut_off, fault: Fault::CutOff };
    if cut_off.is_over_at() <= end {
        planned_faults.push(cut_off);
        free.insert(cut_off.fault.target(), cut_off.is_over_at());
        round_begins += rules.cut_off / 2;
    }
    for turn in (0..decks.len()).cycle() {
        let (deck, cards) = &mut decks[turn];
        let (mut at, mut over) = (round_begins, None);
        for _ in 0..*cards {
            let card = deck.deal(&mut rng);
            let lasts: Vec<_> = card.iter().map(|fault| lasting(*fault, &rules, &mut rng)).collect();
            let busy = card.iter().filter_map(|fault| free.get(&fault.target())).max();
            let begins = busy.map_or(at, |busy| at.max(*busy));
            let planned = card.iter().zip(lasts);
            let planned: Vec<_> =
                planned.map(|(fault, lasts)| PlannedFault { at: begins, lasts, fault: *fault }).collect();
            let Some(latest) = planned.iter().map(|planned| planned.is_over_at()).max() else { continue };
            if latest > end {
                continue;
            }
            free.extend(planned.iter().map(|planned| (planned.fault.target(), planned.is_over_at())));
            planned_faults.extend(planned);
            over = over.max(Some(latest));
            at += Duration::from_millis(rng.u64(GAP));
        }
        let Some(over) = over else { break };
        round_begins = over + BETWEEN;
    }
    planned_faults.sort_by_key(|planned| planned.at);
    planned_faults
}

fn lasting(fault: Fault, rules: &Rules, rng: &mut Rng) -> Duration {
    match fault {
        Fault::Freeze(Process::Primary | Process::Standby) => FREEZE_DATABASE,
        Fault::Freeze(_) => rules.freeze,
        Fault::Kill(_) | Fault::Restart(_) | Fault::PowerLoss | Fault::Promotion(_) => {
            Duration::from_millis(rng.u64(200..3_000))
        }
        Fault::CutOff => rules.cut_off,
        Fault::MemoryAlarm | Fault::DiskAlarm => Duration::from_millis(rng.u64(8_000..20_000)),
        Fault::Disk(_) | Fault::Clock(..) => Duration::from_millis(rng.u64(3_000..10_000)),
        Fault::Delay(..) | Fault::BlackHole(_) => Duration::from_millis(rng.u64(4_000..20_000)),
        Fault::QueueDeleted(_) | Fault::Cut(_) | Fault::HalfClose(..) | Fault::Exit(_) => Duration::ZERO,
    }
}

/// Faults that come at the same time: mostly one.
type Card = Vec<Fault>;

/// Cards that are dealt in an order of the seed, and all of them before any comes again.
struct Deck {
    store: Store,
    wanted: Wanted,
    cards: Vec<Card>,
}

impl Deck {
    fn of(store: Store, wanted: Wanted) -> Self {
        Self { store, wanted, cards: Vec::new() }
    }

    fn deal(&mut self, rng: &mut Rng) -> Card {
        loop {
            if let Some(card) = self.cards.pop() {
                return card;
            }
            self.cards = all(self.store, rng);
            self.cards.retain(|card| card.iter().all(|fault| (self.wanted)(*fault)));
            rng.shuffle(&mut self.cards);
        }
    }
}

/// Every fault of a process, and each fault of the network on a few routes.
fn all(store: Store, rng: &mut Rng) -> Vec<Card> {
    let ingests = (0..store.ingests()).map(Process::Ingest);
    let others = std::iter::once(Process::Broker).chain(ingests).chain([Process::Nginx]);
    let mut faults: Vec<_> = (others.chain((0..REPLICAS).map(Process::Push)))
        .flat_map(|process| [Fault::Kill(process), Fault::Freeze(process), Fault::Restart(process)])
        .chain([Fault::MemoryAlarm, Fault::DiskAlarm, Fault::QueueDeleted(rng.usize(..REPLICAS))])
        .collect();
    match store {
        Store::Sqlite => faults.extend(of_the_file(rng)),
        Store::Postgres => faults.extend(of_the_database(rng)),
    }
    let ingest = match store {
        Store::Sqlite => 0,
        Store::Postgres => rng.usize(..store.ingests()),
    };
    for process in [Process::Ingest(ingest), Process::Push(rng.usize(..REPLICAS))] {
        faults.push(Fault::Clock(process, *rng.choice(&JUMPS).unwrap_or(&0)));
    }
    let mut routes = Route::all(store);
    rng.shuffle(&mut routes);
    for (index, route) in routes.into_iter().enumerate() {
        let delay = Duration::from_millis(rng.u64(100..800));
        let direction = if rng.bool() { Direction::Up } else { Direction::Down };
        faults.push(match index % 4 {
            0 => Fault::Cut(route),
            1 => Fault::Delay(route, delay),
            2 => Fault::BlackHole(route),
            _ => Fault::HalfClose(route, direction),
        });
    }
    let mut cards: Vec<Card> = faults.into_iter().map(|fault| vec![fault]).collect();
    if store.ingests() > 1 {
        cards.extend(of_every_ingest(store));
    }
    cards
}

/// What can go wrong with the one ingest-svc's disk.
fn of_the_file(rng: &mut Rng) -> Vec<Fault> {
    let slow = Disk::Slow(Duration::from_millis(rng.u64(50..400)));
    let faulty = [machine::Disk::Hanging, machine::Disk::Failing, machine::Disk::Full].map(Disk::Faulty);
    let disks = std::iter::once(slow).chain(faulty).map(Fault::Disk);
    [Fault::PowerLoss, Fault::PowerLoss].into_iter().chain(disks).collect()
}

/// What can go wrong with the database and the connections to it, in addition to what comes by chance.
fn of_the_database(rng: &mut Rng) -> Vec<Fault> {
    let [cut, silent, alone] = [(); 3].map(|()| rng.usize(..Store::Postgres.ingests()));
    vec![
        Fault::Promotion(Lost::Killed),
        Fault::Promotion(Lost::Frozen),
        Fault::Clock(Process::Primary, *rng.choice(&JUMPS).unwrap_or(&0)),
        Fault::Kill(Process::Primary),
        Fault::Freeze(Process::Primary),
        Fault::Restart(Process::Primary),
        Fault::Kill(Process::Standby),
        Fault::Freeze(Process::Standby),
        Fault::Cut(Route::IngestToDatabase(cut)),
        Fault::BlackHole(Route::IngestToDatabase(silent)),
        Fault::BlackHole(Route::IngestToBroker(alone)),
    ]
}

/// The same fault for every ingest-svc at the same time.
fn of_every_ingest(store: Store) -> Vec<Card> {
    let kinds: [fn(usize) -> Fault; 4] = [
        |ingest| Fault::Kill(Process::Ingest(ingest)),
        |ingest| Fault::Freeze(Process::Ingest(ingest)),
        |ingest| Fault::BlackHole(Route::IngestToBroker(ingest)),
        |ingest| Fault::BlackHole(Route::IngestToDatabase(ingest)),
    ];
    kinds.into_iter().map(|kind| (0..store.ingests()).map(kind).collect()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const STORES: [Store; 2] = [Store::Sqlite, Store::Postgres];
    const TWO_MINUTES: Duration = Duration::from_secs(120);
    const TEN_MINUTES: Duration = Duration::from_secs(600);
    /// The Makefile's.
    const SEEDS_OF_EVERY_RUN: [(Store, u64); 2] = [(Store::Sqlite, 6), (Store::Postgres, 25)];

    fn kinds(planned_faults: &[PlannedFault]) -> BTreeSet<&'static str> {
        planned_faults.iter().map(|planned| planned.fault.kind()).collect()
    }

    #[test]
    fn a_seed_is_a_schedule() {
        for store in STORES {
            assert_eq!(schedule(store, 7, TEN_MINUTES), schedule(store, 7, TEN_MINUTES));
            assert_ne!(schedule(store, 7, TEN_MINUTES), schedule(store, 8, TEN_MINUTES));
        }
    }

    #[test]
    fn ten_minutes_have_eighty_faults_of_every_kind_and_a_calm_at_both_ends() {
        for (store, seed) in STORES.into_iter().flat_map(|store| (0..100).map(move |seed| (store, seed))) {
            let planned_faults = schedule(store, seed, TEN_MINUTES);
            assert!(planned_faults.len() >= 80, "{store:?}, seed {seed}: {}", planned_faults.len());
            let kinds = kinds(&planned_faults);
            let wanted = if store == Store::Sqlite { 14 } else { 13 };
            assert_eq!(kinds.len(), wanted, "{store:?}, seed {seed}: {kinds:?}");
            for planned in &planned_faults {
                assert!(
                    planned.at >= CALM && planned.at + planned.lasts <= TEN_MINUTES - CALM,
                    "{store:?}, seed {seed}: {planned:?}"
                );
            }
        }
    }

    #[test]
    fn ten_minutes_with_a_database_have_each_of_its_faults_and_both_ingest_svc_at_once() {
        for seed in 0..100 {
            let planned_faults = schedule(Store::Postgres, seed, TEN_MINUTES);
            let all = |wanted: Fault| planned_faults.iter().filter(move |planned| planned.fault == wanted);
            for wanted in [
                Fault::Promotion(Lost::Killed),
                Fault::Promotion(Lost::Frozen),
                Fault::Kill(Process::Primary),
                Fault::Freeze(Process::Primary),
                Fault::Freeze(Process::Ingest(0)),
                Fault::Kill(Process::Ingest(1)),
            ] {
                assert!(all(wanted).count() > 0, "seed {seed}: {wanted}");
            }
            for card in of_every_ingest(Store::Postgres) {
                let mut first = all(card[0]);
                let both = first.any(|first| all(card[1]).any(|second| second.at == first.at));
                assert!(both, "seed {seed}: {card:?}");
            }
        }
    }

    #[test]
    fn the_two_minutes_of_every_test_run_have_faults_of_most_kinds_on_both_sides_of_the_broker() {
        for (store, seed) in SEEDS_OF_EVERY_RUN {
            let planned_faults = schedule(store, seed, TWO_MINUTES);
            let brokers = planned_faults.iter().filter(|planned| planned.fault.is_the_brokers()).count();
            assert!(
                planned_faults.len() >= 12 && kinds(&planned_faults).len() >= 7,
                "{store:?}: {planned_faults:?}"
            );
            assert!(brokers >= 4 && planned_faults.len() - brokers >= 6, "{store:?}: {planned_faults:?}");
        }
        let [_, (store, seed)] = SEEDS_OF_EVERY_RUN;
        let planned_faults = schedule(store, seed, TWO_MINUTES);
        let of = |wanted: fn(Fault) -> bool| planned_faults.iter().any(|planned| wanted(planned.fault));
        assert!(of(|fault| matches!(fault, Fault::Promotion(_))), "{planned_faults:?}");
        assert!(of(|fault| matches!(fault.blocks(), Blocked::Ingest(_))), "{planned_faults:?}");
    }

    #[test]
    fn an_ingest_svc_is_cut_off_and_nothing_else_is_at_fault_at_first() {
        for (store, seed) in STORES.into_iter().flat_map(|store| (0..100).map(move |seed| (store, seed))) {
            for length in [TWO_MINUTES, TEN_MINUTES] {
                let planned_faults = schedule(store, seed, length);
                let cut_off = Rules::of(store).cut_off;
                assert_eq!((planned_faults[0].fault, planned_faults[0].lasts), (Fault::CutOff, cut_off));
                let alone_until = planned_faults[0].at + cut_off / 2;
                assert!(
                    planned_faults[1..].iter().all(|planned| planned.at >= alone_until),
                    "{store:?}, seed {seed}"
                );
            }
        }
    }

    #[test]
    fn nothing_has_two_faults_at_the_same_time() {
        for (store, seed) in STORES.into_iter().flat_map(|store| (0..100).map(move |seed| (store, seed))) {
            let planned_faults = schedule(store, seed, TEN_MINUTES);
            for (index, planned) in planned_faults.iter().enumerate() {
                let mut later =
                    planned_faults[index + 1..].iter().filter(|later| later.at < planned.at + planned.lasts);
                assert!(
                    later.all(|later| later.fault.target() != planned.fault.target()),
                    "{store:?}, seed {seed}: {planned:?}"
                );
            }
        }
    }
}
