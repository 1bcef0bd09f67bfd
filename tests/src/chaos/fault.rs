//! What can go wrong: the faults, and what each of them strikes.

use std::{fmt, time::Duration};

use crate::{link::Direction, machine};

/// Replicas of push-svc in the run.
pub const REPLICAS: usize = 3;

/// A process that faults strike.
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
    /// The broker takes no more messages, since it has no memory left.
    MemoryAlarm,
    /// The broker takes no more messages, since its disk is full.
    DiskAlarm,
    /// `kill -9` of ingest-svc; what it had written and not flushed is gone when it is started again.
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
    /// Only ingest-svc cannot reach the broker, while another installation on the same exchange continues.
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

/// What a fault strikes. No two faults strike the same target at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Process(Process),
    Route(Route),
    Clock(Process),
}

impl Fault {
    /// Whether it strikes only the broker, or a connection to it.
    pub fn is_the_brokers(self) -> bool {
        match self.target() {
            Target::Process(process) => process == Process::Broker,
            Target::Route(route) => route.touches_broker(),
            Target::Clock(_) => false,
        }
    }

    /// Whether it strikes something between the provider and the log.
    pub fn touches_provider(self) -> bool {
        match self.target() {
            Target::Process(process) => matches!(process, Process::Ingest | Process::Nginx),
            Target::Route(route) => matches!(route, Route::ProviderToNginx | Route::NginxToIngest),
            Target::Clock(_) => false,
        }
    }

    /// How far it puts ingest-svc's clock ahead.
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

    pub(super) fn target(self) -> Target {
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

    /// How long what it strikes may need to work again.
    pub(super) fn recovery(self) -> Duration {
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
            Self::HalfClose(route, direction) => write!(f, "{} {route:?} {direction:?}", self.kind()),
            Self::CutOff => f.write_str("Ingest alone cut off from the broker"),
        }
    }
}
