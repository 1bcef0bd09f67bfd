//! Faults of what is imported. They show values unmasked: the sender has to find them in its own file.

use ringpad_proto::v1::FieldViolation;

/// Characters of a value that are shown in a fault.
const SHOWN: usize = 100;
/// Bytes of a fault in addition to its texts, approximately.
const FAULT: usize = 64;

/// Bytes that faults may still have, approximately.
#[derive(Debug)]
pub(super) struct FaultBudget(pub(super) usize);

impl FaultBudget {
    /// Takes a fault's bytes; false if there are not enough.
    pub(super) fn take(&mut self, fault: &FieldViolation) -> bool {
        let bytes = fault.field.len() + fault.description.len() + FAULT;
        let fits = bytes <= self.0;
        self.0 = self.0.saturating_sub(bytes);
        fits
    }
}

/// The faults of one store or customer, as many as the budget allows.
pub(super) struct FaultList<'a> {
    pub(super) listed: Vec<FieldViolation>,
    /// How many more there are.
    pub(super) left_out: usize,
    budget: &'a mut FaultBudget,
}

impl<'a> FaultList<'a> {
    pub(super) fn new(budget: &'a mut FaultBudget) -> Self {
        Self { listed: Vec::new(), left_out: 0, budget }
    }

    /// Adds one, or only counts it.
    pub(super) fn add(&mut self, field: &str, description: String) {
        let fault = FieldViolation { field: field.to_owned(), description };
        if self.budget.take(&fault) {
            self.listed.push(fault);
        } else {
            self.left_out += 1;
        }
    }
}

/// A value in quotes, cut if it is too long, without control characters.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A count of an answer: far below 2³².
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
