//! A call, merged from its records. Values of a final record take precedence over values of a ring record, whichever came first.
//! Among records of one kind the later one corrects the earlier one, parameter by parameter.

use prost::Message;
use ringpad_proto::v1;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{history::History, pad_state::PadState};
use crate::{
    cdr::{Cdr, Fingerprint},
    customer::Customer,
    phone::{Called, Caller, PhoneNumber},
    store::{Line, NumberKind, StoreKey, StoreNumber, VirtualNumber},
};

/// A call as the log keeps it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Uuid,
    /// Decided at the call's first record that finds a store, and kept.
    pub(crate) store: Option<StoreKey>,
    pub(crate) facts: Facts,
    /// Of the records it has had, oldest first.
    pub(crate) fingerprints: Vec<Fingerprint>,
}

impl Call {
    /// A call without a record.
    pub(crate) fn new(id: Uuid) -> Self {
        Self { id, store: None, facts: Facts::default(), fingerprints: Vec::new() }
    }
}

/// The values of a call's records, and what pads have done. The log keeps it as JSON, so that the call's next record can be
/// merged: the names of the members must not change.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The ring records, merged.
    ring: Option<Cdr>,
    /// The final records, merged.
    end: Option<Cdr>,
    /// By the source's rule, which is applied to final records.
    answered: bool,
    /// What the store knew of the caller when both were first known.
    pub(super) history: Option<History>,
    /// Until when its last ring pops up, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pop_until: Option<i64>,
    /// What pads have done to it; no record changes that.
    #[serde(rename = "doings", default, skip_serializing_if = "PadState::is_empty")]
    pub(super) pad_state: PadState,
}

impl Facts {
    /// The facts of a call from the log, with what the log keeps only in the call as pads see it.
    pub(crate) fn with_customers_of(mut self, seen: &[u8]) -> Self {
        if let Some(history) = &mut self.history {
            let seen = v1::Call::decode(seen).unwrap_or_default();
            history.customers = seen.customers.into_iter().map(Customer::from).collect();
        }
        self
    }

    /// Adds a record. True: the call had room for all parameters without a field until now, and now some were left out.
    pub(super) fn add(&mut self, record: Cdr, answered: bool) -> bool {
        let of_its_kind = if record.is_final() {
            self.answered |= answered;
            &mut self.end
        } else {
            &mut self.ring
        };
        let had_more = record.had_more();
        let (merged, earlier_had_more) = match of_its_kind.take() {
            Some(earlier) => {
                let earlier_had_more = earlier.had_more();
                (record.completed_by(earlier), earlier_had_more)
            }
            None => (record, false),
        };
        let has_more = had_more || (merged.had_more() && !earlier_had_more);
        *of_its_kind = Some(merged);
        has_more
    }

    /// A value of the final record, else of the ring record.
    pub(super) fn value<'a, T>(&'a self, of: impl Fn(&'a Cdr) -> Option<T>) -> Option<T> {
        self.end.as_ref().and_then(&of).or_else(|| self.ring.as_ref().and_then(&of))
    }

    /// The values of all final records, and those of all ring records.
    fn records(&self) -> impl Iterator<Item = &Cdr> {
        [&self.end, &self.ring].into_iter().flatten()
    }

    /// Every number by which a store may be found for the call, unless its next record has another one.
    pub(crate) fn store_numbers(&self) -> impl Iterator<Item = StoreNumber> {
        self.records().flat_map(StoreNumber::of)
    }

    /// Every number that may be the caller's after the call's next record, unless that has another one.
    pub(crate) fn caller_numbers(&self) -> impl Iterator<Item = &PhoneNumber> {
        self.records().filter_map(|record| record.caller().number())
    }

    /// When the call began, in Unix seconds.
    pub(crate) fn sdt(&self) -> i64 {
        self.value(|record| Some(record.sdt().as_second())).unwrap_or_default()
    }

    /// When the call was over, in Unix seconds.
    pub(super) fn edt(&self) -> Option<i64> {
        self.value(Cdr::edt).map(jiff::Timestamp::as_second)
    }

    pub(super) fn virtual_number(&self) -> Option<VirtualNumber> {
        self.value(VirtualNumber::of)
    }

    pub(super) fn line(&self) -> Option<Line> {
        self.value(Line::of)
    }

    pub(super) fn called(&self, kind: NumberKind) -> Option<&Called> {
        self.value(|record| called(record, kind))
    }

    /// Whether one of its records has had this number.
    pub(super) fn has_had(&self, kind: NumberKind, number: &Called) -> bool {
        self.records()
            .any(|record| called(record, kind).is_some_and(|called| called.canonical() == number.canonical()))
    }

    /// The caller. A number counts wherever one was given: a final record without the caller does not make it withheld.
    pub(super) fn caller(&self) -> &Caller {
        let number = self.value(|record| record.caller().number().map(|_| record.caller()));
        number.or_else(|| self.value(|record| Some(record.caller()))).unwrap_or(&Caller::Withheld)
    }

    pub(crate) fn caller_number(&self) -> Option<&PhoneNumber> {
        self.caller().number()
    }

    pub(crate) fn state(&self) -> v1::CallState {
        match (&self.end, self.answered) {
            (Some(_), true) => v1::CallState::Completed,
            (Some(_), false) => v1::CallState::Missed,
            (None, _) if self.value(Cdr::swidt).is_some() => v1::CallState::Answered,
            (None, _) => v1::CallState::Ringing,
        }
    }
}

/// The number of a record.
pub(super) fn called(record: &Cdr, kind: NumberKind) -> Option<&Called> {
    match kind {
        NumberKind::VirtualNumber => record.vn(),
        NumberKind::Line => record.ton(),
    }
}
