//! What was acknowledged, what each pad was shown, and whether the two agree.
//!
//! The ledger mends nothing: a pad that misses an event goes on behind it, so that what a hub does wrong stays visible.
//! Each stream is checked as it comes ([`Wire`]); what a pad was shown over all its streams is checked at the end
//! ([`Ledger::judge`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ringpad_proto::v1::{Call, CallState};
use tokio::time::Instant;

use super::verdict::{Delay, Verdict};

/// One of a call's two records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) call_id: String,
    /// The final one, not the ring.
    pub(super) last: bool,
}

impl Record {
    /// The record that left a call as it is.
    fn behind(call: &Call) -> Self {
        Self { call_id: call.id.clone(), last: call.state() != CallState::Ringing }
    }
}

/// Something a pad was shown.
#[derive(Debug)]
struct Shown {
    position: u64,
    record: Record,
    at: Instant,
}

/// What one pad was shown.
#[derive(Debug, Default)]
struct Book {
    shown: Vec<Shown>,
    /// Rings that it was shown ahead of their turn.
    early: HashMap<String, Instant>,
    /// What its streams did wrong by themselves.
    twice: u64,
    out_of_order: u64,
    heartbeats_off: u64,
    not_resumed: u64,
    streams: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The acknowledged records of each store, and when.
    acknowledged: Vec<HashMap<Record, Instant>>,
    /// The pads' books, and whose pads they are.
    books: Vec<(usize, Book)>,
}

/// A cloneable handle on the books of all stores and pads, both of which are numbered.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    /// Empty books for so many stores, and so many pads each.
    pub(super) fn new(stores: usize, pads_each: usize) -> Self {
        let mut state = State::default();
        state.acknowledged.resize_with(stores, HashMap::new);
        let owners = (0..stores).flat_map(|store| std::iter::repeat_n(store, pads_each));
        state.books = owners.map(|store| (store, Book::default())).collect();
        Self(Arc::new(Mutex::new(state)))
    }

    /// A record of a store's call was answered 200.
    pub(super) fn acknowledge(&self, store: usize, record: Record, at: Instant) {
        self.lock().acknowledged[store].entry(record).or_insert(at);
    }

    /// Whether each pad has had its first snapshot.
    pub(super) fn all_begun(&self) -> bool {
        self.lock().books.iter().all(|(_, book)| book.streams > 0)
    }

    /// Whether each pad was shown as much as its store has.
    pub(super) fn is_even(&self) -> bool {
        let state = self.lock();
        let wants = |store: usize| state.acknowledged[store].len();
        state.books.iter().all(|(store, book)| {
            let distinct: HashSet<_> = book.shown.iter().map(|shown| &shown.record).collect();
            distinct.len() >= wants(*store)
        })
    }

    /// A pad shows an event.
    pub(super) fn show(&self, pad: usize, position: u64, call: &Call) {
        let shown = Shown { position, record: Record::behind(call), at: Instant::now() };
        self.book(pad, |book| book.shown.push(shown));
    }

    /// A pad shows a ring ahead of its turn.
    pub(super) fn show_early(&self, pad: usize, call: &Call) {
        self.book(pad, |book| {
            book.early.entry(call.id.clone()).or_insert_with(Instant::now);
        });
    }

    /// A pad has its snapshot.
    pub(super) fn begin(&self, pad: usize) {
        self.book(pad, |book| book.streams += 1);
    }

    /// A pad that could have gone on where it was had to begin anew.
    pub(super) fn not_resumed(&self, pad: usize) {
        self.book(pad, |book| book.not_resumed += 1);
    }

    fn fault(&self, pad: usize, fault: WireFault) {
        self.book(pad, |book| match fault {
            WireFault::Twice => book.twice += 1,
            WireFault::OutOfOrder => book.out_of_order += 1,
            WireFault::Heartbeat => book.heartbeats_off += 1,
        });
    }

    fn book(&self, pad: usize, write: impl FnOnce(&mut Book)) {
        write(&mut self.lock().books[pad].1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere has ended the play anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds what each pad was shown against what was acknowledged.
    pub(super) fn judge(&self) -> Verdict {
        let state = self.lock();
        let events = state.acknowledged.iter().map(HashMap::len).sum();
        let mut verdict = Verdict { events, ..Verdict::default() };
        for (pad, (store, book)) in state.books.iter().enumerate() {
            book.judge(pad, &state.acknowledged[*store], &mut verdict);
        }
        verdict.delays.sort_by_key(|delay| delay.took);
        verdict
    }
}

impl Book {
    fn judge(&self, pad: usize, acknowledged: &HashMap<Record, Instant>, verdict: &mut Verdict) {
        verdict.streams += self.streams;
        verdict.shown += self.shown.len();
        verdict.early += self.early.len();
        verdict.twice += self.twice;
        verdict.out_of_order += self.out_of_order;
        verdict.heartbeats_off += self.heartbeats_off;
        verdict.not_resumed += self.not_resumed;
        let mut first = BTreeMap::<&Record, Instant>::new();
        let mut before = 0;
        for shown in &self.shown {
            if !acknowledged.contains_key(&shown.record) {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} was shown {:?}, which is not its store's", shown.record));
            }
            if first.insert(&shown.record, shown.at).is_some() {
                verdict.twice += 1;
                verdict.say(format!("pad {pad} was shown {:?} twice", shown.record));
            }
            let ring = Record { last: false, ..shown.record.clone() };
            if shown.position <= before || shown.record.last && !first.contains_key(&ring) {
                verdict.out_of_order += 1;
                verdict.say(format!("pad {pad} was shown {} after {before}", shown.position));
            }
            before = shown.position;
        }
        for (record, at) in acknowledged {
            let Some(shown) = first.get(record) else {
                verdict.lost += 1;
                verdict.say(format!("pad {pad} was never shown {record:?}"));
                continue;
            };
            if !record.last {
                let early = self.early.get(&record.call_id).copied();
                let shown = early.map_or(*shown, |early| early.min(*shown));
                verdict.delays.push(Delay { pad, rung: *at, took: shown.saturating_duration_since(*at) });
            }
        }
    }
}

/// What a stream can do wrong by itself. (A gap alone is seen at the end: what is in it was lost.)
enum WireFault {
    Twice,
    OutOfOrder,
    Heartbeat,
}

/// One stream of a pad, as it comes.
#[derive(Debug)]
pub(super) struct Wire {
    pad: usize,
    cursor: u64,
    passed_over: BTreeSet<u64>,
}

impl Wire {
    /// A stream that begins behind `position`.
    pub(super) fn new(pad: usize, position: u64) -> Self {
        Self { pad, cursor: position, passed_over: BTreeSet::new() }
    }

    /// The stream brings a position.
    pub(super) fn update(&mut self, ledger: &Ledger, position: u64) {
        if position > self.cursor {
            self.passed_over.extend(self.cursor + 1..position);
            self.cursor = position;
        } else if self.passed_over.remove(&position) {
            ledger.fault(self.pad, WireFault::OutOfOrder);
        } else {
            ledger.fault(self.pad, WireFault::Twice);
        }
    }

    /// A heartbeat tells how far the stream should be.
    pub(super) fn heartbeat(&self, ledger: &Ledger, position: u64) {
        if position != self.cursor {
            ledger.fault(self.pad, WireFault::Heartbeat);
        }
    }
}
