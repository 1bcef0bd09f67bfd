//! Which fault comes when: drawn from a seed, so that the same seed plays the same night again.
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
//! Faults are dealt like cards: each kind comes before any comes again. In the rounds of the broker nothing else is
//! touched, so that what it alone does to providers can be told apart.

use std::{collections::BTreeMap, fmt, ops::Range, time::Duration};

use fastrand::Rng;

use crate::{link::Way, machine};

/// Replicas of push-svc in the play.
pub const REPLICAS: usize = 3;
/// Time without faults before the first and after the last.
pub const CALM: Duration = Duration::from_secs(12);
/// How long ingest-svc is cut off from the broker.
const CUT_OFF: Duration = Duration::from_secs(60);
/// For how much of that nothing else is at fault.
const NOTHING_ELSE: Duration = Duration::from_secs(30);
/// How long a frozen process stays frozen.
const FREEZE: Duration = Duration::from_secs(40);
/// Between the beginnings of two faults, in ms.
const GAP: Range<u64> = 500..3_000;
/// Between two rounds: what is left of one must not be taken for the next one's doing.
const BETWEEN: Duration = Duration::from_secs(4);
/// Faults in a round of the broker, and in one of anything.
const ROUNDS: [usize; 2] = [4, 28];

/// How far clocks jump, in seconds: less than a day, since a record that is further ahead of the clock is refused.
const JUMPS: [i64; 6] = [-7_200, -600, -20, 20, 600, 7_200];

/// A process that faults befall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// RabbitMQ.
    Broker,
    /// ingest-svc.
    Ingest,
    /// A replica of push-svc.
    Push(usize),
    /// The load balancer.
    Nginx,
}

/// The network between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// ingest-svc's connections to the broker.
    IngestToBroker,
    /// A replica's connections to the broker.
    PushToBroker(usize),
    /// A replica's connections to ingest-svc.
    PushToIngest(usize),
    /// nginx's connections to a replica.
    NginxToPush(usize),
    /// nginx's connections to ingest-svc.
    NginxToIngest,
    /// The number provider's connections to nginx.
    ProviderToNginx,
    /// The pads' connections to nginx, with gRPC-Web and WebSocket.
    PadsToNginx,
    /// The pads' connections to nginx, with native gRPC.
    GrpcPadsToNginx,
}

impl Route {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let single = [
            Self::IngestToBroker,
            Self::NginxToIngest,
            Self::ProviderToNginx,
            Self::PadsToNginx,
            Self::GrpcPadsToNginx,
        ];
        let of_each = [Self::PushToBroker, Self::PushToIngest, Self::NginxToPush];
        single.into_iter().chain(of_each.into_iter().flat_map(|route| (0..REPLICAS).map(route))).collect()
    }

    fn touches_broker(self) -> bool {
        matches!(self, Self::IngestToBroker | Self::PushToBroker(_))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and a new start.
    Kill(Process),
    /// SIGSTOP, and SIGCONT.
    Freeze(Process),
    /// SIGTERM, and a new start once it has left.
    Restart(Process),
    /// The broker takes no more messages for want of memory.
    MemoryAlarm,
    /// The broker takes no more messages for want of room on its disk.
    DiskAlarm,
    /// `kill -9` of ingest-svc; what it had written and not flushed is gone when it is started anew.
    PowerLoss,
    /// The log's disk is faulty.
    Disk(Disk),
    /// A process's wall clock jumps, by so many seconds, and later back.
    Clock(Process, i64),
    /// A replica's private queue is deleted behind its back.
    QueueDeleted(usize),
    /// All connections are reset.
    Cut(Route),
    /// Everything takes so much longer.
    Delay(Route, Duration),
    /// Nothing passes, and nobody is told.
    BlackHole(Route),
    /// One way of all connections ends.
    HalfClose(Route, Way),
    /// ingest-svc alone cannot reach the broker, while another installation on the same exchange goes on.
    CutOff,
}

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Each flush takes so much longer.
    Slow(Duration),
    /// It does what a faulty disk does.
    Faulty(machine::Disk),
}

