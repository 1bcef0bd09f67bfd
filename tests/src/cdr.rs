//! CDRs as a number provider makes them.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp, Zoned, civil::DateTime, tz::TimeZone};
use ringpad_proto::v1::Cdr;

use crate::rabbit::unique;

/// How a record writes an instant.
const FORM: &str = "%Y%m%d%H%M%S";

/// A mobile number that no other test of this process calls from, e.g. `010-2000-0001`.
pub fn caller() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(20_000_000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("010-{:04}-{:04}", number / 10_000, number % 10_000)
}

/// A virtual number that no other test of this process owns, e.g. `0507-1300-0001`.
pub fn virtual_number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(13_000_000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("0507-{:04}-{:04}", number / 10_000, number % 10_000)
}

/// A real line that no other test of this process owns, e.g. `031-230-0001`.
pub fn line() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(2_300_001);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("031-{:03}-{:04}", number / 10_000, number % 10_000)
}

/// The record at ring time, of a call that began five seconds ago.
pub fn ring(virtual_number: &str, caller: &str) -> Cdr {
    ring_at(&in_seoul(Timestamp::now() - SignedDuration::from_secs(5)), virtual_number, caller)
}

/// The record at ring time, of a call that began at `sdt`.
pub fn ring_at(sdt: &str, virtual_number: &str, caller: &str) -> Cdr {
    Cdr {
        seq: unique("seq"),
        sdt: sdt.to_owned(),
        fromn: caller.to_owned(),
        vn: virtual_number.to_owned(),
        ..Cdr::default()
    }
}

/// The final record of a call that was answered two seconds after its ring.
pub fn answered(ring: &Cdr) -> Cdr {
    Cdr { swidt: later(&ring.sdt, 2), edt: later(&ring.sdt, 4), ..ring.clone() }
}

/// The final record of a call that nobody answered.
pub fn missed(ring: &Cdr) -> Cdr {
    Cdr { edt: later(&ring.sdt, 3), ..ring.clone() }
}

/// `hours` before now, as a record writes it.
pub fn hours_ago(hours: i64) -> String {
    in_seoul(Timestamp::now() - SignedDuration::from_hours(hours))
}

/// An instant as a record of the source's default time zone writes it.
fn in_seoul(instant: Timestamp) -> String {
    instant.to_zoned(seoul()).strftime(FORM).to_string()
}

/// `seconds` after the instant that a record writes as `sdt`.
///
/// # Panics
/// `sdt` is not an instant.
pub fn later(sdt: &str, seconds: i64) -> String {
    (civil(sdt) + SignedDuration::from_secs(seconds)).strftime(FORM).to_string()
}

/// The instant that a record writes as `sdt`, in seconds since 1970.
///
/// # Panics
/// `sdt` is not an instant.
pub fn unix_seconds(sdt: &str) -> i64 {
    let zoned: Zoned = civil(sdt).to_zoned(seoul()).expect("Seoul's offset is fixed");
    zoned.timestamp().as_second()
}

fn civil(sdt: &str) -> DateTime {
    DateTime::strptime(FORM, sdt).expect("a record's instant")
}

fn seoul() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(9))
}

/// The record's parameters by their names on HTTP; empty ones are left out.
pub fn parameters(cdr: &Cdr) -> Vec<(&str, &str)> {
    let Cdr { seq, sdt, edt, fromn, vn, ton, swidt, memo, memo2, crid, irid, cause, closed_from, other } =
        cdr;
    let named = [
        ("seq", seq),
        ("sdt", sdt),
        ("edt", edt),
        ("fromn", fromn),
        ("vn", vn),
        ("ton", ton),
        ("swidt", swidt),
        ("memo", memo),
        ("memo2", memo2),
        ("crid", crid),
        ("irid", irid),
        ("cause", cause),
        ("closed_from", closed_from),
    ];
    let named = named.into_iter().map(|(name, value)| (name, value.as_str()));
    let other = other.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    named.chain(other).filter(|(_, value)| !value.is_empty()).collect()
}

/// The record in the form of a query or a form, `seq=…&sdt=…`.
pub fn urlencoded(cdr: &Cdr) -> String {
    let pairs = parameters(cdr).into_iter();
    pairs.map(|(name, value)| format!("{name}={}", percent(value.as_bytes()))).collect::<Vec<_>>().join("&")
}

/// Percent-encodes any bytes.
pub fn percent(bytes: &[u8]) -> String {
    let encoded = bytes.iter().map(|&byte| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}
