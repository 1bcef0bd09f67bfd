//! A store's calls, newest first.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        call::within_bounds,
        ingest::{SAME_CALL, reversed},
        set_aside::{Kind, SetAside},
    },
    ANSWER,
};

/// Calls that a page looks at for those that are wanted: some 30 ms. The next page goes on behind them, so that one may have
/// fewer calls than were asked for, or none.
const LOOKS: u32 = 20_000;

/// Callers with the ending that is looked for, of which it is asked when they last called.
const CALLERS: u32 = 200;

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
    /// Where the next page goes on; `None` on the last. Of calls that few are like a page may be short, or empty, without being
    /// the last.
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
        ending_in(&snapshot, store, &mut page)?
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
    if !page.query.states.is_empty() {
        let until = page.query.until.unwrap_or(i64::MAX);
        return look_through(snapshot, store, until, page, |_| true);
    }
    let mut select = snapshot.prepare_cached(
        "SELECT key, sdt, call FROM calls INDEXED BY calls_of_store
         WHERE store = ?1 AND sdt >= ?2 AND sdt < ?3 AND (sdt, key) < (?4, ?5) ORDER BY sdt DESC, key DESC",
    )?;
    let (since, until, after) = page.query.range();
    let mut rows = select.query(params![store, since, until, after.sdt, after.key])?;
    while let Some(row) = rows.next()? {
        if let Some(next) = page.add(row)? {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Calls with a caller whose number ends in the digits that are asked for. What the store knows of its callers says whether
/// there are any, and before when: where a store knows very many with that ending, one of them is soon found anyway.
fn ending_in(snapshot: &Connection, store: i64, page: &mut Page<'_>) -> rusqlite::Result<Option<PageMark>> {
    let digits = page.query.caller_suffix.as_str();
    // ':' is the character after '9'.
    let mut select = snapshot.prepare_cached(
        "SELECT count(*), max(last_call) FROM
           (SELECT last_call FROM callers WHERE store = ?1 AND reversed >= ?2 AND reversed < ?2 || ':' LIMIT ?3)",
    )?;
    let (callers, last_call): (u32, Option<i64>) =
        select.query_row(params![store, reversed(digits), CALLERS], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(last_call) = last_call else { return Ok(None) };
    let until = page.query.until.unwrap_or(i64::MAX);
    // A later record may have set right when it began.
    let until = if callers < CALLERS { until.min(last_call.saturating_add(SAME_CALL + 1)) } else { until };
    look_through(snapshot, store, until, page, |caller| caller.ends_with(digits))
}

/// Looks through the calls from before `until` for those with such a caller and one of the states, [`LOOKS`] at most. Only
/// what is shown is read whole.
fn look_through(
    snapshot: &Connection,
    store: i64,
    until: i64,
    page: &mut Page<'_>,
    is_wanted: impl Fn(&str) -> bool,
) -> rusqlite::Result<Option<PageMark>> {
    let mut look = snapshot.prepare_cached(
        "SELECT key, sdt, caller, state FROM calls INDEXED BY calls_of_store
         WHERE store = ?1 AND sdt >= ?2 AND sdt < ?3 AND (sdt, key) < (?4, ?5) ORDER BY sdt DESC, key DESC LIMIT ?6",
    )?;
    let mut read = snapshot.prepare_cached("SELECT key, sdt, call FROM calls WHERE key = ?1")?;
    let (since, _, after) = page.query.range();
    let mut rows = look.query(params![store, since, until, after.sdt, after.key, LOOKS])?;
    let (mut looked, mut place) = (0, None);
    while let Some(row) = rows.next()? {
        let (key, state): (i64, u32) = (row.get(0)?, row.get(3)?);
        // A call without a number has none that ends in anything.
        let caller = row.get_ref(2)?.as_str_or_null()?.unwrap_or_default();
        if (page.query.states() >> state.min(63)) & 1 == 1 && is_wanted(caller) {
            let mut call = read.query(params![key])?;
            if let Some(call) = call.next()?
                && let Some(next) = page.add(call)?
            {
                return Ok(Some(next));
            }
        }
        looked += 1;
        place = Some(PageMark { key, sdt: row.get(1)? });
    }
    Ok(place.filter(|_| looked == LOOKS))
}
