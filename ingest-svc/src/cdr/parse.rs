//! From parameters to a record, or to all faults.

use jiff::{Timestamp, tz::TimeZone};

use super::{
    fault::{Fault, Faults},
    fields::{Cdr, Field, Parsed, RawFields},
    times::{Times, times},
};
use crate::phone::{Called, Caller};

/// Characters of a `seq` at most.
const MAX_SEQ: usize = 64;

/// Reads a record that was received at `received_at`.
pub(super) fn cdr(mut fields: RawFields, timezone: &TimeZone, received_at: Timestamp) -> Result<Cdr, Faults> {
    let mut faults = Faults(Vec::new());
    let seq = faults.value_of(Field::Seq.name(), seq(fields.take(Field::Seq)));
    let Times { sdt, edt, swidt } = times(&mut fields, timezone, received_at, &mut faults);
    let caller = Caller::parse(&fields.take(Field::Fromn));
    let mut called = |field| {
        let text = fields.take(field);
        (!text.is_empty()).then(|| Called::parse(&text))
    };
    let (vn, ton) = (called(Field::Vn), called(Field::Ton));
    if vn.is_none() && ton.is_none() {
        let message = "is required where there is no ton: the number that was dialled, e.g. 0507-1234-5678";
        faults.0.push(Fault::of(Field::Vn.name(), message.to_owned()));
    }
    faults.0.append(&mut fields.faults);
    let (Some(seq), Some(sdt), true) = (seq, sdt, faults.0.is_empty()) else {
        return Err(faults);
    };
    Ok(Parsed { seq, sdt, edt, swidt, caller, vn, ton }.with_texts(fields))
}

fn seq(value: String) -> Result<Box<str>, String> {
    // A `seq` may contain a caller's number in any form, so it is never shown.
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
