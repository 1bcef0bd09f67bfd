//! What can go wrong: the faults, and what each of them strikes.

use std::{fmt, str::FromStr, time::Duration};

use crate::{link::Direction, machine};

/// Replicas of push-svc in the run.
pub const REPLICAS: usize = 3;

/// Where the log is, and with it which processes the run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// In a file of the one ingest-svc.
    #[default]
    Sqlite,
    /// In a PostgreSQL primary with a synchronous standby, which two ingest-svc share.
    Postgres,
}

impl Store {
    /// How many ingest-svc the run has.
    pub fn ingests(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 2,
        }
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ => Err(format!("{text:?} is not sqlite or postgres")),
        }
    }
}

/// A process that faults strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// RabbitMQ.
    Broker,
    /// An ingest-svc.
    Ingest(usize),
    /// A replica of push-svc.
    Push(usize),
    /// The load balancer.
    Nginx,
    /// The PostgreSQL server that takes writes.
    Primary,
    /// The PostgreSQL server for which each commit of the primary waits.
    Standby,
}

/// The network between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// An ingest-svc's connections to the broker.
    IngestToBroker(usize),
    /// An ingest-svc's connections to both servers of the database.
    IngestToDatabase(usize),
    /// The standby's connection to the primary, whichever of the servers that is.
    StandbyToPrimary,
    /// A replica's connections to the broker.
    PushToBroker(usize),
    /// A replica's connections to an ingest-svc.
    PushToIngest(usize, usize),
    /// nginx's connections to a replica.
    NginxToPush(usize),
    /// nginx's connections to an ingest-svc.
    NginxToIngest(usize),
    /// The number provider's connections to nginx.
    ProviderToNginx,
    /// The pads' connections to nginx, with gRPC-Web and WebSocket.
    PadsToNginx,
    /// The pads' connections to nginx, with native gRPC.
    GrpcPadsToNginx,
}

impl Route {
    /// All of a run.
    pub fn all(store: Store) -> Vec<Self> {
        let of_ingest = |route: fn(usize) -> Self| (0..store.ingests()).map(route);
        let of_push = |route: fn(usize) -> Self| (0..REPLICAS).map(route);
        let mut all: Vec<_> = of_ingest(Self::IngestToBroker).chain(of_ingest(Self::NginxToIngest)).collect();
        all.extend([Self::ProviderToNginx, Self::PadsToNginx, Self::GrpcPadsToNginx]);
        all.extend(of_push(Self::PushToBroker));
        for ingest in 0..store.ingests() {
            all.extend((0..REPLICAS).map(|replica| Self::PushToIngest(replica, ingest)));
        }
        all.extend(of_push(Self::NginxToPush));
        if store == Store::Postgres {
            all.extend(of_ingest(Self::IngestToDatabase).chain([Self::StandbyToPrimary]));
        }
        all
    }

    fn touches_broker(self) -> bool {
        matches!(self, Self::IngestToBroker(_) | Self::PushToBroker(_))
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
    /// The broker takes no more messages, since it has no memory left.
    MemoryAlarm,
    /// The broker takes no more messages, since its disk is full.
    DiskAlarm,
    /// `kill -9` of the one ingest-svc; what it had written and not flushed is gone when it is started again.
    PowerLoss,
    /// The log's disk is faulty.
    Disk(Disk),
    /// A process's wall clock jumps by so many seconds, and later back.
    Clock(Process, i64),
    /// A replica's private queue is deleted while the replica uses it.
    QueueDeleted(usize),
    /// All connections are reset.
    Cut(Route),
    /// Everything takes so much longer.
    Delay(Route, Duration),
    /// Nothing passes, and no connection ends.
    BlackHole(Route),
    /// One direction of all connections ends.
    HalfClose(Route, Direction),
    /// Only the first ingest-svc cannot reach the broker, while others on the same exchange continue.
    CutOff,
    /// The primary is lost, and its standby becomes the primary. The lost one is made a standby of it afterwards.
    Promotion(Lost),
    /// An ingest-svc has ended by itself, which is a failure of the run, and is started again. Noted, not injected.
    Exit(usize),
}

/// How the primary is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// `kill -9`: nothing listens at its address.
    Killed,
    /// SIGSTOP: its address accepts connections, and does not answer.
    Frozen,
}

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Each flush takes so much longer.
    Slow(Duration),
    /// It does what a faulty disk does.
    Faulty(machine::Disk),
}

