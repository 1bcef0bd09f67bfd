//! How fast a client may take streams back over HTTP/2.

use std::time::Duration;

use tokio::time::Instant;

/// What a stream that is taken back costs its connection: so long nothing is read from it. 10,000 a second.
const COST: Duration = Duration::from_micros(100);
/// What a connection may owe before it has to wait: as many streams as it may have open at a time, all taken back at once.
const CREDIT: Duration = Duration::from_millis(20);

/// What a connection owes for streams that it took back.
#[derive(Debug, Default)]
pub(super) struct Pace {
    paid: Option<Instant>,
}

impl Pace {
    /// Notes that so many streams were taken back.
    pub(super) fn charge(&mut self, resets: u32, now: Instant) {
        if resets > 0 {
            self.paid = Some(self.paid.map_or(now, |paid| paid.max(now)) + COST * resets);
        }
    }

    /// Until when nothing is to be read, if the connection owes too much.
    pub(super) fn resume(&self, now: Instant) -> Option<Instant> {
        self.paid.filter(|paid| *paid > now + CREDIT).map(|paid| paid - CREDIT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Pace;

    #[test]
    fn two_hundred_at_once_cost_nothing_and_a_flood_is_slowed_to_ten_thousand_a_second() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.resume(now), None);
        pace.charge(200, now);
        assert_eq!(pace.resume(now), None);
        pace.charge(10_000, now);
        assert_eq!(pace.resume(now), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.resume(later), None);
        pace.charge(300, later);
        assert_eq!(pace.resume(later), Some(later + Duration::from_millis(10)), "patience is not saved up");
    }
}
