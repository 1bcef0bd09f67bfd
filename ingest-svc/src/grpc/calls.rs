//! The RPCs with which push-svc reads: a store's calls, and the events that many stores' pads have missed.

use prost::Message;
use ringpad_proto::{
    Timestamp,
    v1::{
        Call, ListCallEventsRequest, ListCallEventsResponse, ListCallsRequest, ListCallsResponse,
        ListReservationsRequest, ListReservationsResponse, StoreEvent, StoreEvents, StoreRef,
    },
};
use tonic::Status;

use super::status::{faulty, unavailable};
use crate::{
    call::{CallKey, SearchWords},
    capacity::{Entries, ListCapacity},
    log::{AllMissed, CallQuery, Cursor, Extent, LogReader, Missed, PageMark, Purpose, ReservationQuery},
};

/// Digits of a caller's suffix at most.
const SUFFIX: usize = 15;

pub(super) async fn list_calls(
    log: &LogReader,
    entries: Entries,
    request: ListCallsRequest,
) -> Result<ListCallsResponse, Status> {
    let query = query(request, entries)?;
    let store_id = query.store_id.clone();
    let page = log.calls(query).await.map_err(unavailable)?;
    let page = page.ok_or_else(|| Status::not_found(format!("there is no store {store_id:?}")))?;
    Ok(ListCallsResponse {
        calls: decoded(&page.calls)?,
        next_page_token: page.next.map(token).unwrap_or_default(),
        store: Some(StoreRef { id: store_id, name: page.store_name }),
        epoch: log.epoch().to_string(),
        position: page.position,
    })
}

pub(super) async fn list_reservations(
    log: &LogReader,
    entries: Entries,
    request: ListReservationsRequest,
) -> Result<ListReservationsResponse, Status> {
    let ListReservationsRequest { store_id, from, until, page_size, page_token } = request;
    let time = |field, time: Option<Timestamp>| {
        time.map(|time| time.seconds).ok_or_else(|| faulty(field, "a time is expected"))
    };
    let query = ReservationQuery {
        from: time("from", from)?,
        until: time("until", until)?,
        limit: entries.limit(page_size),
        after: after(&page_token)?,
        store_id: store_id.clone(),
    };
    let page = log.reservations(query).await.map_err(unavailable)?;
    let (calls, next) = page.ok_or_else(|| Status::not_found(format!("there is no store {store_id:?}")))?;
    Ok(ListReservationsResponse {
        calls: decoded(&calls)?,
        next_page_token: next.map(token).unwrap_or_default(),
    })
}

/// Calls of the log.
fn decoded(calls: &[Vec<u8>]) -> Result<Vec<Call>, Status> {
    let calls = calls.iter().map(|call| Call::decode(call.as_slice())).collect::<Result<_, _>>();
    calls.map_err(|error| Status::data_loss(format!("the log has a call that cannot be read: {error}")))
}

pub(super) async fn list_call_events(
    log: &LogReader,
    capacity: &ListCapacity,
    request: ListCallEventsRequest,
) -> Result<ListCallEventsResponse, Status> {
    let ListCallEventsRequest { stores: cursors, limit, for_pad } = request;
    let (stores, most) = (cursors.len(), capacity.events_of_stores);
    if stores > most {
        return Err(faulty("stores", format!("{stores} are too many: {most} at most are expected")));
    }
    let limit = capacity.events.limit(limit);
    let pad = cursors.first().filter(|_| for_pad).map(|cursor| cursor.store_id.clone());
    let cursors = cursors.into_iter();
    let cursors = cursors.map(|cursor| Cursor { store_id: cursor.store_id, after: cursor.after_position });
    let AllMissed { stores, extent } =
        log.missed(cursors.collect(), limit as usize, pad.as_deref()).await.map_err(unavailable)?;
    Ok(ListCallEventsResponse {
        epoch: log.epoch().to_string(),
        stores: stores.into_iter().map(store_events).collect(),
        more: extent == Extent::Part,
    })
}

fn store_events(missed: Missed) -> StoreEvents {
    let Missed { store_id, store_name, position, events } = missed;
    let events = events.into_iter();
    let events = events.map(|(position, bytes)| StoreEvent { position, subscribe_response: bytes.into() });
    StoreEvents {
        store_id,
        store_name,
        position: position.unwrap_or_default(),
        events: events.collect(),
        not_found: position.is_none(),
    }
}

fn query(request: ListCallsRequest, entries: Entries) -> Result<CallQuery, Status> {
    let ListCallsRequest {
        store_id,
        page_size,
        page_token,
        states,
        since,
        until,
        caller_suffix,
        for_snapshot,
        query,
    } = request;
    let after = after(&page_token)?;
    if caller_suffix.len() > SUFFIX || !caller_suffix.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(faulty("caller_suffix", format!("up to {SUFFIX} digits are expected, e.g. 5678")));
    }
    let words = SearchWords::parse(&query)
        .ok_or_else(|| faulty("query", "up to 100 characters are expected, e.g. 김민수 or 5678"))?;
    Ok(CallQuery {
        store_id,
        limit: entries.limit(page_size),
        after,
        states,
        since: since.map(|since| since.seconds),
        until: until.map(|until| until.seconds),
        caller_suffix,
        words,
        purpose: if for_snapshot { Purpose::Snapshot } else { Purpose::Search },
    })
}

/// Where a page begins; `None`: it is the first one.
fn after(page_token: &str) -> Result<Option<PageMark>, Status> {
    match page_token {
        "" => Ok(None),
        text => mark(text).map(Some).ok_or_else(|| {
            faulty("page_token", "it is not a valid page token: send an answer's next_page_token unchanged")
        }),
    }
}

fn token(mark: PageMark) -> String {
    format!("{}.{}", mark.at, mark.key.0)
}

fn mark(token: &str) -> Option<PageMark> {
    let (at, key) = token.split_once('.')?;
    Some(PageMark { at: at.parse().ok()?, key: CallKey(key.parse().ok()?) })
}
