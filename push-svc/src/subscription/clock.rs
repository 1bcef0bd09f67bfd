//! How far this replica's clock is from ingest-svc's: ingest-svc's clock sets the end of a popup, and this one its start.
//! Pure: it takes the time as an argument.
//!
//! Each canary has the time at which it was sent. The difference to the time of its arrival, by our clock, is the offset of
//! the clocks plus the delay of the message. The fastest message of some seconds has nearly no delay, unless all are slow.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The canaries of this time are compared.
const WINDOW: Duration = Duration::from_secs(15);
/// They must span this time at least. Canaries that waited in the queue arrive together and say nothing about the clocks.
const MIN_SPAN: Duration = Duration::from_secs(10);
/// By how many milliseconds the clocks may differ.
const TOLERANCE: i64 = 2_000;

/// The recent canaries.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When a canary came, and how many milliseconds after it was sent.
    seen: VecDeque<(Instant, i64)>,
    differ: bool,
}

/// A change to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockChange {
    /// The clocks differ now.
    Differ,
    /// They agree again.
    Agree,
}

impl Clocks {
    /// Records a canary that comes `age` milliseconds after it was sent: from its sender's clock to ours. Returns by how many
    /// milliseconds our clock is ahead, if that is known, and what has changed.
    pub(super) fn receive(&mut self, age: i64, now: Instant) -> Option<(i64, Option<ClockChange>)> {
        while self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.seen.pop_front();
        }
        self.seen.push_back((now, age));
        let is_enough = self.seen.front().is_some_and(|(first, _)| now.duration_since(*first) >= MIN_SPAN);
        let ahead = self.seen.iter().map(|(_, after)| *after).min().filter(|_| is_enough)?;
        let differ = ahead.saturating_abs() > TOLERANCE;
        let change = match (differ, std::mem::replace(&mut self.differ, differ)) {
            (true, false) => Some(ClockChange::Differ),
            (false, true) => Some(ClockChange::Agree),
            _ => None,
        };
        Some((ahead, change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A canary each second, each with the milliseconds by which our clock is ahead when it is sent, and its delay. Returns
    /// the last known offset and all changes.
    fn after(canaries: impl IntoIterator<Item = (i64, i64)>) -> (Option<i64>, Vec<ClockChange>) {
        let (mut clocks, start) = (Clocks::default(), Instant::now());
        let (mut offset, mut changes) = (None, Vec::new());
        for (second, (ahead, delay)) in canaries.into_iter().enumerate() {
            let sent = second as i64 * 1_000;
            let now = start + Duration::from_millis((sent + delay).unsigned_abs());
            let received = clocks.receive(delay + ahead, now);
            offset = received.map(|(offset, _)| offset);
            changes.extend(received.and_then(|(_, change)| change));
        }
        (offset, changes)
    }

    #[test]
    fn clocks_that_agree_are_not_reported() {
        assert_eq!(after([(1_900, 3); 60]), (Some(1_903), vec![]));
        assert_eq!(after([(-2_000, 0); 60]), (Some(-2_000), vec![]));
        assert_eq!(after([(9_000, 0); 10]), (None, vec![]), "not yet");
        // Most are slow.
        assert_eq!(after((0..60).map(|at| (0, if at % 5 == 0 { 4 } else { 3_500 }))).1, []);
    }

    #[test]
    fn clocks_that_differ_are_reported_once() {
        for ahead in [-86_400_000, -2_001, 2_001, 86_400_000] {
            assert_eq!(after([(ahead, 0); 60]), (Some(ahead), vec![ClockChange::Differ]));
        }
        let set = |at| if (30..60).contains(&at) { (5_000, 0) } else { (0, 0) };
        assert_eq!(after((0..90).map(set)), (Some(0), vec![ClockChange::Differ, ClockChange::Agree]));
        let set_back = |at| if at < 30 { (0, 0) } else { (-5_000, 0) };
        assert_eq!(after((0..60).map(set_back)), (Some(-5_000), vec![ClockChange::Differ]));
    }

    #[test]
    fn canaries_that_waited_in_the_queue_are_not_used() {
        // The canaries of twenty seconds arrive together, and the later ones on time.
        let stalled = |at: i64| if (20..40).contains(&at) { (0, (40 - at) * 1_000) } else { (0, 1) };
        assert_eq!(after((0..80).map(stalled)), (Some(1), vec![]));
    }
}
