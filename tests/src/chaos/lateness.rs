//! How late a ring may be on a pad, by what was wrong meanwhile, and whether it was.
//!
//! | what is wrong | a ring is on its pads | why |
//! | --- | --- | --- |
//! | nothing, or only the provider's way to ingest-svc | within 500 ms of its answer | nothing stands in its way |
//! | the broker, or the way to it, of any process | within 4 s | hubs take it from the log instead |
//! | the log's disk, a clock, the way from replicas to ingest-svc | within 4 s | it is logged already, and the bus carries it |
//! | the same way and the broker together | within 4 s of their end | there is no third way |
//! | the pads' way, which is slow | within 4 s | it is a way all the same |
//! | ingest-svc itself | within 4 s of its being back | nobody else has it |
//! | a replica, nginx, the pads' way | within [`COMING_BACK`] of their end | the pad must notice it, and come back |
//! | a clock or what is below it here, and the pad's token ended meanwhile | [`COMING_BACK`] more | it must come back through it |
//!
//! Of several the latest counts; a fault counts for [`WAKE`] after its end (one of the pads' way for [`COMING_BACK`]), and
//! only if it began before the ring was due. None is excused for its class alone: each ring is judged by itself.
//!
//! **The margin.** All processes of the play share the machine's cores with whatever else runs there; a process that waits
//! for a core is no fault of the product. [`Pulse`] measures how long that is: a timer of the play's own, every 20 ms, and
//! how late it went off. On its way a ring waits for a core in [`HOPS`] processes, so that it may be late by so many times the
//! longest wait that was measured between its answer and its showing. On an idle machine that is some milliseconds. On two
//! cores that are fully taken it is tens of milliseconds; a hub that polls once a second, or one query that stands before a
//! ring, is still found.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    fault::{Fault, Process, Route},
    verdict::Delay,
    weather::{Spell, Weather},
};
use crate::pads::Transport;

/// A ring while nothing is wrong.
const CALM: Duration = Duration::from_millis(500);
/// A ring while there is another way for it, or once there is one again.
const LIVE: Duration = Duration::from_secs(4);
/// How long a pad may need to notice that its stream is dead (5 s), to find that a replica does not answer (5 s), to wait
/// before it tries again (4 s), and to be shown what it missed.
const COMING_BACK: Duration = Duration::from_secs(18);
/// What a fault leaves behind is its doing for so long: connections that are being built anew.
const WAKE: Duration = Duration::from_secs(8);
/// nginx, ingest-svc, the broker, push-svc, and the play itself.
const HOPS: u32 = 5;
/// Between two measurements.
const BEAT: Duration = Duration::from_millis(20);

/// What is at fault for a ring's being late, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Calm,
    Broker,
    Disk,
    Clock,
    SlowWay,
    WayToLog,
    Ingest,
    PadsWay,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Calm => "calm",
            Self::Broker => "broker",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::SlowWay => "slow way",
            Self::WayToLog => "way to the log",
            Self::Ingest => "ingest-svc",
            Self::PadsWay => "pads' way",
        })
    }
}

impl Class {
    /// Whose doing it is if this fault delays a ring to a pad of this transport; `None`: it cannot.
    fn of(fault: Fault, transport: Transport) -> Option<Self> {
        let native = transport == Transport::Grpc;
        let pads_way = if matches!(fault, Fault::Delay(..)) { Self::SlowWay } else { Self::PadsWay };
        match fault {
            Fault::Disk(_) => Some(Self::Disk),
            Fault::Clock(..) => Some(Self::Clock),
            Fault::PowerLoss => Some(Self::Ingest),
            Fault::MemoryAlarm | Fault::DiskAlarm | Fault::QueueDeleted(_) | Fault::CutOff => {
                Some(Self::Broker)
            }
            Fault::Kill(process) | Fault::Freeze(process) | Fault::Restart(process) => Some(match process {
                Process::Broker => Self::Broker,
                Process::Ingest => Self::Ingest,
                Process::Push(_) | Process::Nginx => Self::PadsWay,
            }),
            Fault::Cut(route)
            | Fault::Delay(route, _)
            | Fault::BlackHole(route)
            | Fault::HalfClose(route, _) => match route {
                Route::IngestToBroker | Route::PushToBroker(_) => Some(Self::Broker),
                Route::PushToIngest(_) => Some(Self::WayToLog),
                Route::NginxToPush(_) => Some(pads_way),
                Route::PadsToNginx => (!native).then_some(pads_way),
                Route::GrpcPadsToNginx => native.then_some(pads_way),
                // A ring that was answered is past them.
                Route::NginxToIngest | Route::ProviderToNginx => None,
            },
        }
    }

