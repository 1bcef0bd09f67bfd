//! Reads a log that is copied to PostgreSQL, and marks its file as moved.

use std::{fs, path::Path};

use rusqlite::{Connection, Row, types::ValueRef};
use uuid::Uuid;

use super::{
    super::copy::{Batch, Column, Fault, Faulty, Kind, Marks, TABLES, Table, Value},
    connection::connect,
    error::FileError,
    file::{LogFile, write_through},
    open::open_writer,
    schema::{self, Moved},
};

/// Rows of a batch at most.
const ROWS: usize = 1_000;
/// Bytes of the texts and blobs of a batch, unless its last row has more.
const BYTES: usize = 1024 * 1024;

/// A log that this process holds, and that no ingest-svc has open.
pub(in super::super) struct Source {
    connection: Connection,
    marks: Marks,
    moved: Option<Moved>,
    /// Dropped after the connection.
    _file: LogFile,
}

impl Source {
    /// Opens the log, and migrates an older one.
    pub(in super::super) fn open(path: &Path) -> Result<Self, FileError> {
        // To hold a file makes it if there is none.
        fs::metadata(path).map_err(FileError::File)?;
        let file = LogFile::hold(path)?;
        let connection = connect(file.path())?;
        let moved = schema::moved(&connection)?;
        let connection = if moved.is_some() {
            connection
        } else {
            schema::check_version(&connection)?;
            connection.close().map_err(|(_, error)| error)?;
            open_writer(&file)?
        };
        let marks = marks(&connection)?;
        Ok(Self { connection, marks, moved, _file: file })
    }

    pub(in super::super) fn marks(&self) -> Marks {
        self.marks
    }

    /// Whether it was moved before, and where to.
    pub(in super::super) fn moved(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }

    /// Reads all tables, each in the order of its key. `send` takes the batches; false: no more are wanted.
    pub(in super::super) fn read(&self, mut send: impl FnMut(Batch) -> bool) -> Result<(), FileError> {
        // One state of all tables, also if another program changes the file.
        let snapshot = self.connection.unchecked_transaction()?;
        for table in &TABLES {
            let mut select = snapshot.prepare(&select(table))?;
            let mut found = select.query([])?;
            let mut reading = Reading::new(table);
            while let Some(row) = found.next()? {
                reading.add(row)?;
                if reading.is_full() && !send(reading.take()) {
                    return Ok(());
                }
            }
            if !send(reading.take()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes into the file where the log is from now on: no ingest-svc opens it any more.
    pub(in super::super) fn mark_moved(self, to: &str) -> Result<(), FileError> {
        if self.moved.is_none() {
            schema::mark_moved(&self.connection, to)?;
            write_through(&self.connection)?;
        }
        Ok(self.connection.close().map_err(|(_, error)| error)?)
    }
}

/// What the tables do not say.
fn marks(connection: &Connection) -> rusqlite::Result<Marks> {
    let mut rows = 0;
    for table in &TABLES {
        let count = format!("SELECT count(*) FROM {}", table.name);
        rows += connection.query_row(&count, [], |row| row.get::<_, u64>(0))?;
    }
    connection.query_row(
        "SELECT epoch, relayed, max(relayed, ifnull((SELECT max(key) FROM events), 0)),
           ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'quarantine'), 0) FROM meta",
        [],
        |row| {
            Ok(Marks {
                epoch: Uuid::from_bytes(row.get(0)?),
                relayed: row.get(1)?,
                newest: row.get(2)?,
                quarantined: row.get(3)?,
                rows,
            })
        },
    )
}

/// Selects the columns of a table as PostgreSQL has them. The events of this file have one owner, and their keys are its sequence.
fn select(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| match (table.name, column.name) {
        ("events", "sequence") => "key",
        ("events", "owner") => "(SELECT epoch FROM meta)",
        ("quarantine", "bytes") => {
            "octet_length(query) + ifnull(octet_length(body), 0) + octet_length(faults)"
        }
        (_, name) => name,
    });
    format!("SELECT {} FROM {} ORDER BY 1", columns.collect::<Vec<_>>().join(", "), table.name)
}

/// The rows of a table that are read and not yet sent.
struct Reading {
    batch: Batch,
    bytes: usize,
}

impl Reading {
    fn new(table: &'static Table) -> Self {
        Self { batch: Batch { table, rows: Vec::new(), faulty: Vec::new() }, bytes: 0 }
    }

    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let table = self.batch.table;
        let mut values = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let found = row.get_ref(index)?;
            let Some(value) = value(found, column) else {
                self.note(values.first(), column.name, Fault::LeftOut);
                return Ok(());
            };
            self.bytes +=
                if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = found { bytes.len() } else { 0 };
            values.push(value);
        }
        if let Some(column) = table.unreadable(&values) {
            self.note(values.first(), column, Fault::Unreadable);
        }
        self.batch.rows.push(values);
        Ok(())
    }

    fn note(&mut self, first: Option<&Value>, column: &'static str, fault: Fault) {
        let table = self.batch.table;
        let number = match first {
            Some(Value::Int8(number)) => Some(*number),
            _ => None,
        };
        let row = (table.columns.first().map_or("", |first| first.name), number);
        self.batch.faulty.push(Faulty { table: table.name, row, column, fault });
    }

    fn is_full(&self) -> bool {
        self.batch.rows.len() + self.batch.faulty.len() >= ROWS || self.bytes >= BYTES
    }

    fn take(&mut self) -> Batch {
        let table = self.batch.table;
        std::mem::replace(self, Self::new(table)).batch
    }
}

/// A value as PostgreSQL's column can have it. SQLite has values of any type in any column.
fn value(found: ValueRef<'_>, column: &Column) -> Option<Value> {
    Some(match (column.kind, found) {
        (_, ValueRef::Null) if column.nullable => Value::Null,
        (Kind::Bool, ValueRef::Integer(number)) => Value::Bool(match number {
            0 => false,
            1 => true,
            _ => return None,
        }),
        (Kind::Int2, ValueRef::Integer(number)) => Value::Int2(number.try_into().ok()?),
        (Kind::Int4, ValueRef::Integer(number)) => Value::Int4(number.try_into().ok()?),
        (Kind::Int8, ValueRef::Integer(number)) => Value::Int8(number),
        (Kind::Text, ValueRef::Text(text)) if !text.contains(&0) => {
            Value::Text(str::from_utf8(text).ok()?.to_owned())
        }
        (Kind::Bytes, ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Value::Bytes(bytes.to_owned()),
        (Kind::Uuid, ValueRef::Blob(bytes)) => Value::Uuid(Uuid::from_slice(bytes).ok()?),
        _ => return None,
    })
}
