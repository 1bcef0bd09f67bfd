//! Reads a store's calls from the log, for a fresh snapshot.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use ringpad_proto::{
    Timestamp,
    v1::{Call, CallState, ListCallsRequest, ListCallsResponse, StoreRef},
};
use uuid::Uuid;

use crate::{
    capacity::SnapshotCapacity,
    clock::{self, Wall},
    log_client::{LogClient, LogClientError, epoch},
};

/// How old an open call may be; an older one without a final record is listed with the other calls.
const OPEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How many calls are read at once. One page is enough for most stores.
const PAGE: u32 = 200;
/// How many pages are read at most in search of the other calls of a store, if nearly all of its calls stay open.
const PAGES: usize = 4;

/// A store's calls at `position`.
#[derive(Debug)]
pub(super) struct StoreCalls {
    /// The store and its name.
    pub(super) store: StoreRef,
    pub(super) epoch: Uuid,
    /// No call here is older than this position; some may be newer, and are sent again as updates.
    pub(super) position: u64,
    /// Newest first.
    pub(super) open: Vec<Call>,
    /// Newest first.
    pub(super) recent: Vec<Call>,
}

/// Reads a store's calls.
///
/// # Errors
/// There is no such store, or no answer.
pub(super) async fn read(
    log: &LogClient,
    store_id: &str,
    now: Wall,
    capacity: SnapshotCapacity,
) -> Result<StoreCalls, LogClientError> {
    let since = clock::timestamp(now.earlier(OPEN_FOR));
    let newest = ListCallsRequest {
        store_id: store_id.to_owned(),
        page_size: PAGE,
        for_snapshot: true,
        ..ListCallsRequest::default()
    };
    let first = log.calls(newest.clone()).await?;
    let mut merged = MergedCalls::new(&first, since)?;
    let mut next = first.next_page_token.clone();
    let all_open_seen =
        next.is_empty() || first.calls.last().is_some_and(|oldest| !started_since(oldest, &merged.since));
    merged.add(first)?;
    if !all_open_seen {
        let open = [CallState::Ringing, CallState::Answered].map(i32::from).to_vec();
        let page_size = u32::try_from(capacity.calls).unwrap_or(u32::MAX);
        let mut open =
            ListCallsRequest { states: open, since: Some(merged.since), page_size, ..newest.clone() };
        for _ in 0..PAGES {
            let page = log.calls(open.clone()).await?;
            open.page_token.clone_from(&page.next_page_token);
            let is_last = page.next_page_token.is_empty() || page.calls.len() >= capacity.calls;
            merged.add(page)?;
            if is_last {
                break;
            }
        }
    }
    for _ in 1..PAGES {
        if next.is_empty() || merged.others() >= capacity.calls || merged.bytes() >= capacity.bytes {
            break;
        }
        let page = log.calls(ListCallsRequest { page_token: next, ..newest.clone() }).await?;
        next = page.next_page_token.clone();
        merged.add(page)?;
    }
    Ok(merged.sorted(capacity))
}

/// The calls of several pages; of each call the highest revision.
struct MergedCalls {
    since: Timestamp,
    store: StoreRef,
    epoch: Uuid,
    position: u64,
    calls: HashMap<String, Call>,
}

impl MergedCalls {
    fn new(first: &ListCallsResponse, since: Timestamp) -> Result<Self, LogClientError> {
        let store = first.store.clone().ok_or(LogClientError::Unexpected("no store in the answer"))?;
        let calls = HashMap::with_capacity(first.calls.len());
        Ok(Self { since, store, epoch: epoch(&first.epoch)?, position: first.position, calls })
    }

    fn add(&mut self, page: ListCallsResponse) -> Result<(), LogClientError> {
        if epoch(&page.epoch)? != self.epoch {
            return Err(LogClientError::Unexpected("the log changed between two pages"));
        }
        // Events between two pages follow as updates, so the lower position is the right one.
        self.position = self.position.min(page.position);
        for call in page.calls {
            match self.calls.get(&call.id) {
                Some(known) if known.revision >= call.revision => {}
                _ => drop(self.calls.insert(call.id.clone(), call)),
            }
        }
        Ok(())
    }

    fn others(&self) -> usize {
        self.calls.values().filter(|call| !is_open(call, &self.since)).count()
    }

    fn bytes(&self) -> usize {
        self.calls.values().map(Call::encoded_len).sum()
    }

    fn sorted(self, capacity: SnapshotCapacity) -> StoreCalls {
        let mut calls: Vec<_> = self.calls.into_values().collect();
        calls.sort_by_cached_key(|call| std::cmp::Reverse((started(call), call.revision)));
        let (mut open, mut recent): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| is_open(call, &self.since));
        let mut left = capacity.bytes;
        for calls in [&mut open, &mut recent] {
            calls.truncate(capacity.calls);
            keep_newest(calls, &mut left);
        }
        StoreCalls { store: self.store, epoch: self.epoch, position: self.position, open, recent }
    }
}

