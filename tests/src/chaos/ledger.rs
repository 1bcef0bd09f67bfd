//! What was acknowledged, what each pad was shown, and whether the two agree.
//!
//! The ledger repairs nothing: a pad that misses an event goes on behind it, so that a hub's mistake stays visible.
//! Each stream is checked as it comes ([`super::wire`]); what a pad was shown over all its streams is checked at the end
//! ([`Ledger::judge`]).

mod book;
mod done;
mod expiry;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ringpad_proto::v1::{Snapshot, Update};
use tokio::time::Instant;

use super::{verdict::Verdict, weather::Weather};
pub(super) use book::{Acknowledged, Record, Wrong};
use book::{Beginning, Book, Shown};
pub(super) use done::{Done, Part};
pub(super) use expiry::TOKEN_LIVES;

#[derive(Debug, Default)]
struct State {
    /// The acknowledged records of each store.
    acknowledged: Vec<HashMap<Record, Acknowledged>>,
    /// What was done to the calls of each store, as it was answered.
    answered: Vec<HashMap<String, Done>>,
    /// The pads' books, and whose pads they are.
    books: Vec<(usize, Book)>,
}

/// A cloneable handle on the books of all stores and pads, both of which are numbered.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    /// Empty books for so many stores, and so many pads each; behind all of them, one for a pad of each store that comes late.
    pub(super) fn new(stores: usize, pads_each: usize) -> Self {
        let mut state = State::default();
        state.acknowledged.resize_with(stores, HashMap::new);
        state.answered.resize_with(stores, HashMap::new);
        let owners = (0..stores).flat_map(|store| std::iter::repeat_n(store, pads_each));
        state.books = owners.map(|store| (store, Book::default())).collect();
        let late = || Book { late: Some(Beginning::default()), ..Book::default() };
        state.books.extend((0..stores).map(|store| (store, late())));
        Self(Arc::new(Mutex::new(state)))
    }

    /// A record of a store's call was answered 200, or what a pad did to it was answered OK.
    pub(super) fn acknowledge(&self, store: usize, record: Record, acknowledged: Acknowledged) {
        self.lock().acknowledged[store].entry(record).or_insert(acknowledged);
    }

    /// This is all that was done to a call so far, and answered OK.
    pub(super) fn answer(&self, store: usize, call_id: &str, done: Done) {
        self.lock().answered[store].insert(call_id.to_owned(), done);
    }

    /// Whether each pad that does not come late has had its first snapshot.
    pub(super) fn all_begun(&self) -> bool {
        self.lock().books.iter().all(|(_, book)| book.streams > 0 || book.late.is_some())
    }

    /// Whether each pad was shown as much as its store has.
    pub(super) fn is_even(&self) -> bool {
        let state = self.lock();
        let wants = |store: usize| state.acknowledged[store].len();
        state.books.iter().all(|(store, book)| {
            let distinct: HashSet<_> = book.shown.iter().map(|shown| &shown.record).collect();
            // Positions have no gap, and each record has one.
            let begun_with = book.late.as_ref().map_or(0, |late| late.position);
            book.streams > 0 && distinct.len() as u64 + begun_with >= wants(*store) as u64
        })
    }

    /// A pad shows an event.
    pub(super) fn show(&self, pad: usize, update: &Update) {
        let call = update.call.clone().unwrap_or_default();
        let record = Record::behind(&call);
        let pop_until = update.pop_until.and_then(|until| {
            Some(Duration::new(until.seconds.try_into().ok()?, until.nanos.try_into().ok()?))
        });
        let shown = Shown { position: update.position, record, pop_until, at: Instant::now() };
        self.book(pad, |book| {
            book.shown.push(shown);
            book.last_shown.show(&call);
        });
    }

    /// A pad shows a ring ahead of its turn.
    pub(super) fn show_early(&self, pad: usize, call_id: String, at: Instant) {
        self.book(pad, |book| {
            book.early.entry(call_id).or_insert(at);
        });
    }

    /// A pad has a snapshot.
    pub(super) fn begin(&self, pad: usize, snapshot: &Snapshot) {
        self.book(pad, |book| {
            book.streams += 1;
            if let Some(late) = book.late.as_mut().filter(|_| !snapshot.resumed) {
                let calls = snapshot.open_calls.iter().chain(&snapshot.recent_calls);
                calls.clone().for_each(|call| book.last_shown.show(call));
                *late = Beginning {
                    position: snapshot.position,
                    calls: calls.map(|call| call.id.clone()).collect(),
                };
            }
        });
    }

    /// A stream of a pad did something wrong by itself.
    pub(super) fn wrong(&self, pad: usize, wrong: Wrong, words: String) {
        self.book(pad, |book| book.wrongs.push((wrong, words)));
    }

    /// A pad's token of this age is none any more, a replica says.
    pub(super) fn expire(&self, pad: usize, minted: Instant) {
        self.book(pad, |book| book.expiries.note(minted));
    }

    fn book(&self, pad: usize, write: impl FnOnce(&mut Book)) {
        write(&mut self.lock().books[pad].1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere has ended the play anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds what each pad was shown against what was acknowledged.
    pub(super) fn judge(&self, weather: &Weather) -> Verdict {
        let state = self.lock();
        let events = state.acknowledged.iter().map(HashMap::len).sum();
        let records = state.acknowledged.iter().flat_map(HashMap::keys);
        let acted = records.filter(|record| record.part.is_action()).count();
        let mut verdict = Verdict { events, acted, ..Verdict::default() };
        for (pad, (store, book)) in state.books.iter().enumerate() {
            let books = state.books.iter().filter(|(owner, _)| owner == store);
            let shown = books.flat_map(|(_, book)| &book.shown);
            let positions = shown.map(|shown| (&shown.record, shown.position)).collect();
            book.judge(pad, &state.acknowledged[*store], &positions, weather, &mut verdict);
            for words in book.last_shown.undone(&state.answered[*store]) {
                verdict.undone += 1;
                verdict.say(format!("pad {pad} {words}"));
            }
        }
        verdict.delays.sort_by_key(|delay| delay.took);
        verdict
    }
}
