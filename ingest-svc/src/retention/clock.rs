//! Whether the wall clock can be trusted. It is compared with the machine's monotonic clock, which cannot be set, and with the clocks
//! of the number providers, which show in the calls.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far the two clocks of a machine may differ. A clock that is adjusted slowly stays within it. A clock that is set does not,
/// and a machine that sleeps does not either.
const JUMP: SignedDuration = SignedDuration::from_mins(1);
/// How far the clock may be ahead of the newest call: a weekend and a holiday without one.
const LEAD: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How long a clock that was set must have run since then: time to see the alert.
const SETTLED: Duration = Duration::from_secs(60 * 60);
/// How long it must have run if no calls come that show the time. An installation that gets no calls any more must not keep the
/// last ones forever.
const UNDISPUTED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why the clock is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It was set, forwards or back.
    WasSet,
    /// It is far ahead of the newest call.
    Ahead,
}

/// The time of both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) wall: Timestamp,
    /// For how long the process has run, by the monotonic clock.
    pub(super) running: Duration,
}

impl Reading {
    /// Whether the wall clock has been set between the two.
    fn disagrees(self, earlier: Self) -> bool {
        let ran = self.running.saturating_sub(earlier.running);
        let ran = SignedDuration::try_from(ran).unwrap_or(SignedDuration::MAX);
        self.wall.duration_since(earlier.wall).saturating_sub(ran).abs() > JUMP
    }
}

/// What is known of the wall clock since the process began.
#[derive(Debug)]
pub(super) struct Clock {
    /// When it was last trusted.
    trusted: Reading,
    /// Since when it has not been set.
    steady: Reading,
    /// When the newest call began, and since when there has been no newer one.
    newest: Option<Timestamp>,
    quiet: Duration,
}

impl Clock {
    pub(super) fn new(now: Reading) -> Self {
        Self { trusted: now, steady: now, newest: None, quiet: now.running }
    }

    /// Why nothing should be deleted by this clock now, if there is a reason. `newest`: when the newest call began.
    pub(super) fn doubt(&mut self, now: Reading, newest: Option<Timestamp>) -> Option<Doubt> {
        if now.disagrees(self.steady) {
            self.steady = now;
        }
        if newest != self.newest {
            (self.newest, self.quiet) = (newest, now.running);
        }
        let steady_for = now.running.saturating_sub(self.steady.running);
        let is_undisputed = steady_for.min(now.running.saturating_sub(self.quiet)) >= UNDISPUTED;
        if now.disagrees(self.trusted) {
            let is_confirmed = newest.is_some_and(|newest| newest >= self.steady.wall);
            let is_settled = is_confirmed && steady_for >= SETTLED;
            if !(is_settled || is_undisputed) {
                return Some(Doubt::WasSet);
            }
            self.trusted = self.steady;
        }
        let is_ahead = newest.is_some_and(|newest| now.wall.duration_since(newest) > LEAD);
        (is_ahead && !is_undisputed).then_some(Doubt::Ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;
    const HOUR: i64 = 60 * 60;

    fn start() -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_780_000_000)
    }

    fn at(seconds: i64) -> Timestamp {
        start() + SignedDuration::from_secs(seconds)
    }

    /// After so many seconds, with the clock set by so many.
    fn reading(running: i64, set_by: i64) -> Reading {
        Reading { wall: at(running + set_by), running: Duration::from_secs(running.unsigned_abs()) }
    }

    /// What a clock says that has run since the start, looked at each minute until `until`. The newest call began at
    /// `newest` of this time and of how far the clock is ahead.
    fn after(until: i64, set_by: impl Fn(i64) -> i64, newest: impl Fn(i64) -> i64) -> Option<Doubt> {
        let mut clock = Clock::new(reading(0, set_by(0)));
        let mut doubt = None;
        for running in (0..=until).step_by(60) {
            doubt = clock.doubt(reading(running, set_by(running)), Some(at(newest(running))));
        }
        doubt
    }