/// Leaves out the oldest calls if the list has more bytes than `left`, and subtracts those of the others from it.
fn keep_newest(calls: &mut Vec<Call>, left: &mut usize) {
    let fits = |call: &Call| match left.checked_sub(call.encoded_len()) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    };
    if let Some(first_over) = calls.iter().map(fits).position(|fits| !fits) {
        calls.truncate(first_over);
        *left = 0;
    }
}

fn is_open(call: &Call, since: &Timestamp) -> bool {
    matches!(call.state(), CallState::Ringing | CallState::Answered) && started_since(call, since)
}

fn started_since(call: &Call, since: &Timestamp) -> bool {
    started(call) >= (since.seconds, since.nanos)
}

fn started(call: &Call) -> (i64, i32) {
    call.started_at.as_ref().map_or((0, 0), |at| (at.seconds, at.nanos))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const CAPACITY: SnapshotCapacity = SnapshotCapacity { calls: 100, bytes: 1024 * 1024 };
    const EPOCH: &str = "6a0b4f3e-8f0f-4a39-9f4f-0d6c0f6f1a11";

    fn call(id: &str, revision: u64, state: CallState, started: i64) -> Call {
        let started_at = Some(Timestamp { seconds: started, nanos: 0 });
        Call { id: id.to_owned(), revision, state: state.into(), started_at, ..Call::default() }
    }

    fn page(position: u64, calls: Vec<Call>) -> ListCallsResponse {
        let store = Some(StoreRef { id: "s".to_owned(), name: "Store".to_owned() });
        ListCallsResponse { calls, store, epoch: EPOCH.to_owned(), position, ..ListCallsResponse::default() }
    }

    fn ids(calls: &[Call]) -> Vec<&str> {
        calls.iter().map(|call| call.id.as_str()).collect()
    }

    #[test]
    fn open_calls_of_the_last_day_are_listed_separately() {
        let calls = vec![
            call("rings", 9, CallState::Ringing, 1_050),
            call("talks", 8, CallState::Answered, 1_040),
            call("missed", 7, CallState::Missed, 1_030),
            call("stale", 6, CallState::Ringing, 900),
        ];
        let first = page(9, calls);
        let mut merged = MergedCalls::new(&first, Timestamp { seconds: 1_000, nanos: 0 }).unwrap();
        merged.add(first).unwrap();
        let merged = merged.sorted(CAPACITY);
        assert_eq!(ids(&merged.open), ["rings", "talks"]);
        assert_eq!(ids(&merged.recent), ["missed", "stale"]);
    }

    #[test]
    fn a_snapshot_with_too_many_bytes_keeps_the_newest_calls() {
        let long = |id: &str, state, began| Call { note: "x".repeat(20_000), ..call(id, 1, state, began) };
        let of = |open: usize, others: usize| {
            let open = (0..open).map(|index| long(&format!("o{index}"), CallState::Ringing, 2_000));
            let others = (0..others).map(|index| {
                long(&format!("r{index:03}"), CallState::Missed, 1_999 - i64::try_from(index).unwrap())
            });
            let first = page(9, open.chain(others).collect());
            let mut merged = MergedCalls::new(&first, Timestamp { seconds: 1_000, nanos: 0 }).unwrap();
            merged.add(first).unwrap();
            let merged = merged.sorted(CAPACITY);
            let bytes: usize = merged.open.iter().chain(&merged.recent).map(Call::encoded_len).sum();
            assert!((CAPACITY.bytes - 30_000..=CAPACITY.bytes).contains(&bytes), "{bytes}");
            merged
        };
        // All open calls, and the newest of the others.
        let some_open = of(10, 100);
        assert_eq!(some_open.open.len(), 10);
        assert_eq!(ids(&some_open.recent)[0], "r000");
        assert_eq!(some_open.recent.len(), 42);
        let all_open = of(100, 100);
        assert_eq!((all_open.open.len(), all_open.recent.len()), (52, 0));
    }

    #[test]
    fn of_two_pages_the_lower_position_and_the_newer_call_are_taken() {
        let first = page(9, vec![call("a", 9, CallState::Ringing, 1_050)]);
        let mut merged = MergedCalls::new(&first, Timestamp { seconds: 1_000, nanos: 0 }).unwrap();
        merged.add(first).unwrap();
        merged.add(page(10, vec![call("a", 10, CallState::Completed, 1_050)])).unwrap();
        let merged = merged.sorted(CAPACITY);
        assert_eq!(merged.position, 9);
        assert_eq!((merged.open.len(), ids(&merged.recent)), (0, vec!["a"]));
    }
}
