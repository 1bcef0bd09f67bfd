//! The instants of a record: when the call began, was connected and was over.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    fault::{Fault, Faults},
    fields::{Field, RawFields},
    instant::{InstantError, LocalInstant, stands_for_none},
};
use crate::phone::mask_digits;

/// How far a record's instants may be ahead of our clock at receipt, because a provider's clock or time zone may be wrong. A
/// call further ahead would be the newest one of its store and its caller for all that time.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// No call of this system began before 2000 (UTC), in seconds since 1970.
const FIRST_SDT: i64 = 946_684_800;

/// The instants that a record has.
pub(super) struct Times {
    /// `None`: it has a fault.
    pub(super) sdt: Option<Timestamp>,
    pub(super) edt: Option<Timestamp>,
    pub(super) swidt: Option<Timestamp>,
}

/// Removes the instants from the parameters of a record that was received at `received_at`.
pub(super) fn times(
    fields: &mut RawFields,
    timezone: &TimeZone,
    received_at: Timestamp,
    faults: &mut Faults,
) -> Times {
    let mut instant = |field| {
        let value = fields.take(field);
        // Providers fill these fields with something until there is an instant.
        if field != Field::Sdt && stands_for_none(&value) {
            return None;
        }
        let instant =
            instant(&value, timezone).and_then(|instant| in_time(field, &value, instant, received_at));
        faults.value_of(field.name(), instant).flatten()
    };
    let (begin, end, connected) = (instant(Field::Sdt), instant(Field::Edt), instant(Field::Swidt));
    let sdt = begin.map(LocalInstant::earlier);
    if sdt.is_none() && !faults.0.iter().any(|fault| fault.field == Field::Sdt.name()) {
        faults.0.push(Fault::of(
            Field::Sdt.name(),
            "is required: YYYYMMDDHH24MISS, e.g. 20261123142530".to_owned(),
        ));
    }
    let edt = end.and_then(|end| faults.value_of(Field::Edt.name(), not_before(end, sdt)));
    let swidt = connected.map(|connected| not_before(connected, sdt).unwrap_or(connected.earlier()));
    Times { sdt, edt, swidt }
}

fn instant(value: &str, timezone: &TimeZone) -> Result<Option<LocalInstant>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    LocalInstant::parse(value, timezone).map(Some).map_err(|why| {
        let shown = mask_digits(value);
        match why {
            InstantError::Form => format!("{shown:?} is not YYYYMMDDHH24MISS, e.g. 20261123142530"),
            InstantError::Calendar => {
                format!(
                    "{shown:?} is not a valid date and time of day; YYYYMMDDHH24MISS is expected, e.g. 20261123142530"
                )
            }
            InstantError::Gap => format!(
                "{shown:?} does not exist in {}: clocks were set forward past it",
                timezone.iana_name().unwrap_or("the source's time zone")
            ),
        }
    })
}

/// The instant, unless no call that is received now can have it.
fn in_time(
    field: Field,
    value: &str,
    instant: Option<LocalInstant>,
    received_at: Timestamp,
) -> Result<Option<LocalInstant>, String> {
    let Some(at) = instant.map(LocalInstant::earlier) else { return Ok(None) };
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

/// The instant, of two possible ones the first that is not before `sdt`.
fn not_before(instant: LocalInstant, sdt: Option<Timestamp>) -> Result<Timestamp, String> {
    match sdt {
        Some(sdt) => {
            instant.since(sdt).ok_or_else(|| "is before sdt; a call ends when it begins, or later".to_owned())
        }
        None => Ok(instant.earlier()),
    }
}
