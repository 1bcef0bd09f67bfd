//! A store's calls, newest first.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        call::within_bounds,
        set_aside::{Kind, SetAside},
    },
    ANSWER,
};

/// Which of a store's calls to read.
#[derive(Debug, Clone)]
pub struct CallQuery {
    /// The store.
    pub store_id: String,
    /// How many at most.
    pub limit: u32,
    /// Continue after this place, which an earlier page ended with.
    pub after: Option<PageMark>,
    /// `CallState`s; empty: all.
    pub states: Vec<i32>,
    /// Calls that began at this Unix second or later.
    pub since: Option<i64>,
    /// Calls that began before this Unix second.
    pub until: Option<i64>,
    /// Digits that the caller's number ends in; empty: any.
    pub caller_suffix: String,
    /// In which queue it waits.
    pub purpose: Purpose,
}

/// What calls are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A pad that comes in.
    Snapshot,
    /// Somebody looks for calls.
    Search,
}

/// A place in a store's calls, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMark {
    /// The call's `sdt`, in Unix seconds.
    pub sdt: i64,
    /// The call's key in the log.
    pub key: i64,
}

/// A store's calls at one instant.
#[derive(Clone)]
pub struct CallPage {
    /// Each an encoded `ringpad.v1.Call`, newest first: as many as were asked for, or about 1 MiB of them.
    pub calls: Vec<Vec<u8>>,
    /// Where the next page goes on; `None` on the last.
    pub next: Option<PageMark>,
    /// What pads show.
    pub store_name: String,
    /// The store's newest position at the same instant.
    pub position: u64,
}

/// Reads one page; `None`: no such store.
pub(in super::super) fn calls(
    connection: &mut Connection,
    query: &CallQuery,
    set_aside: &SetAside,
) -> rusqlite::Result<Option<CallPage>> {
    let snapshot = connection.transaction()?;
    let store: Option<(i64, String, u64)> = snapshot
        .prepare_cached("SELECT key, name, position FROM stores WHERE id = ?1 AND deleted = 0")?
        .query_row([&query.store_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((store, store_name, position)) = store else { return Ok(None) };
    let mut page = Page { query, set_aside, calls: Vec::new(), bytes: 0, last: None };
    let next = if query.caller_suffix.is_empty() {
        newest(&snapshot, store, &mut page)?
    } else {
        ending_in(&snapshot, store, &reversed(&query.caller_suffix), &mut page)?
    };
    Ok(Some(CallPage { calls: page.calls, next, store_name, position }))
}

/// A page that is being filled.
struct Page<'a> {
    query: &'a CallQuery,
    set_aside: &'a SetAside,
    calls: Vec<Vec<u8>>,
    bytes: usize,
    /// The place of the call that was added last.
    last: Option<PageMark>,
}

impl Page<'_> {
    /// Adds a row of `key, sdt, call`, unless the call cannot be read. If the page is full already: where the next one goes on.
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<PageMark>> {
        let key = row.get(0)?;
        let Some(call) = row.get(2).ok().and_then(within_bounds) else {
            self.set_aside.note(Kind::Call, key);
            return Ok(None);
        };
        self.bytes += call.len();
        if self.calls.len() == self.query.limit as usize || (self.bytes > ANSWER && self.last.is_some()) {
            return Ok(self.last);
        }
        self.last = Some(PageMark { key, sdt: row.get(1)? });
        self.calls.push(call);
        Ok(None)
    }
}

impl CallQuery {
    /// One bit for each state that is wanted.
    fn states(&self) -> i64 {
        match self.states.as_slice() {
            [] => -1,
            some => some
                .iter()
                .fold(0, |mask, state| mask | 1_i64.checked_shl(state.unsigned_abs()).unwrap_or_default()),
        }
    }

    /// From which `sdt` on, before which one, and after which place.
    fn range(&self) -> (i64, i64, PageMark) {
        let after = self.after.unwrap_or(PageMark { sdt: i64::MAX, key: i64::MAX });
        (self.since.unwrap_or(i64::MIN), self.until.unwrap_or(i64::MAX), after)
    }
}

/// Calls with any caller.
fn newest(snapshot: &Connection, store: i64, page: &mut Page<'_>) -> rusqlite::Result<Option<PageMark>> {
    let mut select = snapshot.prepare_cached(
        "SELECT key, sdt, call FROM calls INDEXED BY calls_of_store
         WHERE store = ?1 AND sdt >= ?2 AND sdt < ?3 AND (sdt, key) < (?4, ?5) AND ((1 << state) & ?6) != 0
         ORDER BY sdt DESC, key DESC",
    )?;
    let (since, until, after) = page.query.range();
    let mut rows = select.query(params![store, since, until, after.sdt, after.key, page.query.states()])?;
    while let Some(row) = rows.next()? {
        if let Some(next) = page.add(row)? {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Calls with a caller whose number, read backwards, begins with `reversed`. What is found in the index is put in order
/// there; only the calls that are shown are read.
fn ending_in(
    snapshot: &Connection,
    store: i64,
    reversed: &str,
    page: &mut Page<'_>,
) -> rusqlite::Result<Option<PageMark>> {
    // ':' is the character after '9'.
    let mut find = snapshot.prepare_cached(
        "SELECT key FROM calls INDEXED BY calls_by_ending
         WHERE store = ?1 AND reversed >= ?6 AND reversed < ?6 || ':'
           AND sdt >= ?2 AND sdt < ?3 AND (sdt, key) < (?4, ?5)
         ORDER BY sdt DESC, key DESC",
    )?;
    let mut read = snapshot
        .prepare_cached("SELECT key, sdt, call FROM calls WHERE key = ?1 AND ((1 << state) & ?2) != 0")?;
    let (since, until, after) = page.query.range();
    let states = page.query.states();
    let mut keys = find.query(params![store, since, until, after.sdt, after.key, reversed])?;
    while let Some(key) = keys.next()? {
        let mut rows = read.query(params![key.get::<_, i64>(0)?, states])?;
        if let Some(row) = rows.next()?
            && let Some(next) = page.add(row)?
        {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Digits, the last one first.
fn reversed(digits: &str) -> String {
    digits.chars().rev().collect()
}
