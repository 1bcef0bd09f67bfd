//! The hub: what a replica knows of the stores that have a pad here, and of their pads.
//!
//! Contract: each stream pulls its store's events one by one, in order, from its own cursor; nothing is queued for a
//! pad, so a slow one costs only itself. An event of a store without a pad here is dropped after a hash look-up. The
//! hub knows no HTTP, no broker and no log: it is told what they said, and says what must be asked
//! ([`Hub::due`], [`Hub::attention`]).
//!
//! ```text
//!  bus ──apply──► ┌ store ─ next, recent, ahead ┐ ◄──pull── stream of a pad
//!  log ─catch_up─►│        seats ───────────────┼───wake──► (its seat)
//!                 └─────────────────────────────┘
//! ```

mod answers;
mod event;
mod seat;
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

pub(crate) use answers::{Ahead, Applied, Cut, Pull};
pub(crate) use event::{PadEvent, is_readable, json};
pub(crate) use seat::{Errand, Seat};

use crate::{auth::Pad, end::End};
use store::{Arrived, Store};

/// Streams that a pad may have on one replica.
pub(crate) const STREAMS_PER_PAD: usize = 8;
/// Over how long the pads of a renamed store are asked to connect anew.
const RENAMED_WINDOW: Duration = Duration::from_secs(2);

/// How long after the window a replica that leaves keeps its streams: the pad that is told last may meet a replica that
/// hangs, which costs it 5 s, and tries another one then. Those told before it keep theirs as long: where no other
/// replica takes them yet, because all are being replaced, an old stream is better than none.
const LINGER: Duration = Duration::from_secs(7);

/// A cloneable handle on the hub.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    attention: Notify,
    streams: TaskTracker,
}

#[derive(Default)]
struct State {
    stores: HashMap<Arc<str>, Store>,
    /// Stores that may have to be asked about: all that are, and some that are no more.
    amiss: HashSet<Arc<str>>,
    seats: u64,
    leaving: bool,
}

/// A stream's membership of its store; it ends when dropped.
pub(crate) struct Member {
    hub: Hub,
    seat: Arc<Seat>,
    /// What [`Hub::empty`] waits for.
    _open: TaskTrackerToken,
}

impl Hub {
    /// Gives `pad` a seat for one more stream. Events are kept for it from now on. An older stream of its `session` goes
    /// on until [`Member::take_over`].
    ///
    /// # Errors
    /// The pad has too many streams, or the replica is leaving.
    pub(crate) fn join(&self, pad: &Pad, session: Option<Box<str>>) -> Result<Member, End> {
        let mut state = self.lock();
        if state.leaving {
            return Err(End::Leaving);
        }
        state.seats += 1;
        let id = state.seats;
        let store = match state.stores.get_key_value(&pad.store) {
            Some((known, _)) => known.clone(),
            None => pad.store.clone(),
        };
        let seat = Arc::new(Seat::new(id, store.clone(), pad.id.clone(), session));
        let seats = &mut state.stores.entry(store).or_default().seats;
        let others = seats.iter().filter(|other| other.shares_pad(&seat)).count();
        // The new stream takes the place of its session's older one.
        let replaces = usize::from(seats.iter().any(|other| other.shares_session(&seat)));
        if others - replaces >= STREAMS_PER_PAD {
            return Err(End::TooManyStreams);
        }
        seats.push(seat.clone());
        Ok(Member { hub: self.clone(), seat, _open: self.0.streams.token() })
    }

    /// Takes an event from the bus.
    pub(crate) fn apply(&self, event: &Event, now: Instant) -> Applied {
        let mut state = self.lock();
        let Some(store) = state.stores.get_mut(event.store_id.as_str()) else { return Applied::NotHeld };
        let arrived =
            Arrived { position: event.position, bytes: &event.bytes, receipt: event.receipt.as_ref() };
        let applied = store.apply(event.epoch, arrived, now);
        match applied {
            Applied::NotHeld | Applied::Live | Applied::Duplicate => {}
            Applied::Ahead | Applied::Foreign | Applied::Hint | Applied::Unreadable => {
                self.note(state, &event.store_id, now)
            }
        }
        applied
    }

    /// Resolves when something is newly amiss: [`next_due`](Self::next_due) then says when to ask about it.
    pub(crate) async fn attention(&self) {
        self.0.attention.notified().await;
    }

