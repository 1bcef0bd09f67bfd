//! A store's calls, newest first.

use tokio_postgres::{Client, Row, types::Type};

use super::super::{
    super::{
        answer::CallsOfPage,
        read::{CallPage, CallQuery, PageMark, ReservationPage, ReservationQuery},
        unreadable::UnreadableRows,
    },
    rows::{Parameters, can_exist, reversed, unsigned},
    stores,
};
use crate::{
    call::{CallKey, SAME_CALL},
    capacity::LogCapacity,
};

/// Callers with the ending that is looked for of which it is asked when they last called.
const CALLERS: i64 = 200;

/// Calls that are looked at at once for words.
const LOOKS: i64 = 500;

/// Some of a store's calls, newest first.
const PART: &str = "WHERE store = $1 AND sdt >= $2 AND sdt < $3 AND (sdt, key) < ($4, $5) ORDER BY sdt DESC, key DESC LIMIT $6";

/// Reads one page; `None`: no such store.
pub(in super::super) async fn calls(
    client: &Client,
    query: &CallQuery,
    capacity: &LogCapacity,
    unreadable: &UnreadableRows,
) -> Result<Option<CallPage>, tokio_postgres::Error> {
    if !can_exist(&query.store_id) {
        return Ok(None);
    }
    let select = "SELECT key, name, position FROM stores WHERE id = $1 AND NOT deleted";
    let Some(store) = client.query_typed_opt(select, &[(&query.store_id, Type::TEXT)]).await? else {
        return Ok(None);
    };
    let (key, store_name, position) = (store.try_get(0)?, store.try_get(1)?, unsigned(store.try_get(2)?));
    let mut page = Page { query, capacity, calls: CallsOfPage::new(query.limit, capacity, unreadable) };
    let next = if !query.words.is_empty() {
        with_words(client, key, &mut page).await?
    } else if !query.caller_suffix.is_empty() {
        ending_in(client, key, &mut page).await?
    } else if !query.states.is_empty() {
        look_through(client, key, query.until.unwrap_or(i64::MAX), &mut page).await?
    } else {
        newest(client, key, &mut page).await?
    };
    Ok(Some(page.calls.into_page(store_name, position, next)))
}

/// Reads one page of reservations, by their time; `None`: no such store.
pub(in super::super) async fn reservations(
    client: &Client,
    query: &ReservationQuery,
    capacity: &LogCapacity,
    unreadable: &UnreadableRows,
) -> Result<Option<ReservationPage>, tokio_postgres::Error> {
    let Some(store) = stores::find(client, &query.store_id).await? else { return Ok(None) };
    let mut page = CallsOfPage::new(query.limit, capacity, unreadable);
    let (mut after, limit) = (query.begin(), page.rows());
    loop {
        let rows = client
            .query_typed(
                "SELECT reservations.call, at, calls.call FROM reservations JOIN calls ON calls.key = reservations.call
                 WHERE reservations.store = $1 AND at >= $2 AND at < $3 AND (at, reservations.call) > ($4, $5)
                 ORDER BY at, reservations.call LIMIT $6",
                &[
                    (&store, Type::INT8),
                    (&query.from, Type::INT8),
                    (&query.until, Type::INT8),
                    (&after.at, Type::INT8),
                    (&after.key.0, Type::INT8),
                    (&limit, Type::INT8),
                ],
            )
            .await?;
        for row in &rows {
            if let Some(next) = page.add(mark(row)?, Some(row.try_get(2)?)) {
                return Ok(Some(page.into_calls(Some(next))));
            }
        }
        // Rows that cannot be read do not count: there may be others after them.
        match rows.last() {
            Some(last) if rows.len() as u64 == limit.unsigned_abs() => after = mark(last)?,
            _ => return Ok(Some(page.into_calls(None))),
        }
    }
}

/// A page that is being filled.
struct Page<'a> {
    query: &'a CallQuery,
    capacity: &'a LogCapacity,
    calls: CallsOfPage<'a>,
}

impl Page<'_> {
    /// Adds a row of `key, sdt, call`. If the page is full already: where the next page continues.
    fn add(&mut self, row: &Row) -> Result<Option<PageMark>, tokio_postgres::Error> {
        Ok(self.calls.add(mark(row)?, Some(row.try_get(2)?)))
    }
}

/// The place of a row of `key, at`.
fn mark(row: &Row) -> Result<PageMark, tokio_postgres::Error> {
    Ok(PageMark { key: CallKey(row.try_get(0)?), at: row.try_get(1)? })
}

/// All calls.
async fn newest(
    client: &Client,
    store: i64,
    page: &mut Page<'_>,
) -> Result<Option<PageMark>, tokio_postgres::Error> {
    let (since, until, after) = page.query.range();
    let mut after = after;
    loop {
        let limit = page.calls.rows();
        let rows = client
            .query_typed(
                "SELECT key, sdt, call FROM calls
                 WHERE store = $1 AND sdt >= $2 AND sdt < $3 AND (sdt, key) < ($4, $5)
                 ORDER BY sdt DESC, key DESC LIMIT $6",
                &[
                    (&store, Type::INT8),
                    (&since, Type::INT8),
                    (&until, Type::INT8),
                    (&after.at, Type::INT8),
                    (&after.key.0, Type::INT8),
                    (&limit, Type::INT8),
                ],
            )
            .await?;
        for row in &rows {
            if let Some(next) = page.add(row)? {
                return Ok(Some(next));
            }
        }
        // Rows that cannot be read do not count: there may be others after them.
        match rows.last() {
            Some(last) if rows.len() as u64 == limit.unsigned_abs() => {
                after = mark(last)?;
            }
            _ => return Ok(None),
        }
    }
}

