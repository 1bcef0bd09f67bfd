//! Which call a record belongs to. Providers use a `seq` again, some of them for two calls at a time, so that alone does
//! not tell: a record that is merged into another call shows its caller on that call's pads.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Row, from_json};
use crate::{
    cdr::{Cdr, Fingerprint, Record},
    log::{
        directory::{Directory, NumberKind, Route},
        set_aside::{Kind, SetAside},
    },
    phone::Called,
};

/// How many seconds the `sdt` of two records of one call may be apart.
pub(in crate::log) const SAME_CALL: i64 = 2 * 60 * 60;

/// Calls with a record's `seq` that are looked at, before its `sdt` and behind it. The nearest come first.
const CANDIDATES: i64 = 32;

/// How many of them are read whole; whoever has further calls so near, with one `seq`, gets new ones.
const READ: usize = 8;

/// The call of a record.
pub(super) enum Found {
    /// This call has had it already.
    Repeat(Uuid),
    /// It is one more of this call.
    Known(Box<Row>),
    /// It is the first of its call. There may be others with its `seq`.
    New(Option<Another>),
}

/// Why a record is of another call than an earlier one with the same `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Another {
    /// Its number is another store's, or nobody's.
    Number,
    /// One of the two calls had ended before the other one began.
    Ended,
    /// They began more than two hours apart.
    Apart,
}

/// A call's row, its facts not read yet.
struct Candidate {
    /// Seconds between its `sdt` and the record's.
    apart: i64,
    id: Uuid,
    fingerprints: Vec<Fingerprint>,
    key: i64,
    store: Option<i64>,
}

impl Candidate {
    /// Reads `key, id, store, fingerprints, sdt`; `sdt` is the record's.
    fn read(row: &rusqlite::Row<'_>, sdt: i64) -> rusqlite::Result<Self> {
        let (fingerprints, _) = row.get_ref(3)?.as_blob()?.as_chunks();
        Ok(Self {
            apart: sdt.abs_diff(row.get(4)?).cast_signed(),
            id: Uuid::from_bytes(row.get(1)?),
            fingerprints: fingerprints.to_vec(),
            key: row.get(0)?,
            store: row.get(2)?,
        })
    }

    fn row(self, connection: &Connection) -> rusqlite::Result<Row> {
        let Self { apart: _, id, fingerprints, key, store } = self;
        let facts = connection
            .prepare_cached("SELECT facts FROM calls WHERE key = ?1")?
            .query_row([key], |row| from_json(row.get_ref(0)?.as_bytes()?, 0))?;
        Ok(Row { key: Some(key), id, store, facts, fingerprints })
    }
}

/// Finds the call that a record belongs to: of several, the one whose `sdt` is nearest.
pub(super) fn call_of(
    connection: &Connection,
    directory: &Directory,
    set_aside: &SetAside,
    record: &Record,
) -> rusqlite::Result<Found> {
    let candidates = candidates(connection, set_aside, record)?;
    // In any of them: a repeat must find its own call, though another one may be as near.
    if let Some(call) = candidates.iter().find(|call| call.fingerprints.contains(&record.fingerprint)) {
        return Ok(Found::Repeat(call.id));
    }
    let is_used = !candidates.is_empty();
    let mut nearest = None;
    for candidate in candidates.into_iter().take_while(|candidate| candidate.apart <= SAME_CALL).take(READ) {
        let (key, call) = (candidate.key, candidate.row(connection));
        // One that cannot be read is none: its records make a new one.
        let Some(call) = set_aside.readable(Kind::Facts, key, call)? else { continue };
        let Some(why) = another(directory, &call, record) else { return Ok(Found::Known(Box::new(call))) };
        nearest = nearest.or(Some(why));
    }
    Ok(Found::New(nearest.or(is_used.then_some(Another::Apart))))
}

/// Why the record is none of this call, if it is none.
fn another(directory: &Directory, call: &Row, record: &Record) -> Option<Another> {
    let (facts, cdr) = (&call.facts, &record.cdr);
    if is_elsewhere(directory, call, cdr) {
        return Some(Another::Number);
    }
    let before = |end: Option<i64>, begin: i64| end.is_some_and(|end| end < begin);
    let is_over = before(facts.edt(), cdr.sdt().as_second())
        || before(cdr.edt().map(|edt| edt.as_second()), facts.sdt());
    is_over.then_some(Another::Ended)
}

/// Whether the record's number is not one of the call's store. A number that the call has had itself is no other one,
/// though it may have got its owner, or another one, since.
fn is_elsewhere(directory: &Directory, call: &Row, cdr: &Cdr) -> bool {
    let facts = &call.facts;
    match directory.route(cdr.vn().map(Called::key), cdr.ton().map(Called::key)) {
        Some(Route { kind, number, store }) => {
            // A call without a store, and without such a number, may get both.
            let has_one = call.store.is_some() || facts.called(kind).is_some();
            call.store != Some(store) && has_one && !facts.names(kind, number)
        }
        // Nobody's yet, or a line, of which a call may see several.
        None => {
            let kind = NumberKind::VirtualNumber;
            match (cdr.vn(), facts.called(kind)) {
                (Some(number @ Called::Number(_)), Some(Called::Number(_))) => {
                    !facts.names(kind, number.key())
                }
                _ => false,
            }
        }
    }
}

/// The calls with the record's `seq`, the nearest in time first.
fn candidates(
    connection: &Connection,
    set_aside: &SetAside,
    record: &Record,
) -> rusqlite::Result<Vec<Candidate>> {
    let mut select = connection.prepare_cached(
        "SELECT * FROM (
           SELECT key, id, store, fingerprints, sdt FROM calls
           WHERE source = ?1 AND seq = ?2 AND sdt <= ?3 ORDER BY sdt DESC LIMIT ?4)
         UNION ALL
         SELECT * FROM (
           SELECT key, id, store, fingerprints, sdt FROM calls
           WHERE source = ?1 AND seq = ?2 AND sdt > ?3 ORDER BY sdt LIMIT ?4)",
    )?;
    let sdt = record.cdr.sdt().as_second();
    let mut rows = select.query(params![&*record.source, record.cdr.seq(), sdt, CANDIDATES])?;
    let mut candidates = Vec::new();
    while let Some(row) = rows.next()? {
        candidates.extend(set_aside.readable(Kind::Facts, row.get(0)?, Candidate::read(row, sdt))?);
    }
    candidates.sort_by_key(|candidate| candidate.apart);
    Ok(candidates)
}
