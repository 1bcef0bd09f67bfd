//! A log with an old call, and clocks that can and cannot be trusted.

use jiff::{SignedDuration, tz};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tempfile::TempDir;

use super::*;
use crate::{
    capacity::LogCapacity,
    cdr::{RawFields, Record},
    log::{Database, open},
    source::Sources,
};

/// A log that keeps calls for 90 days, and the task that deletes them.
struct Kept {
    _directory: TempDir,
    retention: Retention,
    registry: Registry,
    clock: Clock,
    reported: Option<Doubt>,
}

fn in_days(days: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * days)
}

impl Kept {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut registry = Registry::default();
        let (database, ttl) = (Database::Sqlite(directory.path().join("log.db")), Duration::from_secs(30));
        let log = open(&database, ttl, &LogCapacity::default(), &mut registry, CancellationToken::new())
            .await
            .unwrap()
            .log;
        let retention = Retention {
            log,
            retention: Duration::from_secs(90 * 24 * 60 * 60),
            metrics: RetentionMetrics::new(&mut registry),
        };
        let clock = Clock::new(Reading { wall: in_days(0), running: Duration::ZERO });
        Self { _directory: directory, retention, registry, clock, reported: None }
    }

    /// Logs a call that begins so many days from now.
    async fn call(&self, days: i64) {
        let begin = in_days(days);
        let mut fields = RawFields::new();
        fields.insert("seq", days.to_string());
        let sdt = begin.to_zoned(tz::TimeZone::fixed(tz::offset(9))).strftime("%Y%m%d%H%M%S");
        fields.insert("sdt", sdt.to_string());
        fields.insert("vn", "050712345678".to_owned());
        let sources = Sources::read(None).unwrap();
        let record = Record::parse(fields, sources.get("bizcall").unwrap(), begin).unwrap();
        self.retention.log.ingest(record).await.unwrap();
    }

    /// Deletes all that is due so many seconds after the start, by a clock that is so many days ahead. The reason if nothing
    /// is deleted, as the metrics have it.
    async fn delete(&mut self, running: u64, days: i64) -> Option<String> {
        let running = Duration::from_secs(running);
        let now = Reading { wall: in_days(days) + running, running };
        while let Step::More = self.retention.step(&mut self.clock, now, &mut self.reported).await.unwrap() {}
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let waits = |line: &str| {
            line.strip_prefix("ringpad_retention_waits{reason=\"")?.strip_suffix("\"} 1").map(str::to_owned)
        };
        text.lines().find_map(waits)
    }

    async fn newest(&self) -> Option<Timestamp> {
        self.retention.log.reader().newest_call().await.unwrap()
    }
}

#[tokio::test]
async fn a_clock_that_is_set_a_hundred_days_ahead_deletes_nothing() {
    let mut kept = Kept::new().await;
    kept.call(-100).await;
    kept.call(0).await;
    assert_eq!(kept.delete(0, 0).await, None, "what is due is deleted");
    for running in [1, 60, 3_600, 24 * 3_600] {
        assert_eq!(kept.delete(running, 100).await.as_deref(), Some("clock_set"));
    }
    assert!(kept.newest().await.is_some(), "the call of today is there");
    assert_eq!(kept.delete(24 * 3_600, 0).await, None, "the clock is right again");
    assert!(kept.newest().await.is_some());
}

#[tokio::test]
async fn a_service_that_starts_with_a_clock_ahead_deletes_nothing_before_the_clock_is_confirmed() {
    let mut kept = Kept::new().await;
    kept.call(0).await;
    kept.clock = Clock::new(Reading { wall: in_days(100), running: Duration::ZERO });
    assert_eq!(kept.delete(60, 100).await.as_deref(), Some("clock_ahead"));
    assert!(kept.newest().await.is_some(), "the call of today is there");
    // It was right: the installation had been off for a hundred days.
    kept.call(99).await;
    assert_eq!(kept.delete(120, 100).await, None);
    let oldest = kept.retention.log.purge(in_days(1).as_second()).await.unwrap();
    assert!(!oldest, "the call of today is gone");
}
