//! Which errors mean that a row cannot be understood, and not that the file cannot be read.

use super::super::unreadable::{Kind, UnreadableRows};

impl UnreadableRows {
    /// What was read, or `None` if it cannot be understood.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn readable<T>(
        &self,
        kind: Kind,
        key: i64,
        read: rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => {
                self.note(kind, key);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
