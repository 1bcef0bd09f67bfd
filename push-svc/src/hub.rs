//! The hub: what a replica knows of the stores that have a pad here, and of the streams of their pads.
//!
//! Contract: each stream takes its store's events one by one, in order, from its own cursor; nothing is queued for a pad, so
//! a slow pad delays only itself. An event of a store without a pad here is dropped after one look-up in a hash map. The
//! hub knows nothing of HTTP, the broker and the log: it is given their messages, and says what the log must be asked
//! ([`Hub::due_for_catch_up`], [`Hub::catch_up_needed`]).
//!
//! ```text
//!  bus ──apply──► ┌ store ─ next, recent, ahead ┐ ◄──next_event── stream of a pad
//!  log ─catch_up─►│        streams ─────────────┼─────wake─────► (its control)
//!                 └─────────────────────────────┘
//! ```

mod answers;
mod control;
mod event;
mod name;
mod recent;
mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use ringpad_bus::Event;
use ringpad_proto::v1::{StoreCursor, StoreEvents};
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use uuid::Uuid;

pub(crate) use answers::{ApplyOutcome, Completeness, EarlyRing, NextEvent};
pub(crate) use control::{ReconnectRequest, StreamControl};
pub(crate) use event::{PadEvent, is_readable, json};

use crate::{
    admission::token::{Pad, TokenFault},
    capacity::HubCapacity,
    stream_end::StreamEnd,
};
use store::{HeldStore, IncomingEvent};

/// Over how long the pads of a renamed store are asked to connect again.
const RENAMED_WINDOW: Duration = Duration::from_secs(2);

/// How long a leaving replica keeps its streams after the window: the pad that is asked last may reach a replica that
/// hangs, and tries another one after 5 s. Pads that were asked earlier keep their streams until then, too: if no other
/// replica accepts them yet, because all are being replaced, an old stream is better than none.
const LINGER: Duration = Duration::from_secs(7);

/// A cloneable handle on the hub.
#[derive(Clone)]
pub(crate) struct Hub(Arc<HubInner>);

struct HubInner {
    capacity: HubCapacity,
    state: Mutex<HubState>,
    catch_up_needed: Notify,
    streams: TaskTracker,
}

#[derive(Default)]
struct HubState {
    stores: HashMap<Arc<str>, HeldStore>,
    /// All stores about which the log must be asked, and some about which it need not be asked any more.
    needs_catch_up: HashSet<Arc<str>>,
    /// How many streams were registered.
    streams: u64,
    leaving: bool,
}

/// A stream's registration with its store; it ends when dropped.
pub(crate) struct Registration {
    hub: Hub,
    control: Arc<StreamControl>,
    /// [`Hub::all_streams_ended`] waits for it.
    _open: TaskTrackerToken,
}

impl Hub {
    pub(crate) fn new(capacity: HubCapacity) -> Self {
        let (state, catch_up_needed, streams) = Default::default();
        Self(Arc::new(HubInner { capacity, state, catch_up_needed, streams }))
    }

    /// Registers one more stream of `pad`. Events are kept for it from now on. An older stream of its `session` continues
    /// until [`Registration::replace_older_streams`].
    ///
    /// # Errors
    /// The pad has too many streams, or the replica is leaving.
    pub(crate) fn register(&self, pad: &Pad, session: Option<Box<str>>) -> Result<Registration, StreamEnd> {
        let mut state = self.lock();
        if state.leaving {
            return Err(StreamEnd::Leaving);
        }
        state.streams += 1;
        let id = state.streams;
        let store = match state.stores.get_key_value(&pad.store) {
            Some((known, _)) => known.clone(),
            None => pad.store.clone(),
        };
        let control = Arc::new(StreamControl::new(id, store.clone(), pad, session));
        let HubCapacity { streams_per_pad, store: store_capacity } = self.0.capacity;
        let streams =
            &mut state.stores.entry(store).or_insert_with(|| HeldStore::new(store_capacity)).streams;
        let others = streams.iter().filter(|other| other.shares_pad(&control)).count();
        // The new stream replaces its session's older one.
        let replaced = usize::from(streams.iter().any(|other| other.shares_session(&control)));
        if others - replaced >= streams_per_pad {
            return Err(StreamEnd::TooManyStreams);
        }
        streams.push(control.clone());
        Ok(Registration { hub: self.clone(), control, _open: self.0.streams.token() })
    }

    /// Takes an event from the bus.
    pub(crate) fn apply(&self, event: &Event, now: Instant) -> ApplyOutcome {
        let mut state = self.lock();
        let Some(store) = state.stores.get_mut(event.store_id.as_str()) else { return ApplyOutcome::NotHeld };
        let incoming =
            IncomingEvent { position: event.position, bytes: &event.bytes, receipt: event.receipt.as_ref() };
        let outcome = store.apply(event.epoch, incoming, now);
        match outcome {
            ApplyOutcome::NotHeld | ApplyOutcome::Live | ApplyOutcome::Duplicate => {}
            ApplyOutcome::Ahead
            | ApplyOutcome::OtherEpoch
            | ApplyOutcome::Hint
            | ApplyOutcome::Unreadable => self.note_catch_up(state, &event.store_id, now),
        }
        outcome
    }