    /// How long a fault of this class counts after its end.
    fn wake(self) -> Duration {
        if self == Self::PadsWay { COMING_BACK } else { WAKE }
    }
}

/// How long a ring that was answered at `accepted` may take to a pad, and for what.
fn allowed(weather: &Weather, transport: Transport, accepted: Instant) -> (Class, Duration) {
    let mut allowed = (Class::Calm, CALM);
    loop {
        let due = accepted + allowed.1;
        let on: Vec<_> = weather
            .spells()
            .filter_map(|spell| Some((Class::of(spell.fault, transport)?, spell)))
            .filter(|(class, spell)| spell.was_on(accepted, due, class.wake()))
            .collect();
        let no_bus = on.iter().any(|(class, _)| *class == Class::Broker);
        let longest = on.iter().map(|(class, spell)| (*class, bound(*class, spell, accepted, no_bus)));
        match longest.max_by_key(|(_, bound)| *bound) {
            Some(longer) if longer.1 > allowed.1 => allowed = longer,
            _ => return allowed,
        }
    }
}

fn bound(class: Class, spell: &Spell, accepted: Instant, no_bus: bool) -> Duration {
    let over = spell.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(accepted));
    match class {
        Class::Calm => CALM,
        Class::Broker | Class::Disk | Class::Clock | Class::SlowWay => LIVE,
        Class::WayToLog if !no_bus => LIVE,
        Class::WayToLog | Class::Ingest => over + LIVE,
        Class::PadsWay => over + COMING_BACK,
    }
}

/// The rings of one class.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Rings {
    pub(super) count: usize,
    /// Late, and by more than the machine was.
    pub(super) late: usize,
    /// Late, but by no more than the machine was.
    pub(super) excused: usize,
    pub(super) longest: Duration,
}

/// Judges each ring by its class, and says what is wrong with those that are late.
pub(super) fn judge(
    delays: &[Delay],
    weather: &Weather,
    stalls: &Stalls,
) -> (BTreeMap<Class, Rings>, Vec<String>) {
    let (mut classes, mut wrongs) = (BTreeMap::<Class, Rings>::new(), Vec::new());
    for delay in delays {
        let transport = Transport::ALL[delay.pad % Transport::ALL.len()];
        let (class, allowed) = match allowed(weather, transport, delay.accepted) {
            // With replicas and the ways to them in order, a pad with a new token is back at once.
            (class, allowed) if class > Class::Disk && delay.came_back => {
                (Class::PadsWay, allowed + COMING_BACK)
            }
            allowed => allowed,
        };
        let rings = classes.entry(class).or_default();
        rings.count += 1;
        rings.longest = rings.longest.max(delay.took);
        if delay.took <= allowed {
            continue;
        }
        let until = delay.accepted + delay.took;
        let margin = HOPS * stalls.longest(delay.accepted, until);
        if delay.took <= allowed + margin {
            rings.excused += 1;
            continue;
        }
        rings.late += 1;
        wrongs.push(format!(
            "pad {} was shown a ring after {:.2} s, not within {:.2} s ({class}; margin {:.2} s; meanwhile: {})",
            delay.pad,
            delay.took.as_secs_f64(),
            allowed.as_secs_f64(),
            margin.as_secs_f64(),
            weather.during(delay.accepted, until),
        ));
    }
    (classes, wrongs)
}

/// When the machine had the play wait for a core, and for how long.
#[derive(Debug, Default, Clone)]
pub(super) struct Stalls(Vec<(Instant, Duration)>);

impl Stalls {
    /// The longest wait that began or ended between the two.
    fn longest(&self, from: Instant, until: Instant) -> Duration {
        // A wait is noted when it is over.
        let within = self.0.iter().filter(|(over, length)| *over >= from && *over <= until + *length);
        within.map(|(_, length)| *length).max().unwrap_or_default()
    }
}

/// Measures how long the machine has a task wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Pulse {
    stalls: Arc<Mutex<Stalls>>,
    task: JoinHandle<()>,
}