    #[test]
    fn a_clock_that_nobody_sets_is_trusted() {
        assert_eq!(after(30 * DAY, |_| 0, |now| now - HOUR), None);
        // Adjusted by half a per mille, as is done slowly, on both clocks.
        assert_eq!(after(DAY, |_| 0, |_| 0), None);
        let mut clock = Clock::new(reading(0, 0));
        assert_eq!(clock.doubt(reading(60, 0), None), None, "there is no call yet");
    }

    #[test]
    fn a_clock_that_was_set_is_not_trusted_before_calls_confirm_it() {
        for by in [-100 * DAY, -HOUR, -61, 61, HOUR, 100 * DAY] {
            let set = |now: i64| if now < HOUR { 0 } else { by };
            // The providers' clocks continue as before.
            assert_eq!(after(2 * HOUR - 60, set, |now| now), Some(Doubt::WasSet), "{by}");
            // They say that it is right now; that alone is not enough yet.
            assert_eq!(after(2 * HOUR - 60, set, |now| now + set(now)), Some(Doubt::WasSet), "{by}");
            assert_eq!(after(2 * HOUR, set, |now| now + set(now)), None, "{by}");
        }
        for by in [-59, 59] {
            assert_eq!(after(2 * HOUR, |now| if now < HOUR { 0 } else { by }, |now| now), None, "{by}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_of_the_calls_is_not_trusted() {
        let ahead = |now: i64| if now < HOUR { 0 } else { 100 * DAY };
        assert_eq!(after(30 * DAY, ahead, |now| now), Some(Doubt::WasSet));
        // Also if the process began with it.
        assert_eq!(after(0, |_| 100 * DAY, |now| now), Some(Doubt::Ahead));
        assert_eq!(after(30 * DAY, |_| 100 * DAY, |now| now), Some(Doubt::Ahead));
    }

    #[test]
    fn a_clock_that_is_corrected_is_trusted_again() {
        let for_an_hour = |now: i64| if (HOUR..2 * HOUR).contains(&now) { 100 * DAY } else { 0 };
        assert_eq!(after(2 * HOUR - 60, for_an_hour, |now| now), Some(Doubt::WasSet));
        assert_eq!(after(2 * HOUR, for_an_hour, |now| now), None);
    }

    #[test]
    fn a_clock_that_is_set_again_and_again_is_not_trusted() {
        assert_eq!(after(2 * DAY, |now| now / HOUR * HOUR, |now| now * 2), Some(Doubt::WasSet));
    }

    #[test]
    fn an_installation_that_was_off_for_a_long_time_waits_for_its_first_call() {
        let month = 30 * DAY;
        let first_call = |now: i64| if now < 2 * HOUR { -month } else { now };
        assert_eq!(after(2 * HOUR - 60, |_| 0, first_call), Some(Doubt::Ahead));
        assert_eq!(after(2 * HOUR, |_| 0, first_call), None);
    }

    #[test]
    fn an_installation_without_new_calls_deletes_the_last_ones_after_a_week() {
        assert_eq!(after(3 * DAY, |_| 0, |_| 0), None, "a weekend");
        assert_eq!(after(4 * DAY, |_| 0, |_| 0), Some(Doubt::Ahead));
        assert_eq!(after(7 * DAY - 60, |_| 0, |_| 0), Some(Doubt::Ahead));
        assert_eq!(after(7 * DAY, |_| 0, |_| 0), None);
        // The clock was set as well.
        let set = |now: i64| if now < HOUR { 0 } else { -HOUR };
        assert_eq!(after(7 * DAY, set, |_| -DAY), Some(Doubt::WasSet));
        assert_eq!(after(7 * DAY + HOUR, set, |_| -DAY), None);
    }

    #[test]
    fn calls_ahead_of_the_clock_do_not_delay_deletion() {
        assert_eq!(after(HOUR, |_| 0, |_| 20 * DAY), None);
    }
}