    /// When the log must be asked next; `None` while nothing is amiss.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let State { stores, amiss, .. } = &mut *state;
        let mut earliest: Option<Instant> = None;
        amiss.retain(|id| {
            let due = stores.get(id).and_then(|store| store.due_at(now));
            earliest = earliest.into_iter().chain(due).min();
            due.is_some()
        });
        earliest
    }

    /// What to ask the log now, because something is amiss with these stores.
    pub(crate) fn due(&self, now: Instant) -> Vec<StoreCursor> {
        let mut state = self.lock();
        let State { stores, amiss, .. } = &mut *state;
        let due = amiss.iter().filter_map(|id| {
            let store = stores.get_mut(id)?;
            let after_position =
                store.due_at(now).filter(|at| *at <= now).and_then(|_| store.ask_from(now))?;
            Some(StoreCursor { store_id: id.to_string(), after_position })
        });
        due.collect()
    }

    /// What to ask the log to compare every store with it.
    pub(crate) fn all(&self, now: Instant) -> Vec<StoreCursor> {
        let mut state = self.lock();
        let all = state.stores.iter_mut().filter_map(|(id, store)| {
            Some(StoreCursor { store_id: id.to_string(), after_position: store.ask_from(now)? })
        });
        all.collect()
    }

    /// The log could not be asked about these stores.
    pub(crate) fn unanswered(&self, cursors: &[StoreCursor]) {
        let mut state = self.lock();
        let State { stores, amiss, .. } = &mut *state;
        for cursor in cursors {
            if let Some((id, store)) = find(stores, &cursor.store_id) {
                store.ask_again();
                amiss.insert(id);
            }
        }
    }

    /// Takes the log's answer about one store, when it was asked what follows `after`. Pads that know the store by another
    /// name than the answer are asked to connect anew: only a snapshot tells the name.
    pub(crate) fn catch_up(&self, epoch: Uuid, after: u64, answer: &StoreEvents, cut: Cut, now: Instant) {
        let mut state = self.lock();
        let Some(store) = state.stores.get_mut(answer.store_id.as_str()) else { return };
        let unaware = store.take_name(&answer.store_name);
        if let Some(end) = store.catch_up(epoch, after, answer, cut, now) {
            tracing::info!(store = answer.store_id, reason = end.reason(), "ending the store's streams");
            store.seats.iter().for_each(|seat| seat.end(end.clone()));
        } else if !unaware.is_empty() {
            tracing::info!(store = answer.store_id, pads = unaware.len(), "the store has a new name");
            spread(&unaware, RENAMED_WINDOW, now, Seat::send_for_the_new_name);
        }
        self.note(state, &answer.store_id, now);
    }

    /// Forgets events that have been at hand for long enough.
    pub(crate) fn sweep(&self, now: Instant) {
        self.lock().stores.values_mut().for_each(|store| store.sweep(now));
    }

    /// The replica leaves: no more streams, and those there are learn when to go, spread evenly over `window`. Those that
    /// have not gone 7 s after it end together.
    pub(crate) fn leave(&self, window: Duration, now: Instant) {
        let mut state = self.lock();
        state.leaving = true;
        let seats: Vec<_> = state.stores.values().flat_map(|store| store.seats.iter().cloned()).collect();
        drop(state);
        self.0.streams.close();
        let by = now + window + LINGER;
        spread(&seats, window, now, |seat, at| seat.send_away(at, by));
    }

    /// Whether [`leave`](Self::leave) was called.
    pub(crate) fn is_leaving(&self) -> bool {
        self.lock().leaving
    }

    /// Resolves when the replica is leaving and its last stream has ended.
    pub(crate) async fn empty(&self) {
        self.0.streams.wait().await;
    }

    /// Remembers that a store is amiss, if it is, and wakes whoever asks the log.
    fn note(&self, mut state: MutexGuard<'_, State>, store: &str, now: Instant) {
        let State { stores, amiss, .. } = &mut *state;
        if let Some((id, store)) = find(stores, store)
            && store.due_at(now).is_some()
            && amiss.insert(id)
        {
            self.0.attention.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state as whole as it was.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// What wakes and ends the stream.
    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The next event after `cursor`.
    pub(crate) fn pull(&self, cursor: u64) -> Pull {
        // The hub ends seats under its lock: an event pulled after this is of the stream's own log.
        let state = self.hub.lock();
        if let Some(end) = self.seat.ended() {
            return Pull::Ended(end);
        }
        state.stores.get(self.seat.store()).map_or(Pull::Wait, |store| store.pull(cursor))
    }

    /// A ring past `cursor` that is to be shown ahead of its turn; see [`Ahead`]. Not one of those `shown` so already.
    pub(crate) fn early(&self, cursor: u64, shown: &BTreeSet<u64>, now: Instant, wall: SystemTime) -> Ahead {
        let state = self.hub.lock();
        let store = state.stores.get(self.seat.store()).filter(|_| self.seat.ended().is_none());
        store.map_or(Ahead::None, |store| store.early(cursor, shown, now, wall))
    }

    /// The store's name, for the pad's snapshot, if a pad that has everything up to `after` can go on from what is at hand.
    pub(crate) fn resumable(&self, epoch: Uuid, after: u64) -> Option<Arc<str>> {
        let state = self.hub.lock();
        let name = state.stores.get(self.seat.store())?.resumable(epoch, after)?;
        self.seat.tell(&name);
        Some(name)
    }

    /// The store's name, for the pad's snapshot, if it is known.
    pub(crate) fn store_name(&self) -> Option<Arc<str>> {
        let state = self.hub.lock();
        let name = state.stores.get(self.seat.store())?.name()?;
        self.seat.tell(&name);
        Some(name)
    }

    /// Takes what the log called the store when it was read for the pad's snapshot. If the store is known by another name,
    /// either may be the newer one: the log is asked.
    pub(crate) fn name_store(&self, name: &str, now: Instant) -> Arc<str> {
        let mut state = self.hub.lock();
        if self.seat.ended().is_some() {
            // The store may be held for others by now, who came after the log was read.
            return name.into();
        }
        let Some(store) = state.stores.get_mut(self.seat.store()) else { return name.into() };
        let name = store.suggest_name(name);
        self.seat.tell(&name);
        self.hub.note(state, self.seat.store(), now);
        name
    }

    /// Tells the hub how far the log is. If it is another log than before, all other streams of the store end.
    pub(crate) fn observe(&self, epoch: Uuid, position: u64, now: Instant) {
        let mut state = self.hub.lock();
        if self.seat.ended().is_some() {
            // The store may be held for others by now, who came after the log was read.
            return;
        }
        let Some(store) = state.stores.get_mut(self.seat.store()) else { return };
        if let Some(end) = store.observe(epoch, position, now) {
            let others = store.seats.iter().filter(|seat| seat.id() != self.seat.id());
            others.for_each(|seat| seat.end(end.clone()));
        }
        self.hub.note(state, self.seat.store(), now);
    }

    /// Ends the older streams of the same session, now that this one goes on in their place.
    pub(crate) fn take_over(&self) {
        let mut state = self.hub.lock();
        let Some(store) = state.stores.get_mut(self.seat.store()) else { return };
        store.seats.retain(|seat| {
            let replaced = seat.id() < self.seat.id() && seat.shares_session(&self.seat);
            if replaced {
                seat.end(End::Replaced);
            }
            !replaced
        });
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        let Some(store) = state.stores.get_mut(self.seat.store()) else { return };
        store.seats.retain(|seat| seat.id() != self.seat.id());
        if store.seats.is_empty() {
            state.stores.remove(self.seat.store());
            state.amiss.remove(self.seat.store());
        }
    }
}

/// Has each of the seats go at a moment of its own, spread evenly over `window`.
fn spread(seats: &[Arc<Seat>], window: Duration, now: Instant, go: impl Fn(&Seat, Instant)) {
    let share = window.div_f64(seats.len().max(1) as f64);
    for (index, seat) in seats.iter().enumerate() {
        go(seat, now + share.mul_f64(index as f64 + fastrand::f64()));
    }
}

fn find<'a>(stores: &'a mut HashMap<Arc<str>, Store>, id: &str) -> Option<(Arc<str>, &'a mut Store)> {
    let key = stores.get_key_value(id)?.0.clone();
    stores.get_mut(id).map(|store| (key, store))
}
