//! The events that are still to be published. They come from the writer, and from the log if some of them did not come from the
//! writer (after a restart, or when the relay was slow). Pure: no I/O, and the time is an argument.
//!
//! ```text
//! writer ─► fresh ─┐
//!                  ├─► next message      the older one goes first; fresh events that are newer than what is being read wait for it,
//!    log ─► read ──┘                     but only as long as `HOLD`
//! ```
//!
//! Each lane is in commit order. The log is read when no older event waits, one page at a time. If the log answers late, an event of it comes after a fresh one of its store; then hubs wait for it,
//! or read the log.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use ringpad_bus::{Batch, Event};

use crate::{
    capacity::RelayCapacity,
    log::{Committed, Extent},
};

/// For how long fresh events wait for older ones that have to be read, so that all are in order.
const HOLD: Duration = Duration::from_millis(100);

/// A waiting event, or a hint about a store, which has no event key.
#[derive(Debug, Clone)]
struct QueuedEvent {
    key: Option<u64>,
    expires: Instant,
    event: Event,
}

/// Where events wait.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Source {
    #[default]
    Writer,
    Log,
}

/// The events of one message.
#[derive(Debug, Default)]
pub(super) struct OutgoingMessage {
    pub(super) events: Vec<Event>,
    keys: Vec<(Option<u64>, Instant)>,
    source: Source,
    /// When it was published; not set for a canary.
    pub(super) sent_at: Option<SystemTime>,
}

impl OutgoingMessage {
    /// The first event key in it; `None` for a canary, or if it has only hints.
    fn first_key(&self) -> Option<u64> {
        self.keys.iter().find_map(|(key, _)| *key)
    }
}

/// The next message, and what did not get into it.
#[derive(Debug, Default)]
pub(super) struct NextMessage {
    /// To be sent; `None`: nothing waits.
    pub(super) message: Option<OutgoingMessage>,
    /// The store of each event that was too old to be sent.
    pub(super) expired: Vec<String>,
    /// How many events were too large; the message has hints instead.
    pub(super) too_large: u64,
}

/// Waiting events of one source, in commit order.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<QueuedEvent>,
    bytes: usize,
}

impl Lane {
    fn push(&mut self, queued: QueuedEvent) {
        self.bytes += queued.event.size();
        self.waiting.push_back(queued);
    }

    fn first_key(&self) -> Option<u64> {
        self.waiting.iter().find_map(|queued| queued.key)
    }
}

/// Events that did not come from the writer, and are to be read from the log.
#[derive(Debug)]
struct Gap {
    keys: RangeInclusive<u64>,
    /// When it began, or when all hubs have compared with the log since then.
    since: Instant,
    /// When the log was first asked; `None`: older events still have to be sent.
    asked: Option<Instant>,
}

/// The queue of events to be published.
#[derive(Debug)]
pub(super) struct Backlog {
    fresh: Lane,
    read: Lane,
    gap: Option<Gap>,
    /// The event key that the writer's next commit should have.
    next_key: u64,
    ttl: Duration,
    capacity: RelayCapacity,
    /// The most bytes of events in one message, once the broker has refused a larger one.
    largest: Option<usize>,
}

impl Backlog {
    /// A backlog that begins after the event key `handled`. An event is published for up to `ttl`.
    pub(super) fn new(handled: u64, ttl: Duration, capacity: RelayCapacity) -> Self {
        let (fresh, read) = (Lane::default(), Lane::default());
        Self { fresh, read, gap: None, next_key: handled + 1, ttl, capacity, largest: None }
    }

    /// Takes over a commit. If events before it are missing, or it has no room, they are read from the log.
    pub(super) fn take(&mut self, committed: Committed) {
        let last = committed.last_key();
        if last < self.next_key || !self.has_room() {
            return;
        }
        self.miss(committed.first_key - 1, committed.at);
        let expires = committed.at + self.ttl;
        let known = (self.next_key - committed.first_key) as usize;
        let keys = committed.first_key..;
        for (key, event) in keys.zip(committed.events).skip(known) {
            self.fresh.push(QueuedEvent { key: Some(key), expires, event });
        }
        self.next_key = last + 1;
    }

    /// The writer has committed events up to this key, and hands over no more of them.
    pub(super) fn miss(&mut self, last: u64, now: Instant) {
        if last < self.next_key {
            return;
        }
        self.gap = Some(match self.gap.take() {
            // What came in between is read and sent again, and hubs know it by its position.
            Some(gap) => Gap { keys: *gap.keys.start()..=last, ..gap },
            None => Gap { keys: self.next_key..=last, since: now, asked: None },
        });
        self.next_key = last + 1;
    }

    /// The event keys that have to be read from the log now, and the largest age of their events. Those that have become too old
    /// since the gap is known are among them, so that hubs are told of their stores.
    pub(super) fn next_read(&mut self, now: Instant) -> Option<(RangeInclusive<u64>, Duration)> {
        let older = self.fresh.first_key();
        let gap = self.gap.as_mut().filter(|_| self.read.waiting.is_empty())?;
        if older.is_some_and(|older| older < *gap.keys.start()) {
            return None;
        }
        gap.asked.get_or_insert(now);
        Some((gap.keys.clone(), self.ttl + now.saturating_duration_since(gap.since)))
    }

