//! Stores and their numbers: which store a number belongs to, and what a change of a store does. Pure: no database, no clock.

mod directory;
mod number;
mod upsert;

pub(crate) use directory::{Directory, Route};
pub use number::{Line, NumberKind, OwnedNumber, StoreNumber, VirtualNumber};
pub(crate) use upsert::{Assigned, ExistingStore, changed_numbers, plan};
pub use upsert::{Change, Conflict, Moving, StoreEntry, Upserted};

/// The log's own key of a store. A store that is deleted and made again gets a new one; its id stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StoreKey(pub(crate) i64);
