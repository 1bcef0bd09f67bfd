//! Which fault comes when: drawn from a seed, so that a run can be repeated.
//!
//! ```text
//!  calm │ cut off alone │ broker only │ anything │ broker only │ anything │ … │ calm
//!       └──────── still cut off ────┘
//! ```
//!
//! First ingest-svc alone is cut off from the broker for a minute; for the first half of it nothing else is at
//! fault, so that every ring of that time must be on its pads within 4 s.
//!
//! [`lateness`](super::lateness) says how late each of them may make a ring.
//!
//! Faults are dealt like cards: each kind comes before any kind comes again. In the rounds of the broker there is no other fault,
//! so that its effect on providers can be measured alone.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use fastrand::Rng;

use super::fault::{Disk, Fault, Process, REPLICAS, Route, Target};
use crate::{link::Direction, machine};

/// Time without faults before the first and after the last.
pub const CALM: Duration = Duration::from_secs(12);
/// How long ingest-svc is cut off from the broker.
const CUT_OFF: Duration = Duration::from_secs(60);
/// For how long of that there is no other fault.
const NOTHING_ELSE: Duration = Duration::from_secs(30);
/// How long a frozen process stays frozen.
const FREEZE: Duration = Duration::from_secs(40);
/// The time between the beginnings of two faults, in ms.
const GAP: Range<u64> = 500..3_000;
/// The time between two rounds, so that effects of one round are not attributed to the next.
const BETWEEN: Duration = Duration::from_secs(4);
/// Faults in a round of the broker, and in one of anything.
const ROUNDS: [usize; 2] = [4, 28];

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

/// The faults of a run of this length, in the order in which they begin.
pub fn schedule(seed: u64, length: Duration) -> Vec<PlannedFault> {
    let mut rng = Rng::with_seed(seed);
    let end = length.saturating_sub(CALM);
    let mut decks = [Deck::of(|fault| fault.is_the_brokers()), Deck::of(|_| true)];
    let (mut planned_faults, mut round_begins) = (Vec::new(), CALM);
    let mut free = BTreeMap::<Target, Duration>::new();
    let cut_off = PlannedFault { at: CALM, lasts: CUT_OFF, fault: Fault::CutOff };
    if cut_off.is_over_at() <= end {
        planned_faults.push(cut_off);
        free.insert(cut_off.fault.target(), cut_off.is_over_at());
        round_begins += NOTHING_ELSE;
    }
    for turn in [0, 1].into_iter().cycle() {
        let (deck, faults) = (&mut decks[turn], ROUNDS[turn]);
        let (mut at, mut over) = (round_begins, None);
        for _ in 0..faults {
            let fault = deck.deal(&mut rng);
            let lasts = lasting(fault, &mut rng);
            let busy = free.get(&fault.target()).copied().unwrap_or_default();
            let begins = at.max(busy);
            let planned = PlannedFault { at: begins, lasts, fault };
            if planned.is_over_at() > end {
                continue;
            }
            planned_faults.push(planned);
            free.insert(fault.target(), planned.is_over_at());
            over = over.max(Some(planned.is_over_at()));
            at += Duration::from_millis(rng.u64(GAP));
        }
        let Some(over) = over else { break };
        round_begins = over + BETWEEN;
    }
    planned_faults.sort_by_key(|planned| planned.at);
    planned_faults
}

fn lasting(fault: Fault, rng: &mut Rng) -> Duration {
    match fault {
        Fault::Freeze(_) => FREEZE,
        Fault::Kill(_) | Fault::Restart(_) | Fault::PowerLoss => Duration::from_millis(rng.u64(200..3_000)),
        Fault::CutOff => CUT_OFF,
        Fault::MemoryAlarm | Fault::DiskAlarm => Duration::from_millis(rng.u64(8_000..20_000)),
        Fault::Disk(_) | Fault::Clock(..) => Duration::from_millis(rng.u64(3_000..10_000)),
        Fault::Delay(..) | Fault::BlackHole(_) => Duration::from_millis(rng.u64(4_000..20_000)),
        Fault::QueueDeleted(_) | Fault::Cut(_) | Fault::HalfClose(..) => Duration::ZERO,
    }
}

/// Faults that are dealt in an order of the seed, and all of them before any comes again.
struct Deck {
    wanted: fn(Fault) -> bool,
    cards: Vec<Fault>,
}

impl Deck {
    fn of(wanted: fn(Fault) -> bool) -> Self {
        Self { wanted, cards: Vec::new() }
    }

