//! A store's calls, newest first.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{
    super::{
        answer::CallsOfPage,
        read::{CallPage, CallQuery, PageMark, ReservationPage, ReservationQuery},
        unreadable::UnreadableRows,
    },
    rows::reversed,
    stores,
};
use crate::{
    call::{CallKey, SAME_CALL},
    capacity::LogCapacity,
    store::StoreKey,
};

/// Callers with the ending that is looked for of which it is asked when they last called.
const CALLERS: u32 = 200;

/// Reads one page; `None`: no such store.
pub(in super::super) fn calls(
    connection: &mut Connection,
    query: &CallQuery,
    capacity: &LogCapacity,
    unreadable: &UnreadableRows,
) -> rusqlite::Result<Option<CallPage>> {
    let snapshot = connection.transaction()?;
    let store: Option<(StoreKey, String, u64)> = snapshot
        .prepare_cached("SELECT key, name, position FROM stores WHERE id = ?1 AND deleted = 0")?
        .query_row([&query.store_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((store, store_name, position)) = store else { return Ok(None) };
    let mut page = Page { query, capacity, calls: CallsOfPage::new(query.limit, capacity, unreadable) };
    let next = if query.caller_suffix.is_empty() {
        newest(&snapshot, store, &mut page)?
    } else {
        ending_in(&snapshot, store, &mut page)?
    };
    Ok(Some(page.calls.into_page(store_name, position, next)))
}

/// Reads one page of reservations, by their time; `None`: no such store.
pub(in super::super) fn reservations(
    connection: &mut Connection,
    query: &ReservationQuery,
    capacity: &LogCapacity,
    unreadable: &UnreadableRows,
) -> rusqlite::Result<Option<ReservationPage>> {
    let snapshot = connection.transaction()?;
    let Some(store) = stores::find(&snapshot, &query.store_id)? else { return Ok(None) };
    let mut page = CallsOfPage::new(query.limit, capacity, unreadable);
    let mut select = snapshot.prepare_cached(
        "SELECT reservations.call, at, calls.call
         FROM reservations INDEXED BY reservations_of_store CROSS JOIN calls ON calls.key = reservations.call
         WHERE reservations.store = ?1 AND at >= ?2 AND at < ?3 AND (at, reservations.call) > (?4, ?5)
         ORDER BY at, reservations.call",
    )?;
    let after = query.begin();
    let mut rows = select.query(params![store, query.from, query.until, after.at, after.key])?;
    while let Some(row) = rows.next()? {
        if let Some(next) = add(&mut page, row)? {
            return Ok(Some(page.into_calls(Some(next))));
        }
    }
    Ok(Some(page.into_calls(None)))
}

/// A page that is being filled.
struct Page<'a> {
    query: &'a CallQuery,
    capacity: &'a LogCapacity,
    calls: CallsOfPage<'a>,
}

/// Adds a row of `key, at, call`. If the page is full already: where the next page continues.
fn add(page: &mut CallsOfPage<'_>, row: &Row<'_>) -> rusqlite::Result<Option<PageMark>> {
    Ok(page.add(PageMark { key: row.get(0)?, at: row.get(1)? }, row.get(2).ok()))
}

/// Calls with any caller.
fn newest(snapshot: &Connection, store: StoreKey, page: &mut Page<'_>) -> rusqlite::Result<Option<PageMark>> {
    if !page.query.states.is_empty() || !page.query.words.is_empty() {
        let until = page.query.until.unwrap_or(i64::MAX);
        return look_through(snapshot, store, until, page);
    }
    let mut select = snapshot.prepare_cached(
        "SELECT key, sdt, call FROM calls INDEXED BY calls_of_store
         WHERE store = ?1 AND sdt >= ?2 AND sdt < ?3 AND (sdt, key) < (?4, ?5) ORDER BY sdt DESC, key DESC",
    )?;
    let (since, until, after) = page.query.range();
    let mut rows = select.query(params![store, since, until, after.at, after.key])?;
    while let Some(row) = rows.next()? {
        if let Some(next) = add(&mut page.calls, row)? {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Calls with a caller whose number ends in the digits that are asked for. The store's callers tell whether there are any, and
/// when one of them last called. In a store with very many such callers one of their calls is soon found anyway.
fn ending_in(
    snapshot: &Connection,
    store: StoreKey,
    page: &mut Page<'_>,
) -> rusqlite::Result<Option<PageMark>> {
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
    // A later record may have corrected when it began.
    let until = if callers < CALLERS { until.min(last_call.saturating_add(SAME_CALL + 1)) } else { until };
    look_through(snapshot, store, until, page)
}

/// Looks through the calls from before `until` for those with such a caller, one of the states and all words, as many as a page may
/// look at. Only what is shown is read whole, or what may have the words.
fn look_through(
    snapshot: &Connection,
    store: StoreKey,
    until: i64,
    page: &mut Page<'_>,
) -> rusqlite::Result<Option<PageMark>> {
    let mut look = snapshot.prepare_cached(
        "SELECT key, sdt, caller, state FROM calls INDEXED BY calls_of_store
         WHERE store = ?1 AND sdt >= ?2 AND sdt < ?3 AND (sdt, key) < (?4, ?5) ORDER BY sdt DESC, key DESC LIMIT ?6",
    )?;
    let mut read = snapshot.prepare_cached("SELECT key, sdt, call FROM calls WHERE key = ?1")?;
    let (since, _, after) = page.query.range();
    let mut rows = look.query(params![store, since, until, after.at, after.key, page.capacity.page_looks])?;
    let (mut looked, mut place) = (0, None);
    while let Some(row) = rows.next()? {
        let (key, state): (CallKey, u32) = (row.get(0)?, row.get(3)?);
        // A call without a number has none that ends in anything.
        let caller = row.get_ref(2)?.as_str_or_null()?.unwrap_or_default();
        if page.query.wants(state, caller) {
            let mut call = read.query(params![key])?;
            if let Some(call) = call.next()?
                // What is no bytes cannot be read, which is noted where it is added.
                && call.get_ref(2)?.as_bytes().ok().is_none_or(|call| page.query.words.match_encoded(call))
                && let Some(next) = add(&mut page.calls, call)?
            {
                return Ok(Some(next));
            }
        }
        looked += 1;
        place = Some(PageMark { key, at: row.get(1)? });
    }
    Ok(place.filter(|_| looked == page.capacity.page_looks))
}