    /// Takes over what was read of these keys: events with their age, and whether there are more.
    pub(super) fn take_read(
        &mut self,
        keys: &RangeInclusive<u64>,
        events: Vec<(u64, Duration, Event)>,
        extent: Extent,
        now: Instant,
    ) {
        let Some(gap) = self.gap.take() else { return };
        let mut first = *gap.keys.start();
        for (key, age, event) in events {
            if (first..=*gap.keys.end()).contains(&key) {
                let expires = now + self.ttl.saturating_sub(age);
                self.read.push(QueuedEvent { key: Some(key), expires, event });
                first = key + 1;
            }
        }
        if extent == Extent::Whole {
            first = first.max(keys.end() + 1);
        }
        let left = first..=*gap.keys.end();
        self.gap = (!left.is_empty()).then_some(Gap { keys: left, ..gap });
    }

    /// All hubs compare their stores with the log now, because a new connection has begun.
    pub(super) fn begin_connection(&mut self, now: Instant) {
        if let Some(gap) = &mut self.gap {
            gap.since = now;
        }
    }

    /// Queues a hint about a changed store.
    pub(super) fn take_hint(&mut self, event: Event, now: Instant) {
        self.fresh.push(QueuedEvent { key: None, expires: now + self.ttl, event });
    }

    /// The broker refuses messages of more bytes.
    pub(super) fn limit_messages(&mut self, bytes: usize) {
        let largest = bytes.saturating_sub(Batch::OVERHEAD);
        self.largest = Some(self.largest.map_or(largest, |known| known.min(largest)));
    }

    /// Whether the writer's next commit can be taken over.
    pub(super) fn has_room(&self) -> bool {
        self.fresh.waiting.len() < self.capacity.events && self.fresh.bytes < self.capacity.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.waiting.len() + self.read.waiting.len()
    }

    /// The bytes of the waiting events.
    pub(super) fn bytes(&self) -> usize {
        self.fresh.bytes + self.read.bytes
    }

    /// Whether nothing waits, here or in the log, if events up to `newest` are committed.
    pub(super) fn is_empty(&self, newest: u64) -> bool {
        self.len() == 0 && self.gap.is_none() && self.next_key > newest
    }

    /// Makes the next message.
    pub(super) fn next_message(&mut self, now: Instant) -> NextMessage {
        let mut next = NextMessage::default();
        let is_fresh_older = match (self.fresh.first_key(), self.read.first_key()) {
            (Some(fresh), Some(read)) => fresh < read,
            (_, read) => read.is_none(),
        };
        let order =
            if is_fresh_older { [Source::Writer, Source::Log] } else { [Source::Log, Source::Writer] };
        for source in order {
            if next.message.is_none() {
                self.fill(&mut next, source, now);
            }
        }
        next
    }

    /// Until when fresh events wait for the log's answer, if it was asked and they do.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.gap.as_ref().and_then(|gap| gap.asked).map(|asked| asked + HOLD).filter(|until| *until > now)
    }

    /// The key that fresh events must be older than to be sent now; `None`: all can be sent.
    fn fresh_before(&self, now: Instant) -> Option<u64> {
        let waits = |gap: &&Gap| gap.asked.is_none_or(|asked| asked + HOLD > now);
        let unread = self.gap.as_ref().filter(waits).map(|gap| *gap.keys.start());
        [self.read.first_key(), unread].into_iter().flatten().min()
    }

    /// Fills a message from one lane.
    fn fill(&mut self, next: &mut NextMessage, source: Source, now: Instant) {
        let most = self.largest.unwrap_or(usize::MAX).min(self.capacity.message_bytes);
        let (longest, largest) = (self.capacity.message_events, self.largest);
        let (mut message, mut bytes) = (OutgoingMessage { source, ..OutgoingMessage::default() }, 0);
        let before = if source == Source::Writer { self.fresh_before(now) } else { None };
        let lane = self.lane(source);
        while message.events.len() < longest
            && let Some(QueuedEvent { key, expires, event }) = lane.waiting.front_mut()
        {
            if key.zip(before).is_some_and(|(key, before)| key > before) {
                break;
            }
            let waiting = event.size();
            if *expires <= now {
                // A hint that is too old is not needed: all hubs have compared with the log since then, on a new connection.
                if key.is_some() {
                    next.expired.push(std::mem::take(&mut event.store_id));
                }
                lane.bytes -= waiting;
                lane.waiting.pop_front();
                continue;
            }
            if largest.is_some_and(|largest| waiting > largest) && event.position > 0 {
                (event.position, event.bytes, event.receipt) = (0, Bytes::new(), None);
                next.too_large += 1;
            }
            let size = event.size();
            if !message.events.is_empty() && bytes + size > most {
                lane.bytes -= waiting - size;
                break;
            }
            bytes += size;
            lane.bytes -= waiting;
            message.keys.push((*key, *expires));
            message.events.extend(lane.waiting.pop_front().map(|queued| queued.event));
        }
        next.message = (!message.events.is_empty()).then_some(message);
    }

    /// Puts a message back at the front.
    pub(super) fn put_back(&mut self, message: OutgoingMessage) {
        let lane = self.lane(message.source);
        let events = message.keys.into_iter().zip(message.events);
        for ((key, expires), event) in events.rev() {
            lane.bytes += event.size();
            lane.waiting.push_front(QueuedEvent { key, expires, event });
        }
    }

    fn lane(&mut self, source: Source) -> &mut Lane {
        match source {
            Source::Writer => &mut self.fresh,
            Source::Log => &mut self.read,
        }
    }

    /// The event key up to which everything is handled. These messages are still unconfirmed.
    pub(super) fn handled<'a>(&self, unconfirmed: impl Iterator<Item = &'a OutgoingMessage>) -> u64 {
        let unread = self.gap.as_ref().map(|gap| *gap.keys.start());
        let waiting = [unread, self.read.first_key(), self.fresh.first_key()];
        let open = unconfirmed.filter_map(OutgoingMessage::first_key).chain(waiting.into_iter().flatten());
        open.min().unwrap_or(self.next_key) - 1
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
