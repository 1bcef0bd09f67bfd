//! Whose signs of life come over the bus. Pure: it does no I/O, and takes the time as an argument.
//!
//! Each ingest-svc of our log says something every second, and goodbye when it leaves. One that was heard and then falls
//! silent may have accepted what it cannot publish, however many others are heard. Messages of another log (another
//! installation on our exchange, an old ingest-svc that was left running) say nothing about ours.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};

use ringpad_bus::{Head, Origin};
use tokio::time::Instant;
use uuid::Uuid;

/// How long an ingest-svc may say nothing before it counts as silent: three of its signs of life.
pub(super) const SILENT: Duration = Duration::from_secs(3);
/// How long after its last message a silent one is forgotten: by then it is dead, and its successor is heard, or nobody
/// of our log is heard at all.
const GONE: Duration = Duration::from_secs(60);
/// How many are known at a time. Beyond it, the one that was heard longest ago is forgotten.
const INSTANCES: usize = 64;
/// How many other logs are known. Further ones are passed over like these, but without a word.
const OTHER_LOGS: usize = 16;

/// What is known of those who publish on our exchange.
#[derive(Debug)]
pub(crate) struct Publishers {
    /// Our log, once it has said which one it is. Until then nobody is heard.
    log: Option<Uuid>,
    instances: HashMap<Uuid, Instance>,
    other_logs: HashSet<Uuid>,
    /// When this connection was made, or our log became known.
    since: Instant,
    /// When a message of our log last came since then.
    heard: Option<Instant>,
    /// When a message that is none of our log's last came.
    others_heard: Option<Instant>,
}

/// A process that publishes for our log.
#[derive(Debug)]
struct Instance {
    /// Its connection, and the last number there.
    publisher: Uuid,
    number: u64,
    heard: Instant,
    forget_at: Instant,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Our log's. A gap: something before it may be lost.
    Ours {
        /// Its connection is not the last one, or its number is not the next.
        gap: bool,
    },
    /// Another log's, as far as we know. The first of it may also mean that ours was made anew: ask.
    OtherLog {
        /// It was not known before.
        new: bool,
    },
    /// An ingest-svc's of an older version, which does not say its log.
    Unsaid,
}

/// Whether those who publish for our log are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// All of them are.
    All,
    /// Some are, but so many others were and are silent now.
    NotAll(usize),
    /// None is.
    Nobody,
    /// Not all of them are, but we have not listened for long enough to say more.
    TooEarly,
}

impl Publishers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            log: None,
            instances: HashMap::new(),
            other_logs: HashSet::new(),
            since: now,
            heard: None,
            others_heard: None,
        }
    }

    /// There is a new connection. Until they are heard on it, those who are known count as silent; none of them is forgotten
    /// for what could not be heard.
    pub(super) fn connected(&mut self, now: Instant) {
        self.since = now;
        self.heard = None;
        self.others_heard = None;
        for instance in self.instances.values_mut() {
            instance.forget_at = now + GONE;
        }
    }

    /// Takes note of a message; `log` is ours, if it is known.
    pub(crate) fn hear(&mut self, log: Option<Uuid>, head: &Head, now: Instant) -> Heard {
        if self.log != log {
            *self = Self { log, ..Self::new(now) };
        }
        match head.origin {
            Some(origin) if Some(origin.epoch) == log => {
                self.heard = Some(now);
                Heard::Ours { gap: self.hear_ours(origin, head, now) }
            }
            Some(origin) => {
                self.others_heard = Some(now);
                let room = self.other_logs.len() < OTHER_LOGS;
                Heard::OtherLog { new: room && self.other_logs.insert(origin.epoch) }
            }
            None => {
                self.others_heard = Some(now);
                Heard::Unsaid
            }
        }
    }

    /// Whether something before this message may be lost.
    fn hear_ours(&mut self, origin: Origin, head: &Head, now: Instant) -> bool {
        let (publisher, number) = (head.publisher, head.number);
        let said = Instance { publisher, number, heard: now, forget_at: now + GONE };
        self.make_room_for(origin.instance);
        let gap = match self.instances.entry(origin.instance) {
            Entry::Vacant(entry) => {
                entry.insert(said);
                true
            }
            Entry::Occupied(mut entry) => {
                let last = entry.get_mut();
                let same = last.publisher == publisher;
                let gap = !same || number > last.number + 1;
                // A message may be delivered twice.
                let number = if same { number.max(last.number) } else { number };
                *last = Instance { number, ..said };
                gap
            }
        };
        if head.goodbye {
            self.instances.remove(&origin.instance);
        }
        gap
    }

    fn make_room_for(&mut self, instance: Uuid) {
        if self.instances.len() >= INSTANCES && !self.instances.contains_key(&instance) {
            let longest_ago = self.instances.iter().min_by_key(|(_, known)| known.heard).map(|(id, _)| *id);
            longest_ago.and_then(|id| self.instances.remove(&id));
        }
    }

    /// Whether those of our log are heard.
    pub(super) fn hearing(&mut self, now: Instant) -> Hearing {
        self.instances.retain(|_, instance| now < instance.forget_at);
        let anybody = self.heard.is_some_and(|at| now < at + SILENT);
        match self.silent(now) {
            0 if anybody => Hearing::All,
            _ if now < self.since + SILENT => Hearing::TooEarly,
            silent if anybody => Hearing::NotAll(silent),
            _ => Hearing::Nobody,
        }
    }

    /// How many were heard, did not say goodbye, and are silent now.
    pub(super) fn silent(&self, now: Instant) -> usize {
        self.instances.values().filter(|instance| now >= instance.heard + SILENT).count()
    }

    /// When [`hearing`](Self::hearing) changes next, if nothing comes until then.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let of_instances = self.instances.values().flat_map(|known| [known.heard + SILENT, known.forget_at]);
        let of_all = self.heard.into_iter().chain([self.since]).map(|at| at + SILENT);
        of_instances.chain(of_all).filter(|at| *at > now).min()
    }

    /// Since when nobody of our log is heard on this connection.
    pub(super) fn quiet_since(&self) -> Instant {
        self.heard.unwrap_or(self.since)
    }

    /// Whether messages come that are none of our log's.
    pub(super) fn hears_others(&self, now: Instant) -> bool {
        self.others_heard.is_some_and(|at| now < at + SILENT)
    }
}

#[cfg(test)]
mod tests;
