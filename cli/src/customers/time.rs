//! Times as systems and spreadsheets in Korea write them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// What is written in or between the numbers of a time.
const WORDS: [&str; 11] = ["오전", "오후", "AM", "PM", "년", "월", "일", "시", "분", "초", "T"];
const SEPARATORS: [char; 5] = [' ', '.', '/', '-', ':'];

/// A time with an offset, or one of the zone: `2026-11-20 14:30`, `2026. 11. 20. 오후 2:30`, `20261120143000`. A date is its
/// beginning.
pub(super) fn time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    Some(civil(text)?.to_zoned(zone.clone()).ok()?.timestamp())
}

fn civil(text: &str) -> Option<DateTime> {
    let numbers = WORDS.iter().fold(text.to_owned(), |rest, word| rest.replace(word, " "));
    // What follows the time of day would be an offset.
    let is_clear = numbers.find(':').is_none_or(|colon| !numbers[colon..].contains(['-', '/', '.']));
    if !is_clear || !numbers.chars().all(|c| c.is_ascii_digit() || SEPARATORS.contains(&c)) {
        return None;
    }
    let parts: Vec<&str> = numbers.split(SEPARATORS).filter(|part| !part.is_empty()).collect();
    let parts = match *parts {
        [compact] if matches!(compact.len(), 8 | 14) => {
            let two = |at| compact.get(at..at + 2).unwrap_or("0");
            vec![&compact[..4], two(4), two(6), two(8), two(10), two(12)]
        }
        [year, _, _, ..] if year.len() == 4 => parts,
        _ => return None,
    };
    let year = parts[0].parse().ok()?;
    let others = parts[1..].iter().map(|part| part.parse::<i8>().ok()).collect::<Option<Vec<_>>>()?;
    let (month, day, hour, minute, second) = match *others {
        [month, day] => (month, day, 0, 0, 0),
        [month, day, hour, minute] => (month, day, hour, minute, 0),
        [month, day, hour, minute, second] => (month, day, hour, minute, second),
        _ => return None,
    };
    let hour = match hour {
        12 if text.contains("오전") || text.contains("AM") => 0,
        hour if hour < 12 && (text.contains("오후") || text.contains("PM")) => hour + 12,
        hour => hour,
    };
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seoul() -> TimeZone {
        TimeZone::get("Asia/Seoul").unwrap()
    }

    #[test]
    fn times_are_read_as_systems_write_them() {
        let expected: Timestamp = "2026-11-20T05:30:00Z".parse().unwrap();
        for text in [
            "2026-11-20 14:30",
            "2026.11.20 14:30:00",
            "2026/11/20  14:30",
            "2026-11-20T14:30:00",
            "2026-11-20T14:30:00+09:00",
            "2026-11-20T05:30:00Z",
            "2026. 11. 20. 오후 2:30",
            "2026-11-20 오후 2:30:00",
            "2026-11-20 2:30 PM",
            "2026년 11월 20일 14시 30분",
            "20261120143000",
        ] {
            assert_eq!(time(text, &seoul()), Some(expected), "{text}");
        }
        for text in ["2026-11-20", "2026. 11. 20.", "20261120", "2026-11-20 오전 12:00"] {
            assert_eq!(time(text, &seoul()), "2026-11-19T15:00:00Z".parse().ok(), "{text}");
        }
        for text in [
            "",
            "20",
            "14:30",
            "2026-13-20",
            "어제",
            "11/20/2026",
            "2026. 11. 20. 14:30-09",
            "2026-11-20 25:00",
        ] {
            assert_eq!(time(text, &seoul()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in ".{0,20}", written in "[0-9]{0,15}([-./: T년월일오후전시분]{0,3}[0-9]{1,4}){0,6}") {
            time(&text, &seoul());
            time(&written, &seoul());
        }
    }
}