impl Pulse {
    pub(super) fn start() -> Self {
        let stalls = Arc::<Mutex<Stalls>>::default();
        let noted = Arc::clone(&stalls);
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + BEAT;
                sleep_until(due).await;
                let late = due.elapsed();
                noted.lock().unwrap_or_else(PoisonError::into_inner).0.push((Instant::now(), late));
            }
        });
        Self { stalls, task }
    }

    pub(super) fn stalls(&self) -> Stalls {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a ring of the second 100 may take to a pad, with these faults from and to these seconds.
    fn at(transport: Transport, faults: &[(Fault, u32, u32)]) -> (Class, Duration) {
        let begun = Instant::now();
        let mut weather = Weather::default();
        for (fault, from, until) in faults {
            weather.add(*fault, begun + *from * SECOND, begun + *until * SECOND);
        }
        allowed(&weather, transport, begun + 100 * SECOND)
    }

    #[test]
    fn a_ring_of_calm_times_has_half_a_second() {
        let push = Fault::Kill(Process::Push(0));
        for faults in [
            vec![],
            vec![(Fault::MemoryAlarm, 10, 91)],
            vec![(push, 10, 81)],
            // It began when the ring was due.
            vec![(Fault::Freeze(Process::Ingest), 101, 140)],
            vec![
                (Fault::BlackHole(Route::ProviderToNginx), 90, 120),
                (Fault::Cut(Route::NginxToIngest), 100, 100),
            ],
            vec![(Fault::BlackHole(Route::PadsToNginx), 90, 120)],
        ] {
            assert_eq!(at(Transport::Grpc, &faults), (Class::Calm, CALM), "{faults:?}");
        }
    }

    #[test]
    fn without_the_broker_it_has_four_seconds_however_long_that_lasts() {
        for fault in [
            Fault::Freeze(Process::Broker),
            Fault::MemoryAlarm,
            Fault::DiskAlarm,
            Fault::CutOff,
            Fault::BlackHole(Route::PushToBroker(1)),
        ] {
            for until in [93, 100, 300] {
                assert_eq!(at(Transport::Grpc, &[(fault, 90, until)]), (Class::Broker, LIVE), "{fault}");
            }
        }
        let (class, allowed) = at(Transport::WebSocket, &[(Fault::Clock(Process::Ingest, 7_200), 99, 130)]);
        assert_eq!((class, allowed), (Class::Clock, LIVE));
    }

    #[test]
    fn a_fault_that_has_the_ring_or_the_pad_is_waited_for() {
        let log = (Fault::BlackHole(Route::PushToIngest(0)), 95, 110);
        assert_eq!(at(Transport::Grpc, &[log]), (Class::WayToLog, LIVE));
        let both = at(Transport::Grpc, &[log, (Fault::MemoryAlarm, 99, 130)]);
        assert_eq!(both, (Class::WayToLog, 10 * SECOND + LIVE));
        let (class, allowed) = at(Transport::Grpc, &[(Fault::PowerLoss, 100, 103)]);
        assert_eq!((class, allowed), (Class::Ingest, 3 * SECOND + LIVE));
        let (class, allowed) = at(Transport::Grpc, &[(Fault::Cut(Route::GrpcPadsToNginx), 90, 90)]);
        assert_eq!((class, allowed), (Class::PadsWay, COMING_BACK));
        let slow = (Fault::Delay(Route::GrpcPadsToNginx, SECOND / 2), 95, 110);
        assert_eq!(at(Transport::Grpc, &[slow]), (Class::SlowWay, LIVE));
        // One that begins while another is waited for.
        let chain =
            at(Transport::Grpc, &[(Fault::PowerLoss, 100, 103), (Fault::Restart(Process::Nginx), 105, 106)]);
        assert_eq!(chain, (Class::PadsWay, 6 * SECOND + COMING_BACK));
    }

    #[test]
    fn what_the_machine_cannot_be_blamed_for_is_late() {
        let accepted = Instant::now() + 100 * SECOND;
        let delay = |took| Delay { pad: 0, accepted, came_back: false, took, took_from_sending: took };
        let delays = [CALM, CALM + SECOND / 10, CALM + SECOND, 3 * SECOND].map(delay);
        let stalls = Stalls(vec![
            (accepted, SECOND / 25),
            (accepted + SECOND, SECOND / 10),
            (accepted + 20 * SECOND, 10 * SECOND),
        ]);
        let (classes, wrongs) = judge(&delays, &Weather::default(), &stalls);
        let calm = classes[&Class::Calm];
        assert_eq!((calm.count, calm.late, calm.excused, calm.longest), (4, 2, 1, 3 * SECOND));
        assert_eq!(wrongs.len(), 2);
    }
}
