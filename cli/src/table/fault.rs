//! A fault of a file.

use std::fmt;

/// The line that has the fault, and the fault in words. The first line is 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineFault {
    pub(crate) line: u64,
    pub(crate) text: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}
