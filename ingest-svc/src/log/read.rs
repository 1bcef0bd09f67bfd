//! What push-svc, the relay and people ask of the log, and what it answers. Each answer is of one instant.

use crate::call::{CallKey, SearchWords};

/// Calls that are looked at for the newest one: a day's, or an hour's, so that a single wrong one does not decide.
pub(super) const LAST_CALLS: u32 = 1_000;

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
    /// What else a call must have.
    pub words: SearchWords,
    /// In which queue it waits.
    pub purpose: Purpose,
}

/// Which of a store's reservations to read.
#[derive(Debug, Clone)]
pub struct ReservationQuery {
    /// The store.
    pub store_id: String,
    /// For this Unix second or later.
    pub from: i64,
    /// For before this Unix second.
    pub until: i64,
    /// How many at most.
    pub limit: u32,
    /// Continue after this place, which an earlier page ended with.
    pub after: Option<PageMark>,
}

impl ReservationQuery {
    /// After which place to read.
    pub(super) fn begin(&self) -> PageMark {
        self.after.unwrap_or(PageMark { at: i64::MIN, key: CallKey(i64::MIN) })
    }
}

impl CallQuery {
    /// One bit for each state that is wanted.
    pub(super) fn states(&self) -> i64 {
        match self.states.as_slice() {
            [] => -1,
            some => some
                .iter()
                .fold(0, |mask, state| mask | 1_i64.checked_shl(state.unsigned_abs()).unwrap_or_default()),
        }
    }

    /// From which `sdt` on, before which one, and after which call.
    pub(super) fn range(&self) -> (i64, i64, PageMark) {
        let after = self.after.unwrap_or(PageMark { at: i64::MAX, key: CallKey(i64::MAX) });
        (self.since.unwrap_or(i64::MIN), self.until.unwrap_or(i64::MAX), after)
    }

    /// Whether a call in this state, with this caller's number, is looked for, as far as its words do not decide.
    pub(super) fn wants(&self, state: u32, caller: &str) -> bool {
        (self.states() >> state.min(63)) & 1 == 1 && caller.ends_with(&self.caller_suffix)
    }
}

/// What calls are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A pad that comes in.
    Snapshot,
    /// Somebody looks for calls.
    Search,
}

/// A place in a store's calls, or reservations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMark {
    /// The call's `sdt`, or the time of its reservation, in Unix seconds.
    pub at: i64,
    /// The call.
    pub key: CallKey,
}

/// A store's calls at one instant.
#[derive(Clone)]
pub struct CallPage {
    /// Each an encoded `ringpad.v1.Call`, newest first: as many as were asked for, or about 1 MiB of them.
    pub calls: Vec<Vec<u8>>,
    /// Where the next page continues; `None` on the last one. If few calls match, a page may be short, or empty, without being the
    /// last one.
    pub next: Option<PageMark>,
    /// What pads show.
    pub store_name: String,
    /// The store's newest position at the same instant.
    pub position: u64,
}

/// Calls with a reservation, each an encoded `ringpad.v1.Call`, by the reservation's time; and where the next page continues, `None`
/// on the last one.
pub type ReservationPage = (Vec<Vec<u8>>, Option<PageMark>);

/// How far a reader has come in one store.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The store.
    pub store_id: String,
    /// The last position the reader has.
    pub after: u64,
}

/// What a reader has missed.
#[derive(Clone)]
pub struct AllMissed {
    /// One for each cursor.
    pub stores: Vec<Missed>,
    /// Whether that is all that is kept; if not, the answer would have had too many events or bytes.
    pub extent: Extent,
}

/// Whether an answer has all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// It has.
    Whole,
    /// There is more; the next request continues where this answer ends.
    Part,
}

/// What a reader has missed in one store.
#[derive(Clone)]
pub struct Missed {
    /// The store.
    pub store_id: String,
    /// What pads show; empty: no such store.
    pub store_name: String,
    /// The store's newest position; `None`: no such store.
    pub position: Option<u64>,
    /// Position and encoded `SubscribeResponse`, from the cursor on and without a gap.
    pub events: Vec<(u64, Vec<u8>)>,
}

/// An event as the relay publishes it.
#[derive(Clone)]
pub struct OutboxEvent {
    /// The event's key in the log.
    pub key: u64,
    /// The store.
    pub store_id: String,
    /// The store's position; 0 with a hint.
    pub position: u64,
    /// When it was written, in Unix milliseconds.
    pub created: i64,
    /// Encoded `SubscribeResponse`.
    pub bytes: Vec<u8>,
}

/// How much is read at once at most.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    /// Events.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// Some of the events that the relay is to publish.
#[derive(Clone)]
pub struct OutboxPage {
    /// In commit order.
    pub events: Vec<OutboxEvent>,
    /// Whether these are all.
    pub extent: Extent,
}
