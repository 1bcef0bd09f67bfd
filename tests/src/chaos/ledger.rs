//! What was acknowledged, what each pad was shown, and whether both are the same.
//!
//! The ledger repairs nothing: a pad that misses an event continues after it, so that a hub's mistake stays visible.
//! Each stream is checked as it comes ([`super::stream_check`]); what a pad was shown over all its streams is checked at the end
//! ([`Ledger::judge`]).

mod expiry;
mod pad_history;
mod pad_state;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ringpad_proto::v1::{Snapshot, Update};
use tokio::time::Instant;

use super::{fault_log::FaultLog, verdict::Verdict};
pub(super) use expiry::TOKEN_LIFETIME;
pub(super) use pad_history::{Acknowledged, Record, StreamFault};
use pad_history::{Calls, PadHistory, Positions, Renewal, ShownEvent};
pub(super) use pad_state::{PadState, Step};

#[derive(Debug, Default)]
struct State {
    /// The acknowledged records of each store.
    acknowledged: Vec<HashMap<Record, Acknowledged>>,
    /// The pad state of each store's calls, as the last action was answered.
    answered: Vec<HashMap<String, PadState>>,
    /// The pads' histories, each with the number of its store.
    histories: Vec<(usize, PadHistory)>,
}

impl State {
    /// The positions of a store's records.
    fn positions(&self, store: usize) -> Positions<'_> {
        let histories =
            || self.histories.iter().filter(|(owner, _)| *owner == store).map(|(_, history)| history);
        let shown = histories().flat_map(|history| &history.shown);
        let mut positions: Positions<'_> = shown.map(|shown| (&shown.record, shown.position)).collect();
        let renewed = histories().flat_map(|history| &history.renewals).map(|renewal| &renewal.calls);
        let snapshots: Vec<_> = histories().flat_map(|history| &history.late).chain(renewed).collect();
        for record in self.acknowledged[store].keys() {
            let in_snapshots = snapshots.iter().filter(|calls| calls.show(record));
            if let Some(position) = in_snapshots.map(|calls| calls.position).min() {
                positions.entry(record).or_insert(position);
            }
        }
        positions
    }

    /// Only a promotion makes a new epoch, and each makes one. If another one follows soon, pads may not see it.
    fn judge_epochs(&self, fault_log: &FaultLog, verdict: &mut Verdict) {
        let renewals = self.histories.iter().flat_map(|(_, history)| &history.renewals);
        verdict.renewals = renewals.clone().count();
        let epochs: HashSet<_> = renewals.map(|renewal| &renewal.epoch).collect();
        verdict.promotions = fault_log.promotions();
        if epochs.len() > verdict.promotions || (epochs.is_empty() && verdict.promotions > 0) {
            verdict.broken += 1;
            verdict.say(format!("{} new epochs after {} promotions", epochs.len(), verdict.promotions));
        }
    }
}

