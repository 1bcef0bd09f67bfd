//! What is wrong with a record.

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The parameter, or `body` if the request's body cannot be read.
    pub field: String,
    /// What is wrong with its value, and what would be right; phone numbers are masked.
    pub message: String,
}

/// All that is wrong with a record; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a call record: {}", self.sentence())]
pub struct Faults(pub Vec<Fault>);

impl Fault {
    pub(crate) fn of(field: &str, message: String) -> Self {
        Self { field: field.to_owned(), message }
    }
}

impl Faults {
    /// The value, or `None` and one more fault.
    pub(super) fn value_of<T>(&mut self, field: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|message| self.0.push(Fault::of(field, message))).ok()
    }

    fn sentence(&self) -> String {
        let faults: Vec<_> =
            self.0.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
        faults.join("; ")
    }
}
