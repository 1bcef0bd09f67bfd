//! A call detail record, parsed once: past this module there are no strings that might be something else.
//!
//! ```text
//! query, form, JSON, gRPC ─► RawFields ─► Cdr::parse ─► Cdr ─► Record ─► log
//!                                              └─► Faults, all at once
//! ```
//!
//! `Debug` and errors show phone numbers masked and no text. `Serialize` writes everything whole: it is the form in which
//! the log keeps a record to merge it with the call's next one, and nothing else may use it. `Deserialize` trusts what
//! was written so; it is not for input.

mod fields;
mod instant;
mod other;
mod parse;
mod raw_fields;
mod times;
mod value;

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    phone::{Called, Caller},
    source::Source,
};
pub use fields::{Cdr, Field};
pub use raw_fields::RawFields;
pub use value::Fingerprint;

/// A record as it was received.
#[derive(Debug, Clone)]
pub struct Record {
    /// The name of the source that sent it.
    pub source: Arc<str>,
    /// What it says.
    pub cdr: Cdr,
    /// Whether it has the parameter by which the source tells answered calls from missed ones (`answered_by`), with more in
    /// it than zeros or another sign of nothing. Of a [final](Cdr::is_final) record: whether the call had been answered.
    pub answered: bool,
    /// When ingest-svc had read it.
    pub received_at: Timestamp,
    /// What it is recognised by when it comes again: the [fingerprint](Cdr::fingerprint), taken here so that the log's
    /// one thread need not.
    pub fingerprint: Fingerprint,
    /// W3C trace context, if its way is traced.
    pub traceparent: Option<Box<str>>,
}

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The parameter; `body` if the request's body cannot be read at all.
    pub field: String,
    /// What is wrong with its value and what would be right; phone numbers masked.
    pub message: String,
}

/// All that is wrong with a record; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a call record: {}", self.sentence())]
pub struct Faults(pub Vec<Fault>);

impl Record {
    /// Reads a record that came from `source`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once; see [`Cdr::parse`].
    pub fn parse(fields: RawFields, source: &Source, received_at: Timestamp) -> Result<Self, Faults> {
        let answered = fields.get(source.answered_by()).is_some_and(|value| !instant::stands_for_none(value));
        let cdr = Cdr::parse(fields, source, received_at)?;
        let fingerprint = cdr.fingerprint();
        Ok(Self { source: source.name().clone(), cdr, answered, received_at, fingerprint, traceparent: None })
    }
}

impl Fault {
    fn of(field: Field, message: String) -> Self {
        Self { field: field.name().to_owned(), message }
    }
}

impl Faults {
    /// Keeps the fault of a field, if it has one.
    fn note<T>(&mut self, field: Field, value: Result<T, String>) -> Option<T> {
        value.map_err(|message| self.0.push(Fault::of(field, message))).ok()
    }

    fn sentence(&self) -> String {
        let faults: Vec<_> =
            self.0.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
        faults.join("; ")
    }
}

impl Cdr {
    /// Reads a record that came from `source` at `received_at`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once, in the order of the contract's table.
    pub fn parse(fields: RawFields, source: &Source, received_at: Timestamp) -> Result<Self, Faults> {
        parse::cdr(fields, source.timezone(), received_at)
    }

    /// The provider's name for the call, 1–64 printable characters. Providers use one again after a day.
    pub fn seq(&self) -> &str {
        &self.seq
    }

    /// When the call began.
    pub fn sdt(&self) -> Timestamp {
        self.sdt
    }

    /// When the call was over; not before [`sdt`](Self::sdt).
    pub fn edt(&self) -> Option<Timestamp> {
        self.edt
    }

    /// When the call was connected.
    pub fn swidt(&self) -> Option<Timestamp> {
        self.swidt
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The virtual number that was dialled. There is this or [`ton`](Self::ton).
    pub fn vn(&self) -> Option<&Called> {
        self.vn.as_ref()
    }

    /// The line behind it.
    pub fn ton(&self) -> Option<&Called> {
        self.ton.as_ref()
    }

    /// The provider's text; 2 KiB of it at most.
    pub fn memo(&self) -> Option<&str> {
        self.text(Field::Memo)
    }

    /// Parameters that the contract does not name, as received: 32 of them at most, the first ones by their names, and
    /// 4 KiB of their names and values. A name is cut to 64 bytes, a value to 256.
    pub fn other(&self) -> &BTreeMap<String, String> {
        &self.other
    }

    /// Whether it had more such parameters than were kept.
    pub fn had_more(&self) -> bool {
        other::were_more(&self.other)
    }

    /// Whether this is the final record: the call is over.
    pub fn is_final(&self) -> bool {
        self.edt.is_some()
    }
}

/// Numbers masked; no text, which may hold numbers too.
impl fmt::Debug for Cdr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cdr")
            .field("sdt", &self.sdt)
            .field("edt", &self.edt)
            .field("swidt", &self.swidt)
            .field("caller", &self.caller)
            .field("vn", &self.vn)
            .field("ton", &self.ton)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