/// A cloneable handle on the records of all stores and the histories of all pads. Stores and pads have numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    /// Empty histories for so many stores with so many pads each, and after all of them one for each store's pad that comes late.
    pub(super) fn new(stores: usize, pads_each: usize) -> Self {
        let mut state = State::default();
        state.acknowledged.resize_with(stores, HashMap::new);
        state.answered.resize_with(stores, HashMap::new);
        let owners = (0..stores).flat_map(|store| std::iter::repeat_n(store, pads_each));
        state.histories = owners.map(|store| (store, PadHistory::default())).collect();
        let late = || PadHistory { late: Some(Calls::default()), ..PadHistory::default() };
        state.histories.extend((0..stores).map(|store| (store, late())));
        Self(Arc::new(Mutex::new(state)))
    }

    /// A record was answered 200, or an action OK.
    pub(super) fn acknowledge(&self, store: usize, record: Record, acknowledged: Acknowledged) {
        self.lock().acknowledged[store].entry(record).or_insert(acknowledged);
    }

    /// The state of a call after its last action, as it was answered.
    pub(super) fn answer(&self, store: usize, call_id: &str, pad_state: PadState) {
        self.lock().answered[store].insert(call_id.to_owned(), pad_state);
    }

    /// Whether each pad that does not come late has had its first snapshot.
    pub(super) fn all_begun(&self) -> bool {
        self.lock().histories.iter().all(|(_, history)| history.streams > 0 || history.late.is_some())
    }

    /// Whether each pad was shown as much as its store has.
    pub(super) fn is_even(&self) -> bool {
        let state = self.lock();
        // Positions have no gap, and each record has one.
        let has_all = |store: usize, position| position >= state.acknowledged[store].len() as u64;
        state
            .histories
            .iter()
            .all(|(store, history)| history.streams > 0 && has_all(*store, history.position))
    }

    /// A pad shows an event.
    pub(super) fn show(&self, pad: usize, update: &Update) {
        let call = update.call.clone().unwrap_or_default();
        let record = Record::last_of(&call);
        let pop_until = update.pop_until.and_then(|until| {
            Some(Duration::new(until.seconds.try_into().ok()?, until.nanos.try_into().ok()?))
        });
        let shown = ShownEvent { position: update.position, record, pop_until, at: Instant::now() };
        self.history(pad, |history| {
            history.position = history.position.max(update.position);
            history.shown.push(shown);
            history.last_shown.show(&call);
        });
    }

    /// A pad shows a ring ahead of its turn.
    pub(super) fn show_early(&self, pad: usize, call_id: String, at: Instant) {
        self.history(pad, |history| {
            history.early.entry(call_id).or_insert(at);
        });
    }

    /// A pad has a snapshot.
    pub(super) fn begin(&self, pad: usize, snapshot: &Snapshot) {
        self.history(pad, |history| {
            history.streams += 1;
            if let Some(late) = history.late.as_mut().filter(|_| history.streams == 1) {
                let calls = snapshot.open_calls.iter().chain(&snapshot.recent_calls);
                calls.for_each(|call| history.last_shown.show(call));
                history.position = snapshot.position;
                *late = Calls::of(snapshot);
            }
        });
    }

    /// A pad shows the snapshot of another epoch in place of all that it had.
    pub(super) fn renew(&self, pad: usize, snapshot: &Snapshot) {
        let Snapshot { position, epoch, open_calls, recent_calls, .. } = snapshot;
        self.history(pad, |history| {
            let mut broken = |words| history.wrongs.push((StreamFault::Broken, words));
            if snapshot.resumed {
                broken(format!("a stream of the epoch {epoch} was resumed in another one"));
            }
            if *position < history.position {
                broken(format!("the epoch {epoch} begins at {position}, behind {}", history.position));
            }
            if history.renewals.iter().any(|renewal| renewal.epoch == *epoch) {
                broken(format!("the epoch {epoch} has come back"));
            }
            open_calls.iter().chain(recent_calls).for_each(|call| history.last_shown.show(call));
            history.position = *position;
            history.renewals.push(Renewal {
                epoch: epoch.clone(),
                calls: Calls::of(snapshot),
                shown_before: history.shown.len(),
                at: Instant::now(),
            });
        });
    }

    /// A stream of a pad broke the protocol.
    pub(super) fn wrong(&self, pad: usize, wrong: StreamFault, words: String) {
        self.history(pad, |history| history.wrongs.push((wrong, words)));
    }

    /// A replica has refused a pad's token that was issued then.
    pub(super) fn expire(&self, pad: usize, issued: Instant) {
        self.history(pad, |history| history.expiries.note(issued));
    }

    fn history(&self, pad: usize, write: impl FnOnce(&mut PadHistory)) {
        write(&mut self.lock().histories[pad].1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere has ended the run anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares what each pad was shown with what was acknowledged.
    pub(super) fn judge(&self, fault_log: &FaultLog) -> Verdict {
        let state = self.lock();
        let events = state.acknowledged.iter().map(HashMap::len).sum();
        let records = state.acknowledged.iter().flat_map(HashMap::keys);
        let actions = records.filter(|record| record.step.is_action()).count();
        let mut verdict = Verdict { events, actions, ..Verdict::default() };
        state.judge_epochs(fault_log, &mut verdict);
        for (pad, (store, history)) in state.histories.iter().enumerate() {
            let positions = state.positions(*store);
            history.judge(pad, &state.acknowledged[*store], &positions, fault_log, &mut verdict);
            for words in history.last_shown.undone(&state.answered[*store]) {
                verdict.undone += 1;
                verdict.say(format!("pad {pad} {words}"));
            }
        }
        verdict.delays.sort_by_key(|delay| delay.took);
        verdict
    }
}
