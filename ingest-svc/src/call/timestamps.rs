//! Instants as Protobuf has them.

use ringpad_proto::Timestamp;

/// With nanoseconds.
pub(super) fn exact(instant: jiff::Timestamp) -> Timestamp {
    Timestamp { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() }
}

/// From Unix milliseconds; `None` if they are beyond the calendar.
pub(super) fn milliseconds(instant: i64) -> Option<Timestamp> {
    jiff::Timestamp::from_millisecond(instant).ok().map(exact)
}

/// From Unix seconds.
pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}