    /// Resolves when one more store needs it that the log is asked; [`next_catch_up`](Self::next_catch_up) says when.
    pub(crate) async fn catch_up_needed(&self) {
        self.0.catch_up_needed.notified().await;
    }

    /// When the log must be asked next; `None` if it need not be.
    pub(crate) fn next_catch_up(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let HubState { stores, needs_catch_up, .. } = &mut *state;
        let mut earliest: Option<Instant> = None;
        needs_catch_up.retain(|id| {
            let due = stores.get(id).and_then(|store| store.catch_up_at(now));
            earliest = earliest.into_iter().chain(due).min();
            due.is_some()
        });
        earliest
    }

    /// The stores about which the log must be asked now.
    pub(crate) fn due_for_catch_up(&self, now: Instant) -> Vec<StoreCursor> {
        let mut state = self.lock();
        let HubState { stores, needs_catch_up, .. } = &mut *state;
        let due = needs_catch_up.iter().filter_map(|id| {
            let store = stores.get_mut(id)?;
            let after_position =
                store.catch_up_at(now).filter(|at| *at <= now).and_then(|_| store.start_catch_up(now))?;
            Some(StoreCursor { store_id: id.to_string(), after_position })
        });
        due.collect()
    }

    /// All stores, to compare them with the log.
    pub(crate) fn all_cursors(&self, now: Instant) -> Vec<StoreCursor> {
        let mut state = self.lock();
        let all = state.stores.iter_mut().filter_map(|(id, store)| {
            Some(StoreCursor { store_id: id.to_string(), after_position: store.start_catch_up(now)? })
        });
        all.collect()
    }

    /// The log did not answer about these stores.
    pub(crate) fn catch_up_failed(&self, cursors: &[StoreCursor]) {
        let mut state = self.lock();
        let HubState { stores, needs_catch_up, .. } = &mut *state;
        for cursor in cursors {
            if let Some((id, store)) = find(stores, &cursor.store_id) {
                store.catch_up_failed();
                needs_catch_up.insert(id);
            }
        }
    }

    /// Takes the log's answer about one store, which was asked for the events after `after`. Pads whose snapshot has another
    /// name than the answer are asked to connect again: only a snapshot has the name.
    pub(crate) fn catch_up(
        &self,
        epoch: Uuid,
        after: u64,
        answer: &StoreEvents,
        completeness: Completeness,
        now: Instant,
    ) {
        let mut state = self.lock();
        let Some(store) = state.stores.get_mut(answer.store_id.as_str()) else { return };
        let need_name = store.take_name(&answer.store_name);
        if let Some(end) = store.catch_up(epoch, after, answer, completeness, now) {
            tracing::info!(store = answer.store_id, reason = end.reason(), "ending the store's streams");
            store.streams.iter().for_each(|stream| stream.end(end.clone()));
        } else if !need_name.is_empty() {
            tracing::info!(store = answer.store_id, pads = need_name.len(), "the store has a new name");
            spread(&need_name, RENAMED_WINDOW, now, StreamControl::reconnect_for_name);
        }
        self.note_catch_up(state, &answer.store_id, now);
    }

    /// Forgets events that have been kept for long enough.
    pub(crate) fn sweep(&self, now: Instant) {
        self.lock().stores.values_mut().for_each(|store| store.sweep(now));
    }

    /// Ends all streams of these pads, which were revoked.
    pub(crate) fn end_revoked(&self, pads: &HashSet<&str>) {
        let state = self.lock();
        let streams = state.stores.values().flat_map(|store| &store.streams);
        for stream in streams.filter(|stream| pads.contains(stream.pad())) {
            stream.end(StreamEnd::Token(TokenFault::Revoked));
        }
    }

    /// The replica leaves: it accepts no more streams, and asks its pads to reconnect, spread evenly over `window`. Streams
    /// that are still open 7 s after it end together.
    pub(crate) fn leave(&self, window: Duration, now: Instant) {
        let mut state = self.lock();
        state.leaving = true;
        let streams: Vec<_> = state.stores.values().flat_map(|store| store.streams.iter().cloned()).collect();
        drop(state);
        self.0.streams.close();
        let end_at = now + window + LINGER;
        spread(&streams, window, now, |stream, ask_at| {
            stream.leave(ReconnectRequest { ask_at, end_at, end: StreamEnd::Leaving });
        });
    }

    /// Whether [`leave`](Self::leave) was called.
    pub(crate) fn is_leaving(&self) -> bool {
        self.lock().leaving
    }

