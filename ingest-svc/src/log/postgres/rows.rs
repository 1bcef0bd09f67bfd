//! Our types as the database's values.

use tokio_postgres::types::Type;

/// A number, or its last digits, in the order in which the callers are kept: read backwards.
pub(super) fn reversed(digits: &str) -> String {
    digits.chars().rev().collect()
}

/// How the id begins that a deleted store gets when another one has its id. No store's own id begins with a space.
pub(super) const FORMER: &str = " former ";

/// Whether the database can have such a text: it has no text with a NUL, and refuses a question that has one.
pub(super) fn can_exist(text: &str) -> bool {
    !text.contains('\0')
}

/// A position, count or sequence; the database has no unsigned numbers.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same, read. The tables have no negative one.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The parameters of a statement, each with its type.
pub(super) type Parameters<'a> = &'a [(&'a (dyn tokio_postgres::types::ToSql + Sync), Type)];
