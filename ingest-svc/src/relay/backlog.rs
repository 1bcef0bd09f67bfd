//! What is still to be published, in commit order: fed by what the writer hands over, and by the log where the hand-over
//! has a gap (after a restart, or when the relay was behind). Pure: it does no I/O, and takes the time as an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use ringpad_bus::Event;

use crate::log::Committed;

/// Events in memory. Beyond it, the log is the queue.
const CAPACITY: usize = 10_000;

/// Events in one message. With a backlog, one confirm serves many.
const MESSAGE: usize = 256;

/// An event on its way, or a hint about a store, which has no key.
#[derive(Debug, Clone)]
struct Outgoing {
    key: Option<u64>,
    expires: Instant,
    event: Event,
}

/// What goes out as one message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) events: Vec<Event>,
    keys: Vec<(Option<u64>, Instant)>,
    /// When it was published; a sign of life does not note it.
    pub(super) sent_at: Option<SystemTime>,
}

impl Message {
    /// The first key in it; `None` in a sign of life, and in a hint alone.
    fn first_key(&self) -> Option<u64> {
        self.keys.iter().find_map(|(key, _)| *key)
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: VecDeque<Outgoing>,
    /// The key that is to be taken into memory next.
    next_key: u64,
    ttl: Duration,
}

impl Backlog {
    /// A backlog that begins after the key `handled`. An event is worth publishing for `ttl`.
    pub(super) fn new(handled: u64, ttl: Duration) -> Self {
        Self { waiting: VecDeque::new(), next_key: handled + 1, ttl }
    }

    /// Takes over a commit. What does not follow on, or finds no room, is left to the log.
    pub(super) fn take(&mut self, committed: Committed) {
        let last = committed.last_key();
        if committed.first_key > self.next_key || last < self.next_key || self.waiting.len() >= CAPACITY {
            return;
        }
        let expires = committed.at + self.ttl;
        let known = (self.next_key - committed.first_key) as usize;
        let keys = committed.first_key..;
        let fresh = keys.zip(committed.events).skip(known);
        self.waiting.extend(fresh.map(|(key, event)| Outgoing { key: Some(key), expires, event }));
        self.next_key = last + 1;
    }

    /// Takes over events read from the log, with their age.
    pub(super) fn take_from_log(&mut self, events: Vec<(u64, Duration, Event)>, now: Instant) {
        for (key, age, event) in events {
            if key < self.next_key {
                continue;
            }
            let expires = now + self.ttl.saturating_sub(age);
            self.waiting.push_back(Outgoing { key: Some(key), expires, event });
            self.next_key = key + 1;
        }
    }

    /// Nothing up to this key is left in the log that is worth publishing.
    pub(super) fn skip_to(&mut self, key: u64) {
        self.next_key = self.next_key.max(key + 1);
    }

    /// A store has changed: goes out with the next message.
    pub(super) fn take_hint(&mut self, event: Event, now: Instant) {
        self.waiting.push_back(Outgoing { key: None, expires: now + self.ttl, event });
    }

