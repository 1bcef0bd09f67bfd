//! `google.protobuf.Timestamp`.

use std::fmt;

use jiff::fmt::temporal::DateTimePrinter;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
    ser,
};

/// An instant, in JSON as RFC 3339: written in UTC with a `Z` and 0, 3, 6 or 9 digits of a second, as proto3 JSON requires.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Unix seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And nanoseconds; 0–999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { seconds, nanos } = *self;
        let instant = jiff::Timestamp::new(seconds, nanos)
            .map_err(|_| ser::Error::custom("the instant is outside the calendar"))?;
        let digits = match nanos {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        let printer = DateTimePrinter::new().precision(Some(digits));
        serializer.serialize_str(&printer.timestamp_to_string(&instant))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an instant as RFC 3339, e.g. 2026-11-23T05:25:30Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let wrong = |_| E::invalid_value(de::Unexpected::Str(text), &self);
                let instant: jiff::Timestamp = text.parse().map_err(wrong)?;
                // Before 1970 jiff counts both down; Protobuf counts nanoseconds up.
                let nanoseconds = instant.as_nanosecond();
                let seconds = nanoseconds.div_euclid(1_000_000_000);
                Ok(Timestamp {
                    seconds: i64::try_from(seconds).map_err(E::custom)?,
                    nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).map_err(E::custom)?,
                })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn json_is_utc_with_the_digits_that_proto3_requires() {
        let rows = [
            (1_795_411_530, 0, "2026-11-23T05:25:30Z"),
            (1_795_411_530, 500_000_000, "2026-11-23T05:25:30.500Z"),
            (1_795_411_530, 20_000, "2026-11-23T05:25:30.000020Z"),
            (1_795_411_530, 1, "2026-11-23T05:25:30.000000001Z"),
            (-1, 250_000_000, "1969-12-31T23:59:59.250Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        ];
        for (seconds, nanos, text) in rows {
            let timestamp = Timestamp { seconds, nanos };
            let json = serde_json::to_value(timestamp).unwrap();
            assert_eq!(json, text);
            assert_eq!(serde_json::from_value::<Timestamp>(json).unwrap(), timestamp);
        }
        let elsewhere: Timestamp = serde_json::from_str("\"2026-11-23T14:25:30+09:00\"").unwrap();
        assert_eq!(elsewhere, Timestamp { seconds: 1_795_411_530, nanos: 0 });
        assert!(serde_json::from_str::<Timestamp>("\"soon\"").is_err());
        assert!(serde_json::to_value(Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
    }
}
