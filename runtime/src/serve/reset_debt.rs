//! How fast a client may cancel calls over HTTP/2.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is read from a connection for each call that it cancels: 10,000 a second.
pub const COST: Duration = Duration::from_micros(100);
/// How much of that time a connection may owe before it has to wait: as many calls as it may have open at the same time, all
/// cancelled at once.
pub const CREDIT: Duration = Duration::from_millis(20);

/// The time that a connection owes for cancelled calls.
#[derive(Debug, Default)]
pub(super) struct ResetDebt {
    paid: Option<Instant>,
}

impl ResetDebt {
    /// Counts cancelled calls.
    pub(super) fn charge(&mut self, resets: u32, now: Instant) {
        if resets > 0 {
            self.paid = Some(self.paid.map_or(now, |paid| paid.max(now)) + COST * resets);
        }
    }

    /// Until when nothing may be read, if the connection owes too much.
    pub(super) fn resume(&self, now: Instant) -> Option<Instant> {
        self.paid.filter(|paid| *paid > now + CREDIT).map(|paid| paid - CREDIT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::ResetDebt;

    #[test]
    fn two_hundred_cancelled_calls_do_not_wait_and_a_flood_is_slowed_to_ten_thousand_a_second() {
        let now = Instant::now();
        let mut debt = ResetDebt::default();
        assert_eq!(debt.resume(now), None);
        debt.charge(200, now);
        assert_eq!(debt.resume(now), None);
        debt.charge(10_000, now);
        assert_eq!(debt.resume(now), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(60);
        assert_eq!(debt.resume(later), None);
        debt.charge(300, later);
        assert_eq!(
            debt.resume(later),
            Some(later + Duration::from_millis(10)),
            "unused time is not saved up"
        );
    }
}