    /// From which key on the log has to be read, if events up to `newest` are committed.
    pub(super) fn missing(&self, newest: u64) -> Option<u64> {
        (self.waiting.is_empty() && self.next_key <= newest).then_some(self.next_key)
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < CAPACITY
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The next message, and whose events were too old for it, a store for each.
    pub(super) fn next_message(&mut self, now: Instant) -> (Option<Message>, Vec<String>) {
        let mut message = Message::default();
        let mut expired = Vec::new();
        while message.events.len() < MESSAGE
            && let Some(outgoing) = self.waiting.pop_front()
        {
            if outgoing.expires <= now {
                // A hint that is too old was for hubs that have compared with the log since, on a new connection.
                if outgoing.key.is_some() {
                    expired.push(outgoing.event.store_id);
                }
                continue;
            }
            message.keys.push((outgoing.key, outgoing.expires));
            message.events.push(outgoing.event);
        }
        ((!message.events.is_empty()).then_some(message), expired)
    }

    /// Puts a message back to where it came from.
    pub(super) fn put_back(&mut self, message: Message) {
        let events = message.keys.into_iter().zip(message.events);
        for ((key, expires), event) in events.rev() {
            self.waiting.push_front(Outgoing { key, expires, event });
        }
    }

    /// How old the oldest event is, with these messages still out, oldest first; `None` if there is none.
    pub(super) fn oldest_age<'a>(
        &self,
        mut out: impl Iterator<Item = &'a Message>,
        now: Instant,
    ) -> Option<Duration> {
        let expires = out
            .find_map(|message| message.keys.first().map(|(_, expires)| *expires))
            .or_else(|| self.waiting.front().map(|outgoing| outgoing.expires))?;
        Some(self.ttl.saturating_sub(expires.saturating_duration_since(now)))
    }

    /// Up to which key everything is handled, with these messages still out, oldest first.
    pub(super) fn handled<'a>(&self, mut out: impl Iterator<Item = &'a Message>) -> u64 {
        let first =
            out.find_map(Message::first_key).or_else(|| self.waiting.iter().find_map(|event| event.key));
        first.unwrap_or(self.next_key) - 1
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);

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

    fn positions(message: &Message) -> Vec<u64> {
        message.events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn commits_go_out_together_and_in_order() {
        let now = Instant::now();
        let mut backlog = Backlog::new(0, TTL);
        backlog.take(commit(now, 1..=2));
        backlog.take(commit(now, 3..=3));
        let (message, expired) = backlog.next_message(now);
        assert_eq!((positions(&message.unwrap()), expired.len()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn a_gap_is_filled_from_the_log_and_what_comes_twice_is_taken_once() {
        let now = Instant::now();
        let mut backlog = Backlog::new(2, TTL);
        backlog.take(commit(now, 5..=6));
        assert_eq!(backlog.missing(6), Some(3));
        let log = (3..=5).map(|key| (key, Duration::ZERO, event(key))).collect();
        backlog.take_from_log(log, now);
        backlog.take(commit(now, 5..=6));
        assert_eq!(backlog.missing(6), None);
        let (message, _) = backlog.next_message(now);
        assert_eq!(positions(&message.unwrap()), [3, 4, 5, 6]);
    }

    #[test]
    fn an_event_that_is_too_old_to_pop_counts_as_handled() {
        let now = Instant::now();
        let mut backlog = Backlog::new(0, TTL);
        backlog.take(commit(now, 1..=3));
        let (message, expired) = backlog.next_message(now + TTL);
        assert!(message.is_none());
        assert_eq!((expired.len(), backlog.handled([].iter())), (3, 3));
    }

    #[test]
    fn the_mark_stays_before_what_is_still_out() {
        let now = Instant::now();
        let mut backlog = Backlog::new(0, TTL);
        backlog.take(commit(now, 1..=2));
        let (first, _) = backlog.next_message(now);
        let first = first.unwrap();
        backlog.take(commit(now, 3..=4));
        assert_eq!(backlog.handled([&first].into_iter()), 0);
        assert_eq!(backlog.handled([].iter()), 2);
        backlog.put_back(first);
        let (message, _) = backlog.next_message(now);
        assert_eq!(positions(&message.unwrap()), [1, 2, 3, 4]);
        assert_eq!(backlog.handled([].iter()), 4);
    }

    #[test]
    fn memory_is_bounded_and_the_rest_is_left_to_the_log() {
        let now = Instant::now();
        let mut backlog = Backlog::new(0, TTL);
        let full = CAPACITY as u64;
        backlog.take(commit(now, 1..=full));
        backlog.take(commit(now, full + 1..=full + 5));
        assert!(!backlog.has_room());
        while backlog.next_message(now).0.is_some() {}
        assert_eq!(backlog.missing(full + 5), Some(full + 1));
    }
}