    fn deal(&mut self, rng: &mut Rng) -> Fault {
        loop {
            if let Some(card) = self.cards.pop() {
                return card;
            }
            self.cards = all(rng).into_iter().filter(|fault| (self.wanted)(*fault)).collect();
            rng.shuffle(&mut self.cards);
        }
    }
}

/// Every fault of a process, and each fault of the network on a few routes.
fn all(rng: &mut Rng) -> Vec<Fault> {
    let others = [Process::Broker, Process::Ingest, Process::Nginx];
    let mut faults: Vec<_> = (others.into_iter().chain((0..REPLICAS).map(Process::Push)))
        .flat_map(|process| [Fault::Kill(process), Fault::Freeze(process), Fault::Restart(process)])
        .chain([Fault::MemoryAlarm, Fault::DiskAlarm, Fault::QueueDeleted(rng.usize(..REPLICAS))])
        .chain([
            Fault::PowerLoss,
            Fault::PowerLoss,
            Fault::Disk(Disk::Slow(Duration::from_millis(rng.u64(50..400)))),
        ])
        .chain(
            [machine::Disk::Hanging, machine::Disk::Failing, machine::Disk::Full]
                .map(|how| Fault::Disk(Disk::Faulty(how))),
        )
        .collect();
    for process in [Process::Ingest, Process::Push(rng.usize(..REPLICAS))] {
        faults.push(Fault::Clock(process, *rng.choice(&JUMPS).unwrap_or(&0)));
    }
    let mut routes = Route::all();
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
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TEN_MINUTES: Duration = Duration::from_secs(600);
    /// The Makefile's.
    const SEED_OF_EVERY_RUN: u64 = 6;

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(schedule(7, TEN_MINUTES), schedule(7, TEN_MINUTES));
        assert_ne!(schedule(7, TEN_MINUTES), schedule(8, TEN_MINUTES));
    }

    #[test]
    fn ten_minutes_have_eighty_faults_of_every_kind_and_a_calm_at_both_ends() {
        for seed in 0..100 {
            let planned_faults = schedule(seed, TEN_MINUTES);
            assert!(planned_faults.len() >= 80, "seed {seed}: {}", planned_faults.len());
            let kinds: BTreeSet<_> = planned_faults.iter().map(|planned| planned.fault.kind()).collect();
            assert_eq!(kinds.len(), 14, "seed {seed}: {kinds:?}");
            for planned in &planned_faults {
                assert!(
                    planned.at >= CALM && planned.at + planned.lasts <= TEN_MINUTES - CALM,
                    "seed {seed}: {planned:?}"
                );
            }
        }
    }

    #[test]
    fn the_two_minutes_of_every_test_run_have_faults_of_most_kinds_on_both_sides_of_the_broker() {
        let planned_faults = schedule(SEED_OF_EVERY_RUN, Duration::from_secs(120));
        let kinds: BTreeSet<_> = planned_faults.iter().map(|planned| planned.fault.kind()).collect();
        let brokers = planned_faults.iter().filter(|planned| planned.fault.is_the_brokers()).count();
        assert!(planned_faults.len() >= 12 && kinds.len() >= 7, "{planned_faults:?}");
        assert!(brokers >= 4 && planned_faults.len() - brokers >= 6, "{planned_faults:?}");
    }

    #[test]
    fn ingest_svc_is_cut_off_for_a_minute_and_nothing_else_is_at_fault_at_first() {
        for seed in 0..100 {
            for minutes in [2, 10] {
                let planned_faults = schedule(seed, Duration::from_secs(60 * minutes));
                assert_eq!((planned_faults[0].fault, planned_faults[0].lasts), (Fault::CutOff, CUT_OFF));
                assert!(
                    planned_faults[1..]
                        .iter()
                        .all(|planned| planned.at >= planned_faults[0].at + NOTHING_ELSE),
                    "seed {seed}"
                );
            }
        }
    }

    #[test]
    fn nothing_has_two_faults_at_the_same_time() {
        for seed in 0..100 {
            let planned_faults = schedule(seed, TEN_MINUTES);
            for (index, planned) in planned_faults.iter().enumerate() {
                let mut later =
                    planned_faults[index + 1..].iter().filter(|later| later.at < planned.at + planned.lasts);
                assert!(
                    later.all(|later| later.fault.target() != planned.fault.target()),
                    "seed {seed}: {planned:?}"
                );
            }
        }
    }
}
