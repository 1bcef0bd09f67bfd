//! Which instances of ingest-svc are alive on the bus. Pure: it does no I/O, and takes the time as an argument.
//!
//! Each instance of our log sends a message every second, and a goodbye when it leaves. One that was alive and becomes
//! silent may have accepted records that it cannot publish, even if all others are alive. Messages of another log (another
//! installation on our exchange, an old ingest-svc that was left running) say nothing about our log.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};

use ringpad_bus::{Head, Origin};
use tokio::time::Instant;
use uuid::Uuid;

use crate::capacity::PublisherCapacity;

/// After how long without a message an instance is silent: three canaries.
pub(super) const SILENT: Duration = Duration::from_secs(3);
/// How long after its last message a silent instance is forgotten. By then it has ended, and either its successor is alive
/// or no instance of our log is.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The instances that publish on our exchange.
#[derive(Debug)]
pub(crate) struct Publishers {
    capacity: PublisherCapacity,
    /// The epoch of our log, once it has answered. Until then no instance counts as ours.
    log: Option<Uuid>,
    instances: HashMap<Uuid, Instance>,
    other_logs: HashSet<Uuid>,
    /// When this connection was made, or our log became known.
    since: Instant,
    /// When the last message of our log came since then.
    last_received: Option<Instant>,
    /// When the last message came that is not of our log.
    other_last_received: Option<Instant>,
}

/// A process of ingest-svc that publishes for our log.
#[derive(Debug)]
struct Instance {
    /// Its connection, and the number of its last message there.
    publisher: Uuid,
    number: u64,
    last_received: Instant,
    forget_at: Instant,
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageSource {
    /// Our log.
    OurLog {
        /// Its connection is not the last one, or its number is not the next: a message before it may be lost.
        gap: bool,
    },
    /// Another log, as far as we know. If it is new, our own log may have been replaced: ask it.
    OtherLog {
        /// It was not known before.
        new: bool,
    },
    /// An older version of ingest-svc, whose messages do not name their log.
    OlderVersion,
}

/// Whether the instances of our log are alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// All of them are.
    AllAlive,
    /// Some are, and this many are silent.
    SomeSilent(usize),
    /// None is.
    NoneAlive,
    /// Not all of them are, but the connection is too young to say more.
    TooEarly,
}

impl Publishers {
    pub(crate) fn new(capacity: PublisherCapacity, now: Instant) -> Self {
        Self {
            capacity,
            log: None,
            instances: HashMap::new(),
            other_logs: HashSet::new(),
            since: now,
            last_received: None,
            other_last_received: None,
        }
    }

    /// There is a new connection. Known instances count as silent until a message of theirs comes over it. The time without a
    /// connection does not count towards forgetting them.
    pub(super) fn connected(&mut self, now: Instant) {
        self.since = now;
        self.last_received = None;
        self.other_last_received = None;
        for instance in self.instances.values_mut() {
            instance.forget_at = now + FORGET_AFTER;
        }
    }

    /// Records a message; `log` is the epoch of our log, if it is known.
    pub(crate) fn receive(&mut self, log: Option<Uuid>, head: &Head, now: Instant) -> MessageSource {
        if self.log != log {
            *self = Self { log, ..Self::new(self.capacity, now) };
        }
        match head.origin {
            Some(origin) if Some(origin.epoch) == log => {
                self.last_received = Some(now);
                MessageSource::OurLog { gap: self.receive_ours(origin, head, now) }
            }
            Some(origin) => {
                self.other_last_received = Some(now);
                let room = self.other_logs.len() < self.capacity.other_logs;
                MessageSource::OtherLog { new: room && self.other_logs.insert(origin.epoch) }
            }
            None => {
                self.other_last_received = Some(now);
                MessageSource::OlderVersion
            }
        }
    }

    /// Whether a message before this one may be lost.
    fn receive_ours(&mut self, origin: Origin, head: &Head, now: Instant) -> bool {
        let (publisher, number) = (head.publisher, head.number);
        let instance = Instance { publisher, number, last_received: now, forget_at: now + FORGET_AFTER };
        self.make_room_for(origin.instance);
        let gap = match self.instances.entry(origin.instance) {
            Entry::Vacant(entry) => {
                entry.insert(instance);
                true
            }
            Entry::Occupied(mut entry) => {
                let last = entry.get_mut();
                let same = last.publisher == publisher;
                let gap = !same || number > last.number + 1;
                // A message may be delivered twice.
                let number = if same { number.max(last.number) } else { number };
                *last = Instance { number, ..instance };
                gap
            }
        };
        if head.goodbye {
            self.instances.remove(&origin.instance);
        }
        gap
    }

    fn make_room_for(&mut self, instance: Uuid) {
        if self.instances.len() >= self.capacity.instances && !self.instances.contains_key(&instance) {
            let oldest =
                self.instances.iter().min_by_key(|(_, known)| known.last_received).map(|(id, _)| *id);
            oldest.and_then(|id| self.instances.remove(&id));
        }
    }

    /// Whether the instances of our log are alive.
    pub(super) fn liveness(&mut self, now: Instant) -> Liveness {
        self.instances.retain(|_, instance| now < instance.forget_at);
        let any_alive = self.last_received.is_some_and(|at| now < at + SILENT);
        match self.silent_count(now) {
            0 if any_alive => Liveness::AllAlive,
            _ if now < self.since + SILENT => Liveness::TooEarly,
            silent if any_alive => Liveness::SomeSilent(silent),
            _ => Liveness::NoneAlive,
        }
    }

    /// How many instances were alive, sent no goodbye, and are silent now.
    pub(super) fn silent_count(&self, now: Instant) -> usize {
        self.instances.values().filter(|instance| now >= instance.last_received + SILENT).count()
    }

    /// When [`liveness`](Self::liveness) changes next, if no message comes until then.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let of_instances =
            self.instances.values().flat_map(|known| [known.last_received + SILENT, known.forget_at]);
        let of_all = self.last_received.into_iter().chain([self.since]).map(|at| at + SILENT);
        of_instances.chain(of_all).filter(|at| *at > now).min()
    }

    /// Since when no message of our log has come over this connection.
    pub(super) fn silent_since(&self) -> Instant {
        self.last_received.unwrap_or(self.since)
    }

    /// Whether messages come that are not of our log.
    pub(super) fn receives_others(&self, now: Instant) -> bool {
        self.other_last_received.is_some_and(|at| now < at + SILENT)
    }
}

#[cfg(test)]
mod tests;
