//! How late a ring may be on a pad, by the faults of that time, and whether it was later.
//!
//! | fault | a ring is on its pads | why |
//! | --- | --- | --- |
//! | none, or only between the provider and ingest-svc | within 500 ms of its answer | nothing delays it |
//! | of the broker, or of any process's connection to it | within 4 s | hubs take it from the log instead |
//! | of the log's disk, of a clock, between replicas and ingest-svc | within 4 s | it is logged already, and the bus carries it |
//! | between replicas and ingest-svc, and of the broker too | within 4 s of their end | there is no third path |
//! | a slow connection to the pads | within 4 s | it is slow, but it works |
//! | of the one ingest-svc itself | within 4 s of its return | no other process has the ring |
//! | of one of two ingest-svc, or of its connection to the database | within [`TAKE_OVER`] | the other one tells replicas to read the log |
//! | of the database | within [`RENEWED`] of its end | what was answered is published, but a promotion ends each stream |
//! | of a replica, of nginx, of the connection to the pads | within [`RECONNECT`] of their end | the pad must notice it, and reconnect |
//! | of a clock or one listed after it here, and the pad's token ended in that time | [`RECONNECT`] more | the pad must reconnect during the fault |
//!
//! With two ingest-svc, a fault of both, or of one and of a replica's connection to the other, counts from its end on, as with one.
//!
//! Of several faults the one that allows the latest ring counts. A fault counts until [`WAKE`] after its end (one of the connection
//! to the pads until [`RECONNECT`]), and only if it began before the ring was due. Each ring is judged by itself.
//!
//! **The margin.** All processes of the run share the machine's cores with other work; that a process waits for a core is not a
//! fault of the product. [`StallMeter`] measures these waits: how late a timer of 20 ms fires. On its path a ring waits for a core
//! in [`HOPS`] processes, and in [`HOPS_OF_DATABASE`] more with a log in PostgreSQL. So it may be late by so many times the longest
//! wait between its answer and its showing. On an idle machine that is some milliseconds, on two busy cores tens of milliseconds; a
//! hub that polls once a second, or one query that delays a ring, is still found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    fault::{Blocked, Fault, Process, Route, Store},
    fault_log::{FaultLog, FaultSpan},
    verdict::Delay,
};
use crate::pads::Transport;

/// For a ring without any fault.
const CALM: Duration = Duration::from_millis(500);
/// For a ring that has another path, or from the time at which it has a path again.
const LIVE: Duration = Duration::from_secs(4);
/// How long another ingest-svc may need to take over from one that is silent: its lease of 5 s, a probe, a look into the log.
const TAKE_OVER: Duration = Duration::from_secs(8);
/// How long a pad may need to have a fresh snapshot after a promotion.
const RENEWED: Duration = Duration::from_secs(10);
/// How long a pad may need to notice that its stream is dead (5 s), to notice that a replica does not answer (5 s), to wait
/// before the next try (4 s), and to be shown what it missed.
const RECONNECT: Duration = Duration::from_secs(18);
/// For so long after its end a fault still has effects: connections that are being rebuilt.
const WAKE: Duration = Duration::from_secs(8);
/// nginx, ingest-svc, the broker, push-svc, and this process.
const HOPS: u32 = 5;
/// And a look into a log in PostgreSQL: push-svc, a link, ingest-svc, a link, the server, and back.
const HOPS_OF_DATABASE: u32 = 9;
/// The time between two measurements.
const METER_PERIOD: Duration = Duration::from_millis(20);

/// The fault that delays a ring, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Calm,
    Broker,
    Disk,
    Clock,
    SlowPads,
    ReplicasToLog,
    Ingest,
    Database,
    Pads,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Calm => "calm",
            Self::Broker => "broker",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::SlowPads => "slow pads",
            Self::ReplicasToLog => "replicas to log",
            Self::Ingest => "ingest-svc",
            Self::Database => "database",
            Self::Pads => "pads",
        })
    }
}

impl Class {
    /// The class of a fault that can delay a ring to a pad of this transport; `None`: it cannot.
    fn of(fault: Fault, transport: Transport) -> Option<Self> {
        let native = transport == Transport::Grpc;
        let pads = if matches!(fault, Fault::Delay(..)) { Self::SlowPads } else { Self::Pads };
        match fault {
            Fault::Disk(_) => Some(Self::Disk),
            Fault::Clock(..) => Some(Self::Clock),
            Fault::PowerLoss | Fault::Exit(_) => Some(Self::Ingest),
            Fault::Promotion(_) => Some(Self::Database),
            Fault::MemoryAlarm | Fault::DiskAlarm | Fault::QueueDeleted(_) | Fault::CutOff => {
                Some(Self::Broker)
            }
            Fault::Kill(process) | Fault::Freeze(process) | Fault::Restart(process) => Some(match process {
                Process::Broker => Self::Broker,
                Process::Ingest(_) => Self::Ingest,
                Process::Primary | Process::Standby => Self::Database,
                Process::Push(_) | Process::Nginx => Self::Pads,
            }),
            Fault::Cut(route)
            | Fault::Delay(route, _)
            | Fault::BlackHole(route)
            | Fault::HalfClose(route, _) => match route {
                Route::IngestToBroker(_) | Route::PushToBroker(_) => Some(Self::Broker),
                Route::PushToIngest(..) => Some(Self::ReplicasToLog),
                Route::IngestToDatabase(_) => Some(Self::Ingest),
                Route::StandbyToPrimary => Some(Self::Database),
                Route::NginxToPush(_) => Some(pads),
                Route::PadsToNginx => (!native).then_some(pads),
                Route::GrpcPadsToNginx => native.then_some(pads),
                // A ring that was answered has passed them.
                Route::NginxToIngest(_) | Route::ProviderToNginx => None,
            },
        }
    }

