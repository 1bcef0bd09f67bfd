//! How much of what a database finds goes into an answer, and what is left out: the same for every database.

use super::{
    read::{AllMissed, CallPage, Cursor, Extent, Missed, OutboxEvent, OutboxPage, PageMark, PageSize},
    unreadable::{Kind, UnreadableRows},
};
use crate::{
    call::{call_within_bounds, update_within_bounds},
    capacity::LogCapacity,
};

/// The events that readers have missed in one store after the other, each without a gap.
pub(super) struct MissedEvents<'a> {
    all: AllMissed,
    /// What the answer may still take.
    room: PageSize,
    /// Whether no event has been taken yet.
    is_empty: bool,
    /// The position in front of the next event of the last store.
    after: u64,
    unreadable: &'a UnreadableRows,
}

impl<'a> MissedEvents<'a> {
    /// `limit`: events and bytes of all stores together.
    pub(super) fn new(limit: PageSize, unreadable: &'a UnreadableRows) -> Self {
        let all = AllMissed { stores: Vec::new(), extent: Extent::Whole };
        Self { all, room: limit, is_empty: true, after: 0, unreadable }
    }

    /// Adds a store, with its name and newest position; `None`: there is none. Whether it has newer events.
    pub(super) fn add_store(&mut self, cursor: &Cursor, store: Option<(String, u64)>) -> bool {
        let (name, position) = store.unzip();
        self.after = cursor.after;
        self.all.stores.push(Missed {
            store_id: cursor.store_id.clone(),
            position,
            store_name: name.unwrap_or_default(),
            events: Vec::new(),
        });
        position.is_some_and(|position| position > cursor.after)
    }

    /// Adds the next event of the last store; `None`: it cannot be read. False: no more of its events are wanted. That is so after
    /// an event that is missing, because it was older than the retention, or cannot be read: the reader then needs a snapshot,
    /// which has what the event had changed.
    pub(super) fn add_event(&mut self, key: i64, position: u64, bytes: Option<Vec<u8>>) -> bool {
        let Some(store) = self.all.stores.last_mut().filter(|_| position == self.after + 1) else {
            return false;
        };
        if self.room.events == 0 {
            self.all.extent = Extent::Part;
            return false;
        }
        let Some(bytes) = bytes.and_then(|bytes| update_within_bounds(position, bytes)) else {
            self.unreadable.note(Kind::Event, key);
            return false;
        };
        // The first event of an answer always has room: a reader that asks again must make progress.
        if bytes.len() > self.room.bytes && !self.is_empty {
            self.room.events = 0;
            self.all.extent = Extent::Part;
            return false;
        }
        self.room.events -= 1;
        self.room.bytes = self.room.bytes.saturating_sub(bytes.len());
        (self.is_empty, self.after) = (false, position);
        store.events.push((position, bytes));
        true
    }

    pub(super) fn into_answer(self) -> AllMissed {
        self.all
    }
}

/// Events for the relay.
pub(super) struct OutboxEvents<'a> {
    page: OutboxPage,
    limit: PageSize,
    bytes: usize,
    unreadable: &'a UnreadableRows,
}

impl<'a> OutboxEvents<'a> {
    /// As many as fit into `limit`, and one at least.
    pub(super) fn new(limit: PageSize, unreadable: &'a UnreadableRows) -> Self {
        let page = OutboxPage { events: Vec::new(), extent: Extent::Whole };
        Self { page, limit, bytes: 0, unreadable }
    }

    /// Adds the next event, with what the log has of it; `None`: it cannot be read. It is then replaced by a hint, which makes hubs
    /// ask the log. False: no more are wanted.
    pub(super) fn add(&mut self, mut event: OutboxEvent, bytes: Option<Vec<u8>>) -> bool {
        match bytes.and_then(|bytes| update_within_bounds(event.position, bytes)) {
            Some(bytes) => event.bytes = bytes,
            None => {
                self.unreadable.note(Kind::Event, event.key.cast_signed());
                event.position = 0;
            }
        }
        self.bytes += event.bytes.len();
        if self.bytes > self.limit.bytes && !self.page.events.is_empty() {
            self.page.extent = Extent::Part;
            return false;
        }
        self.page.events.push(event);
        if self.page.events.len() == self.limit.events {
            self.page.extent = Extent::Part;
        }
        self.page.extent == Extent::Whole
    }

    pub(super) fn into_page(self) -> OutboxPage {
        self.page
    }
}

/// A page of a store's calls.
pub(super) struct CallsOfPage<'a> {
    /// How many at most.
    limit: u32,
    capacity: &'a LogCapacity,
    unreadable: &'a UnreadableRows,
    calls: Vec<Vec<u8>>,
    bytes: usize,
    /// The call that was added last.
    last: Option<PageMark>,
}

impl<'a> CallsOfPage<'a> {
    pub(super) fn new(limit: u32, capacity: &'a LogCapacity, unreadable: &'a UnreadableRows) -> Self {
        Self { limit, capacity, unreadable, calls: Vec::new(), bytes: 0, last: None }
    }

    /// Adds a call, unless it cannot be read. If the page is full already: where the next page continues.
    pub(super) fn add(&mut self, mark: PageMark, call: Option<Vec<u8>>) -> Option<PageMark> {
        let Some(call) = call.and_then(call_within_bounds) else {
            self.unreadable.note(Kind::Call, mark.key.0);
            return None;
        };
        self.bytes += call.len();
        if self.calls.len() == self.limit as usize
            || (self.bytes > self.capacity.answer_bytes && self.last.is_some())
        {
            return self.last;
        }
        self.last = Some(mark);
        self.calls.push(call);
        None
    }

    /// How many calls more than the page can have, one: so it is known whether there is another page.
    pub(super) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Only the calls of it; `next` as for [`Self::into_page`].
    pub(super) fn into_calls(self, next: Option<PageMark>) -> (Vec<Vec<u8>>, Option<PageMark>) {
        (self.calls, next)
    }

    /// The page; `next`: where the next one continues.
    pub(super) fn into_page(self, store_name: String, position: u64, next: Option<PageMark>) -> CallPage {
        CallPage { calls: self.calls, next, store_name, position }
    }
}
