//! The tables that a log has in both databases, and what is looked at in their rows on the way. A test compares this list with the
//! tables of both.

use std::fmt;

use uuid::Uuid;

use super::super::json::from_json;
use crate::call::{Facts, Reservation, call_within_bounds, update_within_bounds};

/// A table of PostgreSQL. SQLite has one of the same name, from which its columns can be selected.
#[derive(Debug)]
pub(in super::super) struct Table {
    pub(in super::super) name: &'static str,
    /// The first one, of a number, names a row to people.
    pub(in super::super) columns: &'static [Column],
    /// Finds a value of a row that ingest-svc could not read: its column.
    unreadable: fn(&[Value]) -> Option<&'static str>,
}

/// A column of PostgreSQL.
#[derive(Debug)]
pub(in super::super) struct Column {
    pub(in super::super) name: &'static str,
    pub(in super::super) kind: Kind,
    pub(in super::super) nullable: bool,
}

/// What PostgreSQL keeps in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Text,
    Bytes,
    Uuid,
}

/// A value of a column of that kind.
pub(in super::super) enum Value {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
}

/// Without the value: it may be a phone number.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(***)")
    }
}

/// A row that is left out, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// The column that names the row, and its value if that can be read.
    pub row: (&'static str, Option<i64>),
    /// In which table.
    pub table: &'static str,
    /// The column with the fault.
    pub column: &'static str,
    /// What becomes of the row.
    pub fault: Fault,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// PostgreSQL cannot have such a value there: the row is left out.
    LeftOut,
    /// ingest-svc cannot read the value: the row is copied as it is.
    Unreadable,
}

/// Without the value: it may be a phone number.
impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the row ", self.table)?;
        match self.row {
            (column, Some(value)) => write!(f, "with {column} = {value}")?,
            (column, None) => write!(f, "without a valid {column}")?,
        }
        match self.fault {
            Fault::LeftOut => write!(f, " is left out: its {} has no valid value", self.column),
            Fault::Unreadable => {
                write!(f, " is copied as it is: its {} cannot be read by ingest-svc", self.column)
            }
        }
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: false }
}

const fn or_null(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: true }
}

/// In the order in which they are copied.
pub(in super::super) static TABLES: [Table; 9] = [
    Table {
        name: "stores",
        columns: &[
            column("key", Kind::Int8),
            column("id", Kind::Text),
            column("name", Kind::Text),
            column("position", Kind::Int8),
            column("deleted", Kind::Bool),
        ],
        unreadable: |_| None,
    },
    Table {
        name: "numbers",
        columns: &[
            column("store", Kind::Int8),
            column("kind", Kind::Int2),
            column("number", Kind::Text),
            column("display", Kind::Text),
        ],
        unreadable: |_| None,
    },
    Table {
        name: "calls",
        columns: &[
            column("key", Kind::Int8),
            column("id", Kind::Uuid),
            column("source", Kind::Text),
            column("seq", Kind::Text),
            column("sdt", Kind::Int8),
            or_null("store", Kind::Int8),
            or_null("caller", Kind::Text),
            column("state", Kind::Int4),
            column("facts", Kind::Bytes),
            column("fingerprints", Kind::Bytes),
            column("call", Kind::Bytes),
        ],
        unreadable: unreadable_call,
    },
    Table {
        name: "events",
        columns: &[
            column("sequence", Kind::Int8),
            column("owner", Kind::Uuid),
            column("store", Kind::Int8),
            column("position", Kind::Int8),
            column("created", Kind::Int8),
            column("bytes", Kind::Bytes),
        ],
        unreadable: unreadable_event,
    },
    Table {
        name: "callers",
        columns: &[
            column("store", Kind::Int8),
            column("reversed", Kind::Text),
            column("calls", Kind::Int8),
            column("last_call", Kind::Int8),
            column("last_note", Kind::Bytes),
            or_null("last_reservation", Kind::Bytes),
        ],
        unreadable: unreadable_caller,
    },
    Table {
        name: "customers",
        columns: &[
            column("store", Kind::Int8),
            column("reversed", Kind::Text),
            column("id", Kind::Text),
            column("display", Kind::Text),
            column("name", Kind::Text),
            column("car_number", Kind::Text),
            column("note", Kind::Text),
            column("calls", Kind::Int8),
            or_null("last_call", Kind::Int8),
            column("last_note", Kind::Text),
        ],
        unreadable: |_| None,
    },
    Table {
        name: "pads",
        columns: &[
            column("expires", Kind::Int8),
            column("id", Kind::Uuid),
            column("credential", Kind::Bytes),
            or_null("code", Kind::Text),
            or_null("store", Kind::Int8),
            or_null("paired", Kind::Int8),
            column("name", Kind::Text),
            or_null("last_token", Kind::Int8),
            or_null("revoked", Kind::Int8),
        ],
        unreadable: |_| None,
    },
    Table {
        name: "reservations",
        columns: &[column("call", Kind::Int8), column("store", Kind::Int8), column("at", Kind::Int8)],
        unreadable: |_| None,
    },
    Table {
        name: "quarantine",
        columns: &[
            column("key", Kind::Int8),
            column("source", Kind::Text),
            column("received", Kind::Int8),
            column("query", Kind::Bytes),
            column("kind", Kind::Int2),
            or_null("body", Kind::Bytes),
            column("faults", Kind::Text),
            column("charset", Kind::Text),
            column("bytes", Kind::Int8),
        ],
        unreadable: |_| None,
    },
];

impl Table {
    /// The fault of a row that PostgreSQL can have.
    pub(in super::super) fn unreadable(&self, row: &[Value]) -> Option<&'static str> {
        (self.unreadable)(row)
    }
}

fn unreadable_call(row: &[Value]) -> Option<&'static str> {
    let [.., Value::Bytes(facts), _, Value::Bytes(call)] = row else { return None };
    if from_json::<Facts>(facts).is_err() {
        return Some("facts");
    }
    call_within_bounds(call.clone()).is_none().then_some("call")
}

fn unreadable_event(row: &[Value]) -> Option<&'static str> {
    let [.., Value::Int8(position), _, Value::Bytes(bytes)] = row else { return None };
    update_within_bounds(position.cast_unsigned(), bytes.clone()).is_none().then_some("bytes")
}

fn unreadable_caller(row: &[Value]) -> Option<&'static str> {
    let [.., Value::Bytes(reservation)] = row else { return None };
    from_json::<Reservation>(reservation).is_err().then_some("last_reservation")
}
