//! From parameters to a record, or to everything that is wrong with them.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    Cdr, Fault, Faults, Field, RawFields,
    instant::{Instant, NoInstant, stands_for_none},
};
use crate::{
    bounds::{self, cut},
    phone::{Called, Caller, mask_digits},
};

/// Characters of a `seq` at most.
const MAX_SEQ: usize = 64;
/// How far a record's instants may be ahead of our clock when it comes in. Within that, a provider's clock is wrong or its
/// time zone; beyond it, such a call would be the newest of its store, and its caller's last one, for as long.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// No call of this system began before 2000 (UTC), in seconds since 1970.
const FIRST_SDT: i64 = 946_684_800;

/// Reads a record that came in at `received_at`.
pub(super) fn cdr(mut fields: RawFields, timezone: &TimeZone, received_at: Timestamp) -> Result<Cdr, Faults> {
    let mut faults = Vec::new();
    let seq = note(&mut faults, Field::Seq, seq(fields.take(Field::Seq)));
    let mut instant = |field| {
        let value = fields.take(field);
        // Providers fill these with something until there is an instant.
        if field != Field::Sdt && stands_for_none(&value) {
            return None;
        }
        let instant =
            instant(&value, timezone).and_then(|instant| in_time(field, &value, instant, received_at));
        note(&mut faults, field, instant).flatten()
    };
    let (begin, end, connected) = (instant(Field::Sdt), instant(Field::Edt), instant(Field::Swidt));
    let sdt = begin.map(Instant::earlier);
    if sdt.is_none() && !faults.iter().any(|fault| fault.field == Field::Sdt.name()) {
        faults.push(fault(Field::Sdt, "is required: YYYYMMDDHH24MISS, e.g. 20261123142530".to_owned()));
    }
    let edt = end.and_then(|end| note(&mut faults, Field::Edt, not_before(end, sdt)));
    let swidt = connected.map(|connected| not_before(connected, sdt).unwrap_or(connected.earlier()));
    let caller = Caller::parse(&fields.take(Field::Fromn));
    let mut called = |field| text(fields.take(field)).map(|text| Called::parse(&text));
    let (vn, ton) = (called(Field::Vn), called(Field::Ton));
    if vn.is_none() && ton.is_none() {
        let message = "is required where there is no ton: the number that was dialled, e.g. 0507-1234-5678";
        faults.push(fault(Field::Vn, message.to_owned()));
    }
    faults.append(&mut fields.faults);
    let (Some(seq), Some(sdt), true) = (seq, sdt, faults.is_empty()) else {
        return Err(Faults(faults));
    };
    let mut text = |field| {
        let most = if field == Field::Memo { bounds::MEMO } else { bounds::TEXT };
        text(fields.take(field)).map(|mut text| {
            cut(&mut text, most);
            text.into_boxed_str()
        })
    };
    Ok(Cdr {
        seq,
        sdt,
        edt,
        swidt,
        caller,
        vn,
        ton,
        memo: text(Field::Memo),
        memo2: text(Field::Memo2),
        crid: text(Field::Crid),
        irid: text(Field::Irid),
        cause: text(Field::Cause),
        closed_from: text(Field::ClosedFrom),
        other: fields.other,
    })
}

fn text(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}

fn seq(value: String) -> Result<Box<str>, String> {
    // A `seq` may hold a caller's number in any form, so none is ever shown.
    let expected = "1 to 64 printable characters are expected";
    if value.is_empty() {
        return Err(format!("is required: {expected}"));
    }
    let length = value.chars().count();
    if length > MAX_SEQ {
        return Err(format!("has {length} characters; {expected}"));
    }
    match value.chars().position(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')) {
        Some(at) => {
            Err(format!("has a character that cannot be printed, the {}. of {length}; {expected}", at + 1))
        }
        None => Ok(value.into_boxed_str()),
    }
}

fn instant(value: &str, timezone: &TimeZone) -> Result<Option<Instant>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    Instant::parse(value, timezone).map(Some).map_err(|why| {
        let shown = mask_digits(value);
        match why {
            NoInstant::Form => format!("{shown:?} is not YYYYMMDDHH24MISS, e.g. 20261123142530"),
            NoInstant::Calendar => {
                format!(
                    "{shown:?} is no date and time of day; YYYYMMDDHH24MISS is expected, e.g. 20261123142530"
                )
            }
            NoInstant::Gap => format!(
                "{shown:?} never was in {}: clocks were put forward over it",
                timezone.iana_name().unwrap_or("the source's time zone")
            ),
        }
    })
}

/// The instant, unless it is one that no call of now can have.
fn in_time(
    field: Field,
    value: &str,
    instant: Option<Instant>,
    received_at: Timestamp,
) -> Result<Option<Instant>, String> {
    let Some(at) = instant.map(Instant::earlier) else { return Ok(None) };
    let shown = mask_digits(value);
    if at.duration_since(received_at) > MAX_AHEAD {
        return Err(format!(
            "{shown:?} is more than a day ahead of the clock here, which showed {received_at:.0} (UTC); a time \
             of day in the source's time zone is expected, not after now"
        ));
    }
    if field == Field::Sdt && at.as_second() < FIRST_SDT {
        return Err(format!("{shown:?} is before 2000; the time when the call began is expected"));
    }
    Ok(instant)
}

/// The instant, of two the one that fits: not before `sdt`.
fn not_before(instant: Instant, sdt: Option<Timestamp>) -> Result<Timestamp, String> {
    match sdt {
        Some(sdt) => {
            instant.since(sdt).ok_or_else(|| "is before sdt; a call ends when it begins, or later".to_owned())
        }
        None => Ok(instant.earlier()),
    }
}

/// Keeps the fault of a field, if it has one.
fn note<T>(faults: &mut Vec<Fault>, field: Field, value: Result<T, String>) -> Option<T> {
    value.map_err(|message| faults.push(fault(field, message))).ok()
}

fn fault(field: Field, message: String) -> Fault {
    Fault { field: field.name().to_owned(), message }
}
