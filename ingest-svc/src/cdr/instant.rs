//! Instants as providers write them, `YYYYMMDDHH24MISS`, and as the log keeps them, seconds since 1970.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// What a date and time in the source's time zone may mean: when clocks are set back, two instants about an hour apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalInstant {
    earlier: Timestamp,
    later: Timestamp,
}

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstantError {
    /// Not 14 digits.
    Form,
    /// No such date or time of day, e.g. 99 s.
    Calendar,
    /// Skipped when clocks were set forward.
    Gap,
}

impl LocalInstant {
    /// Reads `YYYYMMDDHH24MISS`.
    pub(super) fn parse(text: &str, timezone: &TimeZone) -> Result<Self, InstantError> {
        let civil = civil(text)?;
        let ambiguous = timezone.to_ambiguous_timestamp(civil);
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(civil).map_err(|_| InstantError::Calendar);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                at(offset).map(|instant| Self { earlier: instant, later: instant })
            }
            AmbiguousOffset::Fold { before, after } => Ok(Self { earlier: at(before)?, later: at(after)? }),
            AmbiguousOffset::Gap { .. } => Err(InstantError::Gap),
        }
    }

    /// The earlier of the possible instants.
    pub(super) fn earlier(self) -> Timestamp {
        self.earlier
    }

    /// The first of the possible instants that is not before `begin`.
    pub(super) fn since(self, begin: Timestamp) -> Option<Timestamp> {
        [self.earlier, self.later].into_iter().find(|instant| *instant >= begin)
    }
}

/// Whether programs write this text instead of an instant if there is none: nothing, zeros, signs without digits, `null`, or
/// the first or last date that they know. No call was connected or over before 2000, or will be in 9999.
pub(super) fn stands_for_none(text: &str) -> bool {
    const WORDS: [&str; 7] = ["null", "(null)", "nil", "none", "undefined", "n/a", "nat"];
    let text = text.trim();
    let signs =
        |char: char| char.is_ascii_digit() || matches!(char, '-' | '+' | ':' | '/' | '.' | ' ' | 'T' | 'Z');
    if !text.chars().all(signs) {
        return WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.bytes().all(|digit| digit == b'0') || is_first_or_last(&digits)
}

/// Whether digits are a date, and perhaps a time of day, before 2000 or in 9999.
fn is_first_or_last(digits: &str) -> bool {
    let number = |range| digits.get(range).and_then(|digits: &str| digits.parse::<u16>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else {
        return false;
    };
    (year < 2000 || year == 9999) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn civil(text: &str) -> Result<DateTime, InstantError> {
    let digits: &[u8; 14] = text.as_bytes().try_into().map_err(|_| InstantError::Form)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(InstantError::Form);
    }
    // Two digits: at most 99, so it fits.
    let two = |at: usize| (digits[at] - b'0').cast_signed() * 10 + (digits[at + 1] - b'0').cast_signed();
    let year = i16::from(two(0)) * 100 + i16::from(two(2));
    DateTime::new(year, two(4), two(6), two(8), two(10), two(12), 0).map_err(|_| InstantError::Calendar)
}

/// For `#[serde(with = …)]`.
pub(super) mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::cdr) fn serialize<S: Serializer>(
        instant: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(instant.as_second())
    }

    pub(in crate::cdr) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        Timestamp::from_second(i64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// For `#[serde(with = …)]`.
pub(super) mod optional_seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(in crate::cdr) fn serialize<S: Serializer>(
        instant: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        instant.map(Timestamp::as_second).serialize(serializer)
    }

    pub(in crate::cdr) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let seconds = Option::<i64>::deserialize(deserializer)?;
        seconds.map(|seconds| Timestamp::from_second(seconds).map_err(D::Error::custom)).transpose()
    }
}
