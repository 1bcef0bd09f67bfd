//! How the log refers to a call.

/// The log's own key of a call: later calls have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey(pub(crate) i64);