    /// How long a fault of this class counts after its end.
    fn wake(self) -> Duration {
        if self == Self::Pads { RECONNECT } else { WAKE }
    }
}

/// How long a ring that was answered at `accepted` may take to a pad, and the class that allows it.
fn allowed(fault_log: &FaultLog, transport: Transport, accepted: Instant) -> (Class, Duration) {
    let mut allowed = (Class::Calm, CALM);
    loop {
        let due = accepted + allowed.1;
        let on: Vec<_> = fault_log
            .spans()
            .filter_map(|span| Some((Class::of(span.fault, transport)?, span)))
            .filter(|(class, span)| span.was_active(accepted, due, class.wake()))
            .collect();
        let paths = Paths::without(&on, fault_log.store());
        let longest = on.iter().map(|(class, span)| (*class, paths.bound(*class, span, accepted)));
        match longest.max_by_key(|(_, bound)| *bound) {
            Some(longer) if longer.1 > allowed.1 => allowed = longer,
            _ => return allowed,
        }
    }
}

/// Which paths to the pads faults leave.
struct Paths {
    store: Store,
    no_bus: bool,
    /// Of each ingest-svc, either it or a replica's connection to it is at fault.
    no_log: bool,
    /// An ingest-svc may not publish what it has accepted.
    is_unpublished: bool,
}

impl Paths {
    fn without(on: &[(Class, &FaultSpan)], store: Store) -> Self {
        let of_ingest = |(class, span): &(Class, &FaultSpan)| match (class, span.fault.route()) {
            (Class::ReplicasToLog, Some(Route::PushToIngest(_, number))) => Some(number),
            (Class::Ingest, _) => match span.fault.blocks() {
                Blocked::Ingest(number) => Some(number),
                Blocked::Nobody | Blocked::All => None,
            },
            _ => None,
        };
        let gone: BTreeSet<_> = on.iter().filter_map(of_ingest).collect();
        let has = |wanted| on.iter().any(|(class, _)| *class == wanted);
        Self {
            store,
            no_bus: has(Class::Broker),
            no_log: gone.len() == store.ingests(),
            is_unpublished: store == Store::Postgres && has(Class::Ingest),
        }
    }

    fn bound(&self, class: Class, span: &FaultSpan, accepted: Instant) -> Duration {
        let over = span.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(accepted));
        match class {
            Class::Calm => CALM,
            Class::Broker | Class::Disk | Class::Clock | Class::SlowPads => LIVE,
            Class::ReplicasToLog if !self.no_bus && !self.is_unpublished => LIVE,
            Class::Ingest | Class::ReplicasToLog => match (self.store, self.no_log) {
                (Store::Sqlite, _) => over + LIVE,
                (Store::Postgres, true) => over + TAKE_OVER,
                (Store::Postgres, false) => TAKE_OVER,
            },
            Class::Database => over + RENEWED,
            Class::Pads => over + RECONNECT,
        }
    }
}

/// The rings of one class.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Rings {
    pub(super) count: usize,
    /// Late by more than the margin.
    pub(super) late: usize,
    /// Late by no more than the margin.
    pub(super) excused: usize,
    pub(super) longest: Duration,
}

/// Judges each ring by its class, and describes those that are late.
pub(super) fn judge(
    delays: &[Delay],
    fault_log: &FaultLog,
    stalls: &Stalls,
) -> (BTreeMap<Class, Rings>, Vec<String>) {
    let (mut classes, mut wrongs) = (BTreeMap::<Class, Rings>::new(), Vec::new());
    let hops = match fault_log.store() {
        Store::Sqlite => HOPS,
        Store::Postgres => HOPS + HOPS_OF_DATABASE,
    };
    for delay in delays {
        let transport = Transport::ALL[delay.pad % Transport::ALL.len()];
        let (class, allowed) = match allowed(fault_log, transport, delay.accepted) {
            // Without a fault of the replicas or of the connection to them, a pad with a new token is back immediately.
            (class, allowed) if class > Class::Disk && delay.came_back => (Class::Pads, allowed + RECONNECT),
            allowed => allowed,
        };
        let rings = classes.entry(class).or_default();
        rings.count += 1;
        rings.longest = rings.longest.max(delay.took);
        if delay.took <= allowed {
            continue;
        }
        let until = delay.accepted + delay.took;
        let margin = hops * stalls.longest(delay.accepted, until);
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
            fault_log.during(delay.accepted, until),
        ));
    }
    (classes, wrongs)
}

/// When this process waited for a core, and for how long.
#[derive(Debug, Default, Clone)]
pub(super) struct Stalls(Vec<(Instant, Duration)>);

impl Stalls {
    /// The longest wait that began or ended between the two.
    fn longest(&self, from: Instant, until: Instant) -> Duration {
        // A wait is recorded when it is over.
        let within = self.0.iter().filter(|(over, length)| *over >= from && *over <= until + *length);
        within.map(|(_, length)| *length).max().unwrap_or_default()
    }
}

/// Measures how long a task waits for a core, until it is dropped.
#[derive(Debug)]
pub(super) struct StallMeter {
    stalls: Arc<Mutex<Stalls>>,
    task: JoinHandle<()>,
}

impl StallMeter {
    pub(super) fn start() -> Self {
        let stalls = Arc::<Mutex<Stalls>>::default();
        let noted = Arc::clone(&stalls);
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + METER_PERIOD;
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

impl Drop for StallMeter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
