//! Opens the log's file for its writer and for its readers.

use rusqlite::Connection;

use super::{
    connection::{PAGE, connect},
    error::FileError,
    file::LogFile,
    schema::migrate,
};

/// KiB of pages that the writer keeps. More would not be faster: after each commit that has put pages into another order, as many
/// do, SQLite looks through all of them.
const CACHE_KIB: i64 = 16 * 1024;

/// Opens the log's one writing connection, and makes the tables if the file is new.
///
/// `synchronous = FULL` is what makes an answered record survive a power cut. Checkpoints are left to
/// [`super::checkpoint`], so that no accept pays for one.
pub(super) fn open_writer(file: &LogFile) -> Result<Connection, FileError> {
    let mut connection = connect(file.path())?;
    if let Some(other_name) = file.other_name(&connection)? {
        connection.close().map_err(|(_, error)| error)?;
        other_name.take_over()?;
        connection = connect(file.path())?;
    }
    // Of a new file; one that exists keeps its own.
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The references between the tables are for people who read this file, and for tests: only the writer writes.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What is deleted is overwritten: after the retention the file has none of its numbers and texts.
    connection.pragma_update(None, "secure_delete", true)?;
    migrate(&mut connection)?;
    file.note_name(&connection)?;
    Ok(connection)
}

/// Opens a connection that only reads. Readers never wait for the writer, and the writer does not wait for them.
pub(super) fn open_reader(file: &LogFile) -> rusqlite::Result<Connection> {
    let connection = connect(file.path())?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}
