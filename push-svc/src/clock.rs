//! The wall clock, for pads and tokens. Everything that waits uses the monotonic clock instead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringpad_proto::Timestamp;

/// An instant on the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall(SystemTime);

impl Wall {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(SystemTime::now())
    }

    /// The instant `length` before.
    #[must_use]
    pub(crate) fn earlier(self, length: Duration) -> Self {
        Self(self.0.checked_sub(length).unwrap_or(UNIX_EPOCH))
    }

    /// The time until `later`; zero if that has passed.
    pub(crate) fn until(self, later: SystemTime) -> Duration {
        later.duration_since(self.0).unwrap_or_default()
    }
}

/// As a protobuf `Timestamp`.
pub(crate) fn timestamp(at: Wall) -> Timestamp {
    let since = at.0.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // Below a thousand million.
        nanos: since.subsec_nanos().cast_signed(),
    }
}

/// As a protobuf `Duration`.
pub(crate) fn duration(length: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: length.subsec_nanos().cast_signed(),
    }
}
