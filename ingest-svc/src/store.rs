//! Stores and their numbers: which store a number belongs to, and what a change of a store does. Pure: no database, no clock.

mod directory;
mod key;
mod number;
mod upsert;

pub(crate) use directory::{Directory, NextPosition, Route};
pub(crate) use key::StoreKey;
pub use number::{Line, NumberKind, OwnedNumber, StoreNumber, VirtualNumber};
pub(crate) use upsert::{Assigned, ExistingStore, changed_numbers, plan};
pub use upsert::{Change, Conflict, Moving, StoreEntry, Upserted};
