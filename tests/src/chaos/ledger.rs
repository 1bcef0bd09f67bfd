//! What was acknowledged, what each pad was shown, and whether the two agree.
//!
//! The ledger mends nothing: a pad that misses an event goes on behind it, so that what a hub does wrong stays visible.
//! Each stream is checked as it comes ([`Wire`]); what a pad was shown over all its streams is checked at the end
//! ([`Ledger::judge`]).

mod done;
mod expiry;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringpad_proto::v1::{Call, Early, Snapshot, Update};
use tokio::time::Instant;

use super::{
    verdict::{Delay, Verdict},
    weather::Weather,
};
use done::LastShown;
pub(super) use done::{Done, Part};
use expiry::Expiries;
pub(super) use expiry::TOKEN_LIVES;

/// How long a ring is worth a popup: the setting's default. And how far two readings of one clock may lie apart.
pub(super) const POPUP_TTL: Duration = Duration::from_secs(30);
const SLACK: Duration = Duration::from_secs(1);

/// One of a call's two records, or what a pad did to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) call_id: String,
    pub(super) part: Part,
}

impl Record {
    /// The record that left a call as it is.
    fn behind(call: &Call) -> Self {
        Self { call_id: call.id.clone(), part: Part::behind(call) }
    }
}

/// When a record was first sent, and when it was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledged {
    pub(super) sent: Instant,
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
}

/// Something a pad was shown.
#[derive(Debug)]
struct Shown {
    position: u64,
    record: Record,
    pop_until: Option<Duration>,
    at: Instant,
}

/// What one pad was shown.
#[derive(Debug, Default)]
struct Book {
    shown: Vec<Shown>,
    /// Rings that it was shown ahead of their turn.
    early: HashMap<String, Instant>,
    /// What its streams did wrong by themselves, in words.
    wrongs: Vec<(Wrong, String)>,
    streams: u64,
    last_shown: LastShown,
    expiries: Expiries,
    /// Of a pad that comes late: where its first snapshot stood, and the calls in it.
    late: Option<Beginning>,
}

/// What a late pad begins with.
#[derive(Debug, Default)]
struct Beginning {
    position: u64,
    calls: Vec<String>,
}

/// The positions of a store's records, as its pads were shown them.
type Positions<'a> = HashMap<&'a Record, u64>;

/// What a stream can do wrong by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It brought something twice.
    Twice,
    /// It brought something behind what follows it.
    OutOfOrder,
    /// It passed over something, told another position than its own, began with something else than was asked for, or
    /// ended for no reason that a fault could give it.
    Broken,
}

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

