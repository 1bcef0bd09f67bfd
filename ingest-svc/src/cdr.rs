//! A call detail record, parsed once: outside this module no string is a number or an instant.
//!
//! ```text
//! query, form, JSON, gRPC ─► RawFields ─► Cdr::parse ─► Cdr ─► Record ─► log
//!                                              └─► Faults, all at once
//! ```
//!
//! `Debug` and errors show phone numbers masked, and no texts. `Serialize` writes everything whole: the log keeps a record in
//! this form, to merge it with the call's next one, and nothing else may use it. `Deserialize` trusts the log, and does not
//! check anything.

mod fault;
mod fields;
mod instant;
mod other;
mod parse;
mod times;
mod value;

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    phone::{Called, Caller},
    source::Source,
};
pub use fault::{Fault, Faults};
pub use fields::{Cdr, Field, RawFields};
pub use value::Fingerprint;

/// A record as it was received.
#[derive(Debug, Clone)]
pub struct Record {
    /// The name of the source that sent it.
    pub source: Arc<str>,
    /// Its content.
    pub cdr: Cdr,
    /// Whether it has the parameter that the source sends only for answered calls (`answered_by`), with a value that does not
    /// stand for none, as zeros do. In a [final](Cdr::is_final) record: whether the call was answered.
    pub answered: bool,
    /// When ingest-svc had read it.
    pub received_at: Timestamp,
    /// By which it is recognised when it is sent again. Computed here, not in the one thread that writes to the log.
    pub fingerprint: Fingerprint,
    /// W3C trace context, if it is traced.
    pub traceparent: Option<Box<str>>,
}

impl Record {
    /// Reads a record from `source`.
    ///
    /// # Errors
    /// All faults of the record.
    pub fn parse(fields: RawFields, source: &Source, received_at: Timestamp) -> Result<Self, Faults> {
        let answered = fields.get(source.answered_by()).is_some_and(|value| !instant::stands_for_none(value));
        let cdr = Cdr::parse(fields, source, received_at)?;
        let fingerprint = cdr.fingerprint();
        Ok(Self { source: source.name().clone(), cdr, answered, received_at, fingerprint, traceparent: None })
    }
}

impl Cdr {
    /// Reads a record that was received from `source` at `received_at`.
    ///
    /// # Errors
    /// All faults of the record, in the order of its fields.
    pub fn parse(fields: RawFields, source: &Source, received_at: Timestamp) -> Result<Self, Faults> {
        parse::cdr(fields, source.timezone(), received_at)
    }

    /// The provider's identifier of the call, 1–64 printable characters. Providers use it again after a day.
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

    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The virtual number that was dialled. Without it there is a [`ton`](Self::ton).
    pub fn vn(&self) -> Option<&Called> {
        self.vn.as_ref()
    }

    /// The line to which the provider forwards.
    pub fn ton(&self) -> Option<&Called> {
        self.ton.as_ref()
    }

    /// The provider's text; 2 KiB of it at most.
    pub fn memo(&self) -> Option<&str> {
        self.text(Field::Memo)
    }

    /// Unknown parameters as received: the first ones by their names, at most 32 of them and 4 KiB of names and values. A name
    /// is cut to 64 bytes, a value to 256.
    pub fn other(&self) -> &BTreeMap<String, String> {
        &self.other
    }

    /// Whether it had more unknown parameters than are kept.
    pub fn had_more(&self) -> bool {
        other::were_more(&self.other)
    }

    /// Whether this is the final record: the call is over.
    pub fn is_final(&self) -> bool {
        self.edt.is_some()
    }
}

/// Masks numbers, and leaves out texts, which may contain numbers.
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
