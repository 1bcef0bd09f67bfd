//! How the log refers to a store.

/// The log's own key of a store. A store that is deleted and made again gets a new one; its id stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StoreKey(pub(crate) i64);