impl Book {
    fn judge(
        &self,
        pad: usize,
        acknowledged: &HashMap<Record, Acknowledged>,
        positions: &Positions<'_>,
        weather: &Weather,
        verdict: &mut Verdict,
    ) {
        verdict.streams += self.streams;
        verdict.shown += self.shown.len();
        verdict.early += self.early.len();
        verdict.expired += self.expiries.count();
        for words in self.expiries.too_early(weather) {
            verdict.broken += 1;
            verdict.say(format!("pad {pad} {words}"));
        }
        for (wrong, words) in &self.wrongs {
            *match wrong {
                Wrong::Twice => &mut verdict.twice,
                Wrong::OutOfOrder => &mut verdict.out_of_order,
                Wrong::Broken => &mut verdict.broken,
            } += 1;
            verdict.say(format!("pad {pad}: {words}"));
        }
        let first = self.judge_shown(pad, acknowledged, positions, weather, verdict);
        for call_id in self.early.keys() {
            if !acknowledged.contains_key(&Record { call_id: call_id.clone(), part: Part::Ring }) {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} was shown {call_id} early, which is not its store's"));
            }
        }
        for call_id in self.late.iter().flat_map(|late| &late.calls) {
            if !acknowledged.contains_key(&Record { call_id: call_id.clone(), part: Part::Ring }) {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} began with {call_id}, which is not its store's"));
            }
        }
        for (record, acknowledged) in acknowledged {
            let Some(shown) = first.get(record) else {
                if self.began_behind(record, positions) {
                    self.judge_begun_with(pad, record, positions, verdict);
                    continue;
                }
                verdict.lost += 1;
                verdict.say(format!("pad {pad} was never shown {record:?}"));
                continue;
            };
            if record.part == Part::Ring {
                let early = self.early.get(&record.call_id).copied();
                let shown = early.map_or(*shown, |early| early.min(*shown));
                verdict.delays.push(Delay {
                    pad,
                    accepted: acknowledged.at,
                    came_back: self.expiries.came_back(acknowledged.at, shown),
                    took: shown.saturating_duration_since(acknowledged.at),
                    took_from_sending: shown.saturating_duration_since(acknowledged.sent),
                });
            }
        }
    }

    /// Whether a record is older than the first snapshot of a pad that came late.
    fn began_behind(&self, record: &Record, positions: &Positions<'_>) -> bool {
        let position = positions.get(record);
        self.late.as_ref().zip(position).is_some_and(|(late, position)| *position <= late.position)
    }

    /// A pad that comes while a call is open begins with it: its ring is older than the snapshot, its end is not.
    fn judge_begun_with(
        &self,
        pad: usize,
        record: &Record,
        positions: &Positions<'_>,
        verdict: &mut Verdict,
    ) {
        let end = Record { part: Part::End, ..record.clone() };
        let is_open = record.part == Part::Ring && !self.began_behind(&end, positions);
        let calls = self.late.as_ref().map_or(&[][..], |late| &late.calls);
        if is_open && !calls.contains(&record.call_id) {
            verdict.lost += 1;
            verdict
                .say(format!("pad {pad} came while {} was open, and did not begin with it", record.call_id));
        }
    }

    /// What was shown, one after the other; when each record was first.
    fn judge_shown<'a>(
        &'a self,
        pad: usize,
        acknowledged: &HashMap<Record, Acknowledged>,
        positions: &Positions<'_>,
        weather: &Weather,
        verdict: &mut Verdict,
    ) -> HashMap<&'a Record, Instant> {
        let mut first = HashMap::new();
        for Shown { position, record, pop_until, at } in &self.shown {
            let Some(acknowledged) = acknowledged.get(record) else {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} was shown {record:?}, which is not its store's"));
                continue;
            };
            if first.insert(record, *at).is_some() {
                verdict.twice += 1;
                verdict.say(format!("pad {pad} was shown {record:?} twice"));
            }
            let ring = Record { part: Part::Ring, ..record.clone() };
            if record.part != Part::Ring && !first.contains_key(&ring) && !self.began_behind(&ring, positions)
            {
                verdict.out_of_order += 1;
                verdict.say(format!("pad {pad} was shown {record:?} at {position} before the ring"));
            }
            // By ingest-svc's clock.
            let ahead = weather.clock_ahead(acknowledged.sent, acknowledged.at);
            let latest = acknowledged.wall + ahead + POPUP_TTL + SLACK;
            let in_time = |until: Duration| record.part == Part::Ring && UNIX_EPOCH + until <= latest;
            if pop_until.is_some_and(|until| !in_time(until)) {
                verdict.late_pops += 1;
                verdict.say(format!("pad {pad} was to pop {record:?} when it was no ring any more"));
            }
        }
        first
    }
}

/// One stream of a pad, as it comes.
#[derive(Debug)]
pub(super) struct Wire {
    ledger: Ledger,
    pad: usize,
    cursor: u64,
    passed_over: BTreeSet<u64>,
    /// Rings that it has shown, in their turn or ahead of it.
    rung: HashSet<String>,
}

impl Wire {
    /// A stream that begins behind `position`.
    pub(super) fn new(ledger: &Ledger, pad: usize, position: u64) -> Self {
        let (passed_over, rung) = (BTreeSet::new(), HashSet::new());
        Self { ledger: ledger.clone(), pad, cursor: position, passed_over, rung }
    }

    /// The stream brings an update.
    pub(super) fn update(&mut self, update: &Update) {
        let position = update.position;
        self.rung.extend(update.call.as_ref().map(|call| call.id.clone()));
        if position > self.cursor {
            self.passed_over.extend(self.cursor + 1..position);
            self.cursor = position;
        } else if self.passed_over.remove(&position) {
            self.wrong(Wrong::OutOfOrder, format!("{position} came after {}", self.cursor));
        } else {
            self.wrong(Wrong::Twice, format!("{position} came twice on a stream"));
        }
    }

    /// The stream shows a ring ahead of its turn.
    pub(super) fn early(&mut self, early: &Early) {
        let call = early.call.clone().unwrap_or_default();
        if call.revision <= self.cursor || !self.rung.insert(call.id.clone()) {
            self.wrong(Wrong::Twice, format!("{} came early, and had been shown", call.id));
        }
        self.ledger.show_early(self.pad, call.id, Instant::now());
    }

    /// A heartbeat tells how far the stream should be.
    pub(super) fn heartbeat(&self, position: u64) {
        if position != self.cursor {
            self.wrong(Wrong::Broken, format!("a heartbeat of {position} on a stream at {}", self.cursor));
        }
    }

    fn wrong(&self, wrong: Wrong, words: String) {
        self.ledger.wrong(self.pad, wrong, words);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.passed_over.is_empty() {
            self.wrong(Wrong::Broken, format!("a stream passed over {:?}", self.passed_over));
        }
    }
}