/// What a fault befalls. No two faults befall the same at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Process(Process),
    Route(Route),
    Clock(Process),
}

impl Fault {
    /// Whether nothing but the broker, or what it is reached by, is at fault.
    pub fn is_the_brokers(self) -> bool {
        match self.target() {
            Target::Process(process) => process == Process::Broker,
            Target::Route(route) => route.touches_broker(),
            Target::Clock(_) => false,
        }
    }

    /// Whether it stands in a record's way from the provider to the log.
    pub fn touches_provider(self) -> bool {
        match self.target() {
            Target::Process(process) => matches!(process, Process::Ingest | Process::Nginx),
            Target::Route(route) => matches!(route, Route::ProviderToNginx | Route::NginxToIngest),
            Target::Clock(_) => false,
        }
    }

    /// How far ingest-svc's clock is ahead of the right time.
    pub fn clock_ahead(self) -> Duration {
        match self {
            Self::Clock(Process::Ingest, ahead) => Duration::from_secs(ahead.try_into().unwrap_or_default()),
            _ => Duration::ZERO,
        }
    }

    /// Its kind, for counting.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Freeze(_) => "freeze",
            Self::Restart(_) => "restart",
            Self::MemoryAlarm => "memory alarm",
            Self::DiskAlarm => "disk alarm",
            Self::PowerLoss => "power loss",
            Self::Disk(_) => "disk",
            Self::Clock(..) => "clock",
            Self::QueueDeleted(_) => "queue deleted",
            Self::Cut(_) => "cut",
            Self::Delay(..) => "delay",
            Self::BlackHole(_) => "black hole",
            Self::HalfClose(..) => "half-close",
            Self::CutOff => "cut off",
        }
    }

    fn target(self) -> Target {
        match self {
            Self::Kill(process) | Self::Freeze(process) | Self::Restart(process) => Target::Process(process),
            Self::MemoryAlarm | Self::DiskAlarm | Self::QueueDeleted(_) => Target::Process(Process::Broker),
            Self::PowerLoss | Self::Disk(_) => Target::Process(Process::Ingest),
            Self::Clock(process, _) => Target::Clock(process),
            Self::Cut(route) | Self::Delay(route, _) | Self::BlackHole(route) | Self::HalfClose(route, _) => {
                Target::Route(route)
            }
            Self::CutOff => Target::Route(Route::IngestToBroker),
        }
    }

    /// How long its victim may need to be itself again.
    fn recovery(self) -> Duration {
        match self.target() {
            Target::Process(Process::Broker) if matches!(self, Self::Kill(_) | Self::Restart(_)) => {
                Duration::from_secs(12)
            }
            Target::Process(_) => Duration::from_secs(4),
            Target::Route(_) | Target::Clock(_) => Duration::from_secs(1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process) | Self::Freeze(process) | Self::Restart(process) => {
                write!(f, "{} {process:?}", self.kind())
            }
            Self::MemoryAlarm | Self::DiskAlarm | Self::PowerLoss => f.write_str(self.kind()),
            Self::Disk(Disk::Slow(by)) => write!(f, "disk slower by {by:?}"),
            Self::Disk(Disk::Faulty(how)) => write!(f, "disk {how:?}"),
            Self::Clock(process, ahead) => write!(f, "clock of {process:?} jumps by {ahead} s"),
            Self::QueueDeleted(replica) => write!(f, "{} of Push({replica})", self.kind()),
            Self::Cut(route) | Self::BlackHole(route) => write!(f, "{} {route:?}", self.kind()),
            Self::Delay(route, delay) => write!(f, "{} {route:?} by {delay:?}", self.kind()),
            Self::HalfClose(route, way) => write!(f, "{} {route:?} {way:?}", self.kind()),
            Self::CutOff => f.write_str("Ingest alone cut off from the broker"),
        }
    }
}

