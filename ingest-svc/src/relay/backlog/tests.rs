//! The backlog, without a bus, a log or a clock.

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
    Event { store_id: "gangnam".to_owned(), epoch: Uuid::nil(), position, bytes: "x".into(), receipt: None }
}

fn commit(at: Instant, keys: RangeInclusive<u64>) -> Committed {
    Committed { first_key: *keys.start(), at, events: keys.map(event).collect() }
}

/// An answer of the log.
fn read(keys: RangeInclusive<u64>) -> Vec<(u64, Duration, Event)> {
    keys.map(|key| (key, Duration::ZERO, event(key))).collect()
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
    let (keys, oldest) = backlog.next_read(now).unwrap();
    assert_eq!((keys.clone(), oldest), (3..=4, TTL));
    backlog.take_read(&keys, read(3..=6), Extent::Whole, now);
    backlog.take(commit(now, 5..=6));
    assert_eq!(backlog.next_read(now), None);
    let sent: Vec<_> = messages(&mut backlog, now).iter().map(positions).collect();
    assert_eq!(sent, [[3, 4], [5, 6]]);
    assert!(backlog.is_empty(6) && !backlog.is_empty(7));
}

#[test]
fn fresh_events_go_on_while_a_gap_is_not_read_and_it_stays_unhandled() {
    let now = Instant::now();
    let mut backlog = backlog_after(0);
    backlog.miss(4, now);
    backlog.take(commit(now, 5..=5));
    backlog.next_read(now).unwrap();
    assert!(backlog.next_message(now).message.is_none(), "the log may answer soon");
    let now = backlog.held_until(now).unwrap();
    assert_eq!(backlog.held_until(now), None);
    let fresh = backlog.next_message(now).message.unwrap();
    assert_eq!((positions(&fresh), backlog.handled([].iter())), (vec![5], 0));
    // A second gap is joined with the first one: one query at a time.
    backlog.take(commit(now, 8..=8));
    let (keys, _) = backlog.next_read(now).unwrap();
    assert_eq!(keys, 1..=7);
    backlog.take_read(&keys, read(1..=2), Extent::Part, now);
    assert_eq!(backlog.next_read(now), None, "a page waits to be sent");
    assert_eq!(positions(&backlog.next_message(now).message.unwrap()), [1, 2]);
    assert_eq!(
        (positions(&backlog.next_message(now).message.unwrap()), backlog.handled([].iter())),
        (vec![8], 2)
    );
    // The gap has grown while it was read: that answer does not have the rest.
    let (keys, _) = backlog.next_read(now).unwrap();
    backlog.miss(9, now);
    backlog.take_read(&keys, read(3..=6), Extent::Whole, now);
    let read_page = backlog.next_message(now).message.unwrap();
    assert_eq!((positions(&read_page), backlog.next_read(now).unwrap().0), (vec![3, 4, 5, 6], 8..=9));
    assert_eq!(backlog.handled([&read_page].into_iter()), 2);
    backlog.put_back(read_page);
    assert_eq!(backlog.handled([].iter()), 2);
}

#[test]
fn what_is_older_than_a_gap_is_sent_before_it_and_what_is_newer_waits_for_it() {
    let now = Instant::now();
    let mut backlog = backlog_after(0);
    backlog.take(commit(now, 1..=2));
    backlog.miss(4, now);
    backlog.take(commit(now, 5..=5));
    // While the bus is away nothing is read.
    let now = now + 2 * HOLD;
    assert_eq!(backlog.next_read(now), None);
    let first = backlog.next_message(now).message.unwrap();
    assert_eq!(positions(&first), [1, 2]);
    let (keys, _) = backlog.next_read(now).unwrap();
    assert_eq!(keys, 3..=4);
    assert!(backlog.next_message(now).message.is_none(), "the log was asked just now");
    backlog.take_read(&keys, read(3..=4), Extent::Whole, now);
    backlog.put_back(first);
    let sent: Vec<_> = messages(&mut backlog, now).iter().map(positions).collect();
    assert_eq!(sent, [vec![1, 2], vec![3, 4], vec![5]]);
}

#[test]
fn what_becomes_too_old_before_it_is_read_is_hinted() {
    let now = Instant::now();
    let mut backlog = backlog_after(0);
    backlog.miss(1, now);
    let late = now + 2 * TTL;
    let (keys, oldest) = backlog.next_read(late).unwrap();
    assert_eq!(oldest, 3 * TTL);
    backlog.take_read(&keys, vec![(1, 2 * TTL, event(1))], Extent::Whole, late);
    assert_eq!(backlog.next_message(late).expired, ["gangnam"]);
    // On a new connection all hubs compare their stores.
    backlog.miss(2, now);
    backlog.begin_connection(late);
    assert_eq!(backlog.next_read(late).unwrap().1, TTL);
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
    backlog.miss(full + 5, now);
    assert_eq!(backlog.next_read(now).unwrap().0, full + 1..=full + 5);
}

fn long(position: u64, bytes: usize) -> Event {
    Event { bytes: vec![7; bytes].into(), ..event(position) }
}

fn long_commit(at: Instant, bytes: impl IntoIterator<Item = usize>) -> Committed {
    Committed { first_key: 1, at, events: (1..).zip(bytes).map(|(key, bytes)| long(key, bytes)).collect() }
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
    backlog.miss(5, now);
    assert_eq!((backlog.bytes(), backlog.next_read(now).unwrap().0), (0, 5..=5));
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
    backlog.miss(6, now);
    backlog.take_read(&(6..=6), vec![(6, Duration::ZERO, long(6, 5_000))], Extent::Whole, now);
    assert_eq!(backlog.next_message(now).too_large, 1);
}
