//! The events that are still to be published, in commit order. They come from the writer, and from the log if some of them did not
//! come from the writer (after a restart, or when the relay was slow). Pure: no I/O, and the time is an argument.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use ringpad_bus::{Batch, Event};

use crate::{capacity::RelayCapacity, log::Committed};

/// A waiting event, or a hint about a store, which has no event key.
#[derive(Debug, Clone)]
struct QueuedEvent {
    key: Option<u64>,
    expires: Instant,
    event: Event,
}

/// The events of one message.
#[derive(Debug, Default)]
pub(super) struct OutgoingMessage {
    pub(super) events: Vec<Event>,
    keys: Vec<(Option<u64>, Instant)>,
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

/// The queue of events to be published.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: VecDeque<QueuedEvent>,
    /// The bytes of the waiting events.
    bytes: usize,
    /// The event key that is expected next.
    next_key: u64,
    ttl: Duration,
    capacity: RelayCapacity,
    /// The most bytes of events in one message, once the broker has refused a larger one.
    largest: Option<usize>,
}

impl Backlog {
    /// A backlog that begins after the event key `handled`. An event is published for up to `ttl`.
    pub(super) fn new(handled: u64, ttl: Duration, capacity: RelayCapacity) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, next_key: handled + 1, ttl, capacity, largest: None }
    }

    /// Takes over a commit. If it does not continue the backlog, or has no room, its events are read from the log later.
    pub(super) fn take(&mut self, committed: Committed) {
        let last = committed.last_key();
        if committed.first_key > self.next_key || last < self.next_key || !self.has_room() {
            return;
        }
        let expires = committed.at + self.ttl;
        let known = (self.next_key - committed.first_key) as usize;
        let keys = committed.first_key..;
        for (key, event) in keys.zip(committed.events).skip(known) {
            self.push(QueuedEvent { key: Some(key), expires, event });
        }
        self.next_key = last + 1;
    }

    /// Takes over events read from the log, with their age.
    pub(super) fn take_from_log(&mut self, events: Vec<(u64, Duration, Event)>, now: Instant) {
        for (key, age, event) in events {
            if key < self.next_key {
                continue;
            }
            let expires = now + self.ttl.saturating_sub(age);
            self.push(QueuedEvent { key: Some(key), expires, event });
            self.next_key = key + 1;
        }
    }

    /// The log has no more events up to this key that are worth publishing.
    pub(super) fn skip_to(&mut self, key: u64) {
        self.next_key = self.next_key.max(key + 1);
    }

    /// Queues a hint about a changed store.
    pub(super) fn take_hint(&mut self, event: Event, now: Instant) {
        self.push(QueuedEvent { key: None, expires: now + self.ttl, event });
    }

    fn push(&mut self, queued: QueuedEvent) {
        self.bytes += queued.event.size();
        self.waiting.push_back(queued);
    }

    /// The broker refuses messages of more bytes.
    pub(super) fn limit_messages(&mut self, bytes: usize) {
        let largest = bytes.saturating_sub(Batch::OVERHEAD);
        self.largest = Some(self.largest.map_or(largest, |known| known.min(largest)));
    }

    /// The event keys that have to be read from the log, if events up to `newest` are committed.
    pub(super) fn missing(&self, newest: u64) -> Option<RangeInclusive<u64>> {
        (self.waiting.is_empty() && self.next_key <= newest).then_some(self.next_key..=newest)
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.capacity.events && self.bytes < self.capacity.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes of the waiting events.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the next message.
    pub(super) fn next_message(&mut self, now: Instant) -> NextMessage {
        let (mut next, mut message, mut bytes) = (NextMessage::default(), OutgoingMessage::default(), 0);
        let most = self.largest.unwrap_or(usize::MAX).min(self.capacity.message_bytes);
        while message.events.len() < self.capacity.message_events
            && let Some(QueuedEvent { key, expires, event }) = self.waiting.front_mut()
        {
            let waiting = event.size();
            if *expires <= now {
                // A hint that is too old is not needed: all hubs have compared with the log since then, on a new connection.
                if key.is_some() {
                    next.expired.push(std::mem::take(&mut event.store_id));
                }
                self.bytes -= waiting;
                self.waiting.pop_front();
                continue;
            }
            if self.largest.is_some_and(|largest| waiting > largest) && event.position > 0 {
                (event.position, event.bytes, event.receipt) = (0, Bytes::new(), None);
                next.too_large += 1;
            }
            let size = event.size();
            if !message.events.is_empty() && bytes + size > most {
                self.bytes -= waiting - size;
                break;
            }
            bytes += size;
            self.bytes -= waiting;
            message.keys.push((*key, *expires));
            message.events.extend(self.waiting.pop_front().map(|queued| queued.event));
        }
        next.message = (!message.events.is_empty()).then_some(message);
        next
    }

    /// Puts a message back at the front.
    pub(super) fn put_back(&mut self, message: OutgoingMessage) {
        let events = message.keys.into_iter().zip(message.events);
        for ((key, expires), event) in events.rev() {
            self.bytes += event.size();
            self.waiting.push_front(QueuedEvent { key, expires, event });
        }
    }

    /// The event key up to which everything is handled. These messages are still unconfirmed, oldest first.
    pub(super) fn handled<'a>(&self, mut unconfirmed: impl Iterator<Item = &'a OutgoingMessage>) -> u64 {
        let first = unconfirmed
            .find_map(OutgoingMessage::first_key)
            .or_else(|| self.waiting.iter().find_map(|event| event.key));
        first.unwrap_or(self.next_key) - 1
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    const CAPACITY: RelayCapacity = RelayCapacity {
        events: 1_000,
        bytes: 1024 * 1024,
        page_events: 100,
        page_bytes: 1024 * 1024,
        message_events: 256,
        message_bytes: 64 * 1024,
        unconfirmed: 4,
    };

    fn backlog_after(handled: u64) -> Backlog {
        Backlog::new(handled, TTL, CAPACITY)
    }

    fn event(position: u64) -> Event {
        Event {
            store_id: "gangnam".to_owned(),
            epoch: Uuid::nil(),
            position,
            bytes: "x".into(),
            receipt: None,
        }
    }

    fn commit(at: Instant, keys: std::ops::RangeInclusive<u64>) -> Committed {
        Committed { first_key: *keys.start(), at, events: keys.map(event).collect() }
    }

    fn positions(message: &OutgoingMessage) -> Vec<u64> {
        message.events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn commits_are_sent_together_and_in_order() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        backlog.take(commit(now, 1..=2));
        backlog.take(commit(now, 3..=3));
        let next = backlog.next_message(now);
        assert_eq!((positions(&next.message.unwrap()), next.expired.len()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn a_gap_is_filled_from_the_log_and_repeated_events_are_sent_once() {
        let now = Instant::now();
        let mut backlog = backlog_after(2);
        backlog.take(commit(now, 5..=6));
        assert_eq!(backlog.missing(6), Some(3..=6));
        let log = (3..=5).map(|key| (key, Duration::ZERO, event(key))).collect();
        backlog.take_from_log(log, now);
        backlog.take(commit(now, 5..=6));
        assert_eq!(backlog.missing(6), None);
        assert_eq!(positions(&backlog.next_message(now).message.unwrap()), [3, 4, 5, 6]);
    }

    #[test]
    fn an_event_that_is_too_old_to_pop_up_counts_as_handled() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        backlog.take(commit(now, 1..=3));
        let next = backlog.next_message(now + TTL);
        assert!(next.message.is_none());
        assert_eq!((next.expired.len(), backlog.handled([].iter())), (3, 3));
    }

    #[test]
    fn unconfirmed_events_are_not_handled() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        backlog.take(commit(now, 1..=2));
        let first = backlog.next_message(now).message.unwrap();
        backlog.take(commit(now, 3..=4));
        assert_eq!(backlog.handled([&first].into_iter()), 0);
        assert_eq!(backlog.handled([].iter()), 2);
        backlog.put_back(first);
        assert_eq!(positions(&backlog.next_message(now).message.unwrap()), [1, 2, 3, 4]);
        assert_eq!(backlog.handled([].iter()), 4);
    }

    #[test]
    fn memory_is_bounded_and_further_events_stay_in_the_log() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        let full = CAPACITY.events as u64;
        backlog.take(commit(now, 1..=full));
        backlog.take(commit(now, full + 1..=full + 5));
        assert!(!backlog.has_room());
        while backlog.next_message(now).message.is_some() {}
        assert_eq!(backlog.missing(full + 5), Some(full + 1..=full + 5));
    }

    fn long(position: u64, bytes: usize) -> Event {
        Event { bytes: vec![7; bytes].into(), ..event(position) }
    }

    fn long_commit(at: Instant, bytes: impl IntoIterator<Item = usize>) -> Committed {
        Committed {
            first_key: 1,
            at,
            events: (1..).zip(bytes).map(|(key, bytes)| long(key, bytes)).collect(),
        }
    }

    fn size(message: &OutgoingMessage) -> usize {
        message.events.iter().map(Event::size).sum()
    }

    /// All waiting events, message by message.
    fn messages(backlog: &mut Backlog, now: Instant) -> Vec<OutgoingMessage> {
        std::iter::from_fn(|| backlog.next_message(now).message).collect()
    }

    #[test]
    fn a_message_is_bounded_in_bytes_and_a_larger_event_is_sent_alone() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        let third = CAPACITY.message_bytes / 3;
        backlog.take(long_commit(now, [third, third, third, 2 * CAPACITY.message_bytes, 10, 10]));
        let sent: Vec<_> = messages(&mut backlog, now).iter().map(positions).collect();
        assert_eq!(sent, [vec![1, 2], vec![3], vec![4], vec![5, 6]]);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn memory_is_bounded_in_bytes() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        backlog.take(long_commit(now, std::iter::repeat_n(CAPACITY.bytes / 4, 4)));
        assert!(!backlog.has_room());
        backlog.take(commit(now, 5..=5));
        assert_eq!(backlog.len(), 4);
        let sent = messages(&mut backlog, now);
        assert!(backlog.has_room() && backlog.bytes() == 0);
        sent.into_iter().rev().for_each(|message| backlog.put_back(message));
        assert!(!backlog.has_room() && backlog.bytes() > CAPACITY.bytes);
        assert_eq!(backlog.next_message(now + TTL).expired.len(), 4);
        assert_eq!((backlog.bytes(), backlog.missing(5)), (0, Some(5..=5)));
    }

    #[test]
    fn messages_respect_the_brokers_limit_and_larger_events_become_hints() {
        let now = Instant::now();
        let mut backlog = backlog_after(0);
        backlog.take(long_commit(now, [100, 100, 100, 5_000, 100]));
        let refused = backlog.next_message(now).message.unwrap();
        backlog.put_back(refused);
        backlog.limit_messages(500);
        let mut sent = Vec::new();
        let mut too_large = 0;
        loop {
            let next = backlog.next_message(now);
            too_large += next.too_large;
            let Some(message) = next.message else { break };
            assert!(size(&message) + Batch::OVERHEAD <= 500);
            // The event of a hint becomes handled like any other.
            assert_eq!(backlog.handled([&message].into_iter()) + 1, message.first_key().unwrap());
            sent.push(positions(&message));
        }
        assert_eq!(sent.concat(), [1, 2, 3, 0, 5]);
        assert_eq!((too_large, backlog.bytes(), backlog.handled([].iter())), (1, 0, 5));
        // A higher limit is not used, and an expired one is not forgotten.
        backlog.limit_messages(50_000);
        backlog.take_hint(long(0, 0), now);
        backlog.take_from_log(vec![(6, Duration::ZERO, long(6, 5_000))], now);
        assert_eq!(backlog.next_message(now).too_large, 1);
    }
}