    /// Resolves when the replica is leaving and its last stream has ended.
    pub(crate) async fn all_streams_ended(&self) {
        self.0.streams.wait().await;
    }

    /// Remembers that the log must be asked about a store, if so, and wakes the task that asks it.
    fn note_catch_up(&self, mut state: MutexGuard<'_, HubState>, store: &str, now: Instant) {
        let HubState { stores, needs_catch_up, .. } = &mut *state;
        if let Some((id, store)) = find(stores, store)
            && store.catch_up_at(now).is_some()
            && needs_catch_up.insert(id)
        {
            self.0.catch_up_needed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        // No panic can leave the state half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// What wakes and ends the stream.
    pub(crate) fn control(&self) -> &StreamControl {
        &self.control
    }

    /// The event after `cursor`.
    pub(crate) fn next_event(&self, cursor: u64) -> NextEvent {
        // The hub ends streams under its lock, so an event that is taken after this check is of the stream's own epoch.
        let state = self.hub.lock();
        if let Some(end) = self.control.ended() {
            return NextEvent::Ended(end);
        }
        state.stores.get(self.control.store()).map_or(NextEvent::NotYet, |store| store.next_event(cursor))
    }

    /// A ring after `cursor` that is to be sent early, other than those that have been `sent` early already.
    pub(crate) fn early_ring(
        &self,
        cursor: u64,
        sent: &BTreeSet<u64>,
        now: Instant,
        wall: SystemTime,
    ) -> EarlyRing {
        let state = self.hub.lock();
        let store = state.stores.get(self.control.store()).filter(|_| self.control.ended().is_none());
        store.map_or(EarlyRing::None, |store| store.early_ring(cursor, sent, now, wall))
    }

    /// The store's name, for the pad's snapshot, if a pad that has everything up to `after` can continue from memory.
    pub(crate) fn resumable(&self, epoch: Uuid, after: u64) -> Option<Arc<str>> {
        let state = self.hub.lock();
        let name = state.stores.get(self.control.store())?.resumable(epoch, after)?;
        self.control.announce_name(&name);
        Some(name)
    }

    /// Takes the store's name as it was read from the log for the pad's snapshot, and returns the name for the snapshot. If
    /// the hub knows another name, either may be the newer one: the log is asked.
    pub(crate) fn suggest_name(&self, name: &str, now: Instant) -> Arc<str> {
        let mut state = self.hub.lock();
        if self.control.ended().is_some() {
            // The store may be held for other pads by now, which came after the log was read.
            return name.into();
        }
        let Some(store) = state.stores.get_mut(self.control.store()) else { return name.into() };
        let name = store.suggest_name(name);
        self.control.announce_name(&name);
        self.hub.note_catch_up(state, self.control.store(), now);
        name
    }

    /// Takes the epoch and the position of the log. If the epoch is another one than before, all other streams of the store
    /// end.
    pub(crate) fn observe(&self, epoch: Uuid, position: u64, now: Instant) {
        let mut state = self.hub.lock();
        if self.control.ended().is_some() {
            // The store may be held for other pads by now, which came after the log was read.
            return;
        }
        let Some(store) = state.stores.get_mut(self.control.store()) else { return };
        if let Some(end) = store.observe(epoch, position, now) {
            let others = store.streams.iter().filter(|stream| stream.id() != self.control.id());
            others.for_each(|stream| stream.end(end.clone()));
        }
        self.hub.note_catch_up(state, self.control.store(), now);
    }

    /// Ends the older streams of the same session, now that this one continues in their place.
    pub(crate) fn replace_older_streams(&self) {
        let mut state = self.hub.lock();
        let Some(store) = state.stores.get_mut(self.control.store()) else { return };
        store.streams.retain(|stream| {
            let replaced = stream.id() < self.control.id() && stream.shares_session(&self.control);
            if replaced {
                stream.end(StreamEnd::Replaced);
            }
            !replaced
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        let Some(store) = state.stores.get_mut(self.control.store()) else { return };
        store.streams.retain(|stream| stream.id() != self.control.id());
        if store.streams.is_empty() {
            state.stores.remove(self.control.store());
            state.needs_catch_up.remove(self.control.store());
        }
    }
}

/// Calls `ask` for each stream with a time of its own, spread evenly over `window`.
fn spread(
    streams: &[Arc<StreamControl>],
    window: Duration,
    now: Instant,
    ask: impl Fn(&StreamControl, Instant),
) {
    let share = window.div_f64(streams.len().max(1) as f64);
    for (index, stream) in streams.iter().enumerate() {
        ask(stream, now + share.mul_f64(index as f64 + fastrand::f64()));
    }
}

fn find<'a>(stores: &'a mut HashMap<Arc<str>, HeldStore>, id: &str) -> Option<(Arc<str>, &'a mut HeldStore)> {
    let key = stores.get_key_value(id)?.0.clone();
    stores.get_mut(id).map(|store| (key, store))
}