/// Calls with a caller whose number ends in the digits that are asked for. The store's callers tell whether there are any, and
/// when one of them last called. In a store with very many such callers one of their calls is soon found anyway.
async fn ending_in(
    client: &Client,
    store: i64,
    page: &mut Page<'_>,
) -> Result<Option<PageMark>, tokio_postgres::Error> {
    let ending = reversed(&page.query.caller_suffix);
    // ':' is the character after '9'.
    let row = client
        .query_typed_one(
            "SELECT count(*), max(last_call) FROM (
               SELECT last_call FROM callers WHERE store = $1 AND reversed >= $2 AND reversed < $2 || ':' LIMIT $3) AS found",
            &[(&store, Type::INT8), (&ending, Type::TEXT), (&CALLERS, Type::INT8)],
        )
        .await?;
    let (callers, last_call): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let Some(last_call) = last_call else { return Ok(None) };
    let until = page.query.until.unwrap_or(i64::MAX);
    // A later record may have corrected when it began.
    let until = if callers < CALLERS { until.min(last_call.saturating_add(SAME_CALL + 1)) } else { until };
    look_through(client, store, until, page).await
}

/// Looks through the calls from before `until` for those with such a caller and one of the states, as many as a page may look at. Only
/// what is shown is read whole.
async fn look_through(
    client: &Client,
    store: i64,
    until: i64,
    page: &mut Page<'_>,
) -> Result<Option<PageMark>, tokio_postgres::Error> {
    let (since, _, after) = page.query.range();
    let looks = i64::from(page.capacity.page_looks);
    let (states, digits, limit) = (page.query.states(), page.query.caller_suffix.as_str(), page.calls.rows());
    let range: Parameters<'_> = &[
        (&store, Type::INT8),
        (&since, Type::INT8),
        (&until, Type::INT8),
        (&after.at, Type::INT8),
        (&after.key.0, Type::INT8),
        (&looks, Type::INT8),
    ];
    let wanted: Parameters<'_> = &[(&states, Type::INT8), (&digits, Type::TEXT), (&limit, Type::INT8)];
    // A call without a number has none that ends in anything.
    let looked_at = format!("SELECT key, sdt, caller, state FROM calls {PART}");
    let select = format!(
        "SELECT wanted.key, wanted.sdt, calls.call FROM (
           SELECT key, sdt FROM ({looked_at}) AS looked_at
           WHERE ($7 >> least(state, 63)) & 1 = 1 AND right(coalesce(caller, ''), length($8)) = $8
           ORDER BY sdt DESC, key DESC LIMIT $9) AS wanted
         JOIN calls ON calls.key = wanted.key ORDER BY wanted.sdt DESC, wanted.key DESC"
    );
    let rows = client.query_typed(&select, &[range, wanted].concat()).await?;
    for row in &rows {
        if let Some(next) = page.add(row)? {
            return Ok(Some(next));
        }
    }
    let last = format!(
        "SELECT key, sdt, count(*) OVER () FROM ({looked_at}) AS looked_at ORDER BY sdt, key LIMIT 1"
    );
    let Some(last) = client.query_typed_opt(&last, range).await? else { return Ok(None) };
    let place = mark(&last)?;
    Ok((last.try_get::<_, i64>(2)? == looks).then_some(place))
}

/// Looks through the calls for those with all words, as many as a page may look at, a few at a time.
async fn with_words(
    client: &Client,
    store: i64,
    page: &mut Page<'_>,
) -> Result<Option<PageMark>, tokio_postgres::Error> {
    let select = format!("SELECT key, sdt, call, state, coalesce(caller, '') FROM calls {PART}");
    let (since, until, mut after) = page.query.range();
    let mut looks = i64::from(page.capacity.page_looks);
    while looks > 0 {
        let limit = LOOKS.min(looks);
        let range: Parameters<'_> = &[
            (&store, Type::INT8),
            (&since, Type::INT8),
            (&until, Type::INT8),
            (&after.at, Type::INT8),
            (&after.key.0, Type::INT8),
            (&limit, Type::INT8),
        ];
        let rows = client.query_typed(&select, range).await?;
        for row in &rows {
            let state = u32::try_from(row.try_get::<_, i32>(3)?).unwrap_or_default();
            if page.query.wants(state, row.try_get(4)?)
                && page.query.words.match_encoded(row.try_get(2)?)
                && let Some(next) = page.add(row)?
            {
                return Ok(Some(next));
            }
        }
        looks -= limit;
        match rows.last() {
            Some(last) if rows.len() as u64 == limit.unsigned_abs() => after = mark(last)?,
            _ => return Ok(None),
        }
    }
    Ok(Some(after))
}