/// What a fault strikes. No two faults strike the same target at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Process(Process),
    Route(Route),
    Clock(Process),
    /// Both servers, and the connection between them: each commit needs all of it.
    Database,
}

/// Whom a fault keeps from taking a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocked {
    Nobody,
    /// One ingest-svc: nginx tries the next one.
    Ingest(usize),
    /// Every ingest-svc, or the way to all of them.
    All,
}

impl Fault {
    /// Whether it strikes only the broker, or a connection to it.
    pub fn is_the_brokers(self) -> bool {
        match self.target() {
            Target::Process(process) => process == Process::Broker,
            Target::Route(route) => route.touches_broker(),
            Target::Clock(_) | Target::Database => false,
        }
    }

    /// Whom it keeps from taking a record: what it strikes is between the provider and the log.
    pub(super) fn blocks(self) -> Blocked {
        match self.target() {
            // It has to serve: its exit excuses nothing.
            _ if matches!(self, Self::Clock(..) | Self::Exit(_)) => Blocked::Nobody,
            Target::Process(Process::Ingest(number))
            | Target::Route(Route::NginxToIngest(number) | Route::IngestToDatabase(number)) => {
                Blocked::Ingest(number)
            }
            Target::Process(Process::Nginx) | Target::Route(Route::ProviderToNginx) | Target::Database => {
                Blocked::All
            }
            Target::Process(_) | Target::Route(_) | Target::Clock(_) => Blocked::Nobody,
        }
    }

    /// How far it puts an ingest-svc's clock ahead.
    pub fn clock_ahead(self) -> Duration {
        match self {
            Self::Clock(Process::Ingest(_), ahead) => {
                Duration::from_secs(ahead.try_into().unwrap_or_default())
            }
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
            Self::Promotion(_) => "promotion",
            Self::Exit(_) => "exit",
        }
    }

    /// The connections that it strikes.
    pub(super) fn route(self) -> Option<Route> {
        match self {
            Self::Cut(route) | Self::Delay(route, _) | Self::BlackHole(route) | Self::HalfClose(route, _) => {
                Some(route)
            }
            Self::CutOff => Some(Route::IngestToBroker(0)),
            _ => None,
        }
    }

    pub(super) fn target(self) -> Target {
        if let Some(route) = self.route() {
            return if route == Route::StandbyToPrimary { Target::Database } else { Target::Route(route) };
        }
        match self {
            Self::Kill(process) | Self::Freeze(process) | Self::Restart(process) => match process {
                Process::Primary | Process::Standby => Target::Database,
                process => Target::Process(process),
            },
            Self::PowerLoss | Self::Disk(_) => Target::Process(Process::Ingest(0)),
            Self::Exit(number) => Target::Process(Process::Ingest(number)),
            Self::Clock(Process::Primary, _) | Self::Promotion(_) => Target::Database,
            Self::Clock(process, _) => Target::Clock(process),
            // Those of a route are above.
            _ => Target::Process(Process::Broker),
        }
    }

    /// How long what it strikes may need to work again.
    pub(super) fn recovery(self) -> Duration {
        match self.target() {
            Target::Process(Process::Broker) if matches!(self, Self::Kill(_) | Self::Restart(_)) => {
                Duration::from_secs(12)
            }
            // Until the lost server is a standby.
            Target::Database if matches!(self, Self::Promotion(_)) => Duration::from_secs(16),
            Target::Process(_) | Target::Database => Duration::from_secs(4),
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
            Self::Promotion(Lost::Killed) => f.write_str("promotion after a kill"),
            Self::Promotion(Lost::Frozen) => f.write_str("promotion after a freeze"),
            Self::Disk(Disk::Slow(by)) => write!(f, "disk slower by {by:?}"),
            Self::Disk(Disk::Faulty(how)) => write!(f, "disk {how:?}"),
            Self::Clock(process, ahead) => write!(f, "clock of {process:?} jumps by {ahead} s"),
            Self::QueueDeleted(replica) => write!(f, "{} of Push({replica})", self.kind()),
            Self::Cut(route) | Self::BlackHole(route) => write!(f, "{} {route:?}", self.kind()),
            Self::Delay(route, delay) => write!(f, "{} {route:?} by {delay:?}", self.kind()),
            Self::HalfClose(route, direction) => write!(f, "{} {route:?} {direction:?}", self.kind()),
            Self::CutOff => f.write_str("Ingest(0) alone cut off from the broker"),
            Self::Exit(number) => write!(f, "{} of Ingest({number})", self.kind()),
        }
    }
}