/// A fault, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// When it begins, from the beginning of the play.
    pub at: Duration,
    /// How long it lasts, its victim's recovery not counted.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

impl Act {
    /// When its victim is itself again.
    fn is_over_at(self) -> Duration {
        self.at + self.lasts + self.fault.recovery()
    }
}

/// The acts of a play of this length, in the order in which they begin.
pub fn schedule(seed: u64, length: Duration) -> Vec<Act> {
    let mut rng = Rng::with_seed(seed);
    let end = length.saturating_sub(CALM);
    let mut decks = [Deck::of(|fault| fault.is_the_brokers()), Deck::of(|_| true)];
    let (mut acts, mut round_begins) = (Vec::new(), CALM);
    let mut free = BTreeMap::<Target, Duration>::new();
    let cut_off = Act { at: CALM, lasts: CUT_OFF, fault: Fault::CutOff };
    if cut_off.is_over_at() <= end {
        acts.push(cut_off);
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
            let act = Act { at: begins, lasts, fault };
            if act.is_over_at() > end {
                continue;
            }
            acts.push(act);
            free.insert(fault.target(), act.is_over_at());
            over = over.max(Some(act.is_over_at()));
            at += Duration::from_millis(rng.u64(GAP));
        }
        let Some(over) = over else { break };
        round_begins = over + BETWEEN;
    }
    acts.sort_by_key(|act| act.at);
    acts
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
            [machine::Disk::Hangs, machine::Disk::Errs, machine::Disk::Full]
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
        let way = if rng.bool() { Way::Up } else { Way::Down };
        faults.push(match index % 4 {
            0 => Fault::Cut(route),
            1 => Fault::Delay(route, delay),
            2 => Fault::BlackHole(route),
            _ => Fault::HalfClose(route, way),
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
            let acts = schedule(seed, TEN_MINUTES);
            assert!(acts.len() >= 80, "seed {seed}: {}", acts.len());
            let kinds: BTreeSet<_> = acts.iter().map(|act| act.fault.kind()).collect();
            assert_eq!(kinds.len(), 14, "seed {seed}: {kinds:?}");
            for act in &acts {
                assert!(act.at >= CALM && act.at + act.lasts <= TEN_MINUTES - CALM, "seed {seed}: {act:?}");
            }
        }
    }

    #[test]
    fn the_two_minutes_of_every_test_run_have_faults_of_most_kinds_on_both_sides_of_the_broker() {
        let acts = schedule(SEED_OF_EVERY_RUN, Duration::from_secs(120));
        let kinds: BTreeSet<_> = acts.iter().map(|act| act.fault.kind()).collect();
        let brokers = acts.iter().filter(|act| act.fault.is_the_brokers()).count();
        assert!(acts.len() >= 12 && kinds.len() >= 7, "{acts:?}");
        assert!(brokers >= 4 && acts.len() - brokers >= 6, "{acts:?}");
    }

    #[test]
    fn ingest_svc_is_cut_off_for_a_minute_and_nothing_else_is_at_fault_at_first() {
        for seed in 0..100 {
            for minutes in [2, 10] {
                let acts = schedule(seed, Duration::from_secs(60 * minutes));
                assert_eq!((acts[0].fault, acts[0].lasts), (Fault::CutOff, CUT_OFF));
                assert!(acts[1..].iter().all(|act| act.at >= acts[0].at + NOTHING_ELSE), "seed {seed}");
            }
        }
    }

    #[test]
    fn nothing_has_two_faults_at_a_time() {
        for seed in 0..100 {
            let acts = schedule(seed, TEN_MINUTES);
            for (index, act) in acts.iter().enumerate() {
                let mut later = acts[index + 1..].iter().filter(|later| later.at < act.at + act.lasts);
                assert!(
                    later.all(|later| later.fault.target() != act.fault.target()),
                    "seed {seed}: {act:?}"
                );
            }
        }
    }
}
