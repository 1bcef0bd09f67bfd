//! How far this replica's clock is from ingest-svc's: popups end by the one, and begin by the other. Pure: it takes the time
//! as an argument.
//!
//! Each sign of life says when it was sent. What lies between that and its arrival, by our clock, is the difference of the
//! clocks and the message's way. The quickest of some seconds has nearly no way, unless all of them are slow.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Signs of life that are compared: those of so long.
const WINDOW: Duration = Duration::from_secs(15);
/// And of so long at least. What has waited in the queue comes all at once, and says nothing of the clocks.
const ENOUGH: Duration = Duration::from_secs(10);
/// By how many milliseconds the clocks may differ.
const TOLERATED: i64 = 2_000;

/// What was seen of the clocks.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When a sign of life came, and how many milliseconds after it was sent.
    seen: VecDeque<(Instant, i64)>,
    differ: bool,
}

/// What is to be said of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// They differ now.
    Differ,
    /// They did, and do no longer.
    Agree,
    /// Nothing new.
    Nothing,
}

impl Clocks {
    /// Takes note of a sign of life that was sent and came at these Unix milliseconds. By how many milliseconds our clock is
    /// ahead, if that is known, and what is to be said of it.
    pub(super) fn hear(&mut self, sent_at: i64, came_at: i64, now: Instant) -> (Option<i64>, Said) {
        while self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.seen.pop_front();
        }
        self.seen.push_back((now, came_at.saturating_sub(sent_at)));
        let is_enough = self.seen.front().is_some_and(|(first, _)| now.duration_since(*first) >= ENOUGH);
        let quickest = self.seen.iter().map(|(_, after)| *after).min().filter(|_| is_enough);
        let Some(ahead) = quickest else { return (None, Said::Nothing) };
        let differ = ahead.saturating_abs() > TOLERATED;
        let said = match (differ, self.differ) {
            (true, false) => Said::Differ,
            (false, true) => Said::Agree,
            _ => Said::Nothing,
        };
        self.differ = differ;
        (Some(ahead), said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sign of life each second, sent when our clock shows `ahead` milliseconds more than its sender's, and so many
    /// milliseconds under way. What is known at the end, and all that was said.
    fn after(ways: impl IntoIterator<Item = (i64, i64)>) -> (Option<i64>, Vec<Said>) {
        let (mut clocks, start) = (Clocks::default(), Instant::now());
        let (mut known, mut all) = (None, Vec::new());
        for (second, (ahead, way)) in ways.into_iter().enumerate() {
            let sent = second as i64 * 1_000;
            let now = start + Duration::from_millis((sent + way).unsigned_abs());
            let said;
            (known, said) = clocks.hear(sent, sent + way + ahead, now);
            all.extend((said != Said::Nothing).then_some(said));
        }
        (known, all)
    }

    #[test]
    fn clocks_that_agree_are_not_spoken_of() {
        assert_eq!(after([(1_900, 3); 60]), (Some(1_903), vec![]));
        assert_eq!(after([(-2_000, 0); 60]), (Some(-2_000), vec![]));
        assert_eq!(after([(9_000, 0); 10]), (None, vec![]), "not yet");
        // Most are slow.
        assert_eq!(after((0..60).map(|at| (0, if at % 5 == 0 { 4 } else { 3_500 }))).1, []);
    }

    #[test]
    fn clocks_that_differ_are_spoken_of_once() {
        for ahead in [-86_400_000, -2_001, 2_001, 86_400_000] {
            assert_eq!(after([(ahead, 0); 60]), (Some(ahead), vec![Said::Differ]));
        }
        let set = |at| if (30..60).contains(&at) { (5_000, 0) } else { (0, 0) };
        assert_eq!(after((0..90).map(set)), (Some(0), vec![Said::Differ, Said::Agree]));
        let set_back = |at| if at < 30 { (0, 0) } else { (-5_000, 0) };
        assert_eq!(after((0..60).map(set_back)), (Some(-5_000), vec![Said::Differ]));
    }

    #[test]
    fn what_has_waited_in_the_queue_says_nothing() {
        // Twenty seconds' worth comes at once, and then everything at its time.
        let stalled = |at: i64| if (20..40).contains(&at) { (0, (40 - at) * 1_000) } else { (0, 1) };
        assert_eq!(after((0..80).map(stalled)), (Some(1), vec![]));
    }
}
