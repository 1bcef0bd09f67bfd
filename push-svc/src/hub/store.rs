//! One store that has a pad here: its recent events and the next position. No truth is kept: all of it can be asked of
//! the log again.
//!
//! ```text
//!  positions   … 41 42 43 44 45 46 │ 47   48 49    51
//!                    └── recent ──┘  ▲    └─ ahead ─┘
//!                                   next: missing; fetched when it does not come by itself
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use ringpad_bus::Receipt;
use ringpad_proto::v1::StoreEvents;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    answers::{Ahead, Applied, Cut, Pull},
    event::{PadEvent, is_readable},
    seat::Seat,
};
use crate::end::End;

/// How many events are at hand for pads that come a little later. A live pad that falls further behind is too slow.
/// (A handful in unit tests, so that they get there.)
pub(super) const RECENT: usize = if cfg!(test) { 4 } else { 1024 };
/// How many bytes of them, so that long memos do not add up.
const RECENT_BYTES: usize = 4 * 1024 * 1024;
/// How long they are kept; pads that come later read the log.
pub(super) const RECENT_AGE: Duration = Duration::from_secs(120);
/// How many events past a gap wait for it to close. What does not fit is fetched with the gap.
/// (A handful in unit tests, so that they get there.)
pub(super) const AHEAD: usize = if cfg!(test) { 3 } else { 256 };
/// How long a gap may close by itself: two publishers may overtake each other.
pub(super) const GAP_HOLD: Duration = Duration::from_millis(50);
/// How long what precedes a ring may be missing, before the ring is shown ahead of its turn: the contract says 500 ms,
/// and the way to the pad takes some of them.
pub(super) const EARLY: Duration = Duration::from_millis(450);
/// How often, at most, an event of another epoch makes us ask the log which one is right.
const FOREIGN_PAUSE: Duration = Duration::from_secs(1);

/// An event that has come, from the bus or from the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) position: u64,
    pub(super) bytes: &'a Bytes,
    /// What the bus says of it.
    pub(super) receipt: Option<&'a Receipt>,
}

impl Arrived<'_> {
    /// Copied, because the bytes are a slice of a whole batch, which would otherwise stay in memory with them.
    fn kept(self) -> Arc<PadEvent> {
        let bytes = Bytes::copy_from_slice(self.bytes);
        Arc::new(PadEvent::from_bus(self.position, bytes, self.receipt.cloned()))
    }
}

/// What is known of the log's side of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    epoch: Uuid,
    /// The position that pads wait for.
    next: u64,
    /// The highest position that the log is known to have.
    known: u64,
}

struct Recent {
    event: Arc<PadEvent>,
    since: Instant,
}

#[derive(Default)]
struct Foreign {
    seen: bool,
    asked_at: Option<Instant>,
}

struct Kept {
    epoch: Uuid,
    event: Arc<PadEvent>,
    since: Instant,
}

/// A store that has a pad here.
#[derive(Default)]
pub(super) struct Store {
    /// `None` until the log has answered for the first time.
    reach: Option<Reach>,
    /// The store's name, once the log has told it.
    name: Option<Arc<str>>,
    /// The log was asked, and was told of no change since: its answer has the store's name.
    asked: bool,
    recent: VecDeque<Recent>,
    recent_bytes: usize,
    ahead: BTreeMap<u64, Kept>,
    /// Since when something is missing.
    gap_since: Option<Instant>,
    /// The same, but that asking the log begins no new count.
    missing_since: Option<Instant>,
    /// The log must be asked, whatever is missing.
    ask: bool,
    /// An event of another epoch came, and when the last such made us ask.
    foreign: Foreign,
    pub(super) seats: Vec<Arc<Seat>>,
}

impl Store {
    /// Takes an event from the bus.
    pub(super) fn apply(&mut self, epoch: Uuid, event: Arrived<'_>, now: Instant) -> Applied {
        let position = event.position;
        if position == 0 {
            self.ask = true;
            self.asked = false;
            self.name = None;
            return Applied::Hint;
        }
        match self.reach {
            Some(reach) if reach.epoch != epoch => {
                self.foreign.seen = true;
                Applied::Foreign
            }
            Some(reach) if position < reach.next => Applied::Duplicate,
            _ if !is_readable(position, event.bytes) => {
                // Whoever sent it may have broken it; else the log says that nobody can have it.
                self.ask = true;
                Applied::Unreadable
            }
            Some(reach) if position == reach.next => {
                self.append(event.kept(), now);
                self.advance(now);
                Applied::Live
            }
            _ => self.keep_ahead(epoch, event, now),
        }
    }

    fn keep_ahead(&mut self, epoch: Uuid, event: Arrived<'_>, now: Instant) -> Applied {
        let position = event.position;
        if let Some(kept) = self.ahead.get(&position) {
            // Two epochs, and no answer yet; the one under way may have been read before the log was made anew.
            self.ask |= kept.epoch != epoch;
            return Applied::Duplicate;
        }
        if self.ahead.len() < AHEAD {
            self.ahead.insert(position, Kept { epoch, event: event.kept(), since: now });
            // They count from now on how long it waits.
            self.seats.iter().for_each(|seat| seat.wake());
        } else if let Some(reach) = &mut self.reach {
            reach.known = reach.known.max(position);
        } else {
            self.ask = true;
        }
        self.watch_gap(now);
        Applied::Ahead
    }

    /// Appends the event at `next`.
    fn append(&mut self, event: Arc<PadEvent>, now: Instant) {
        let Some(reach) = &mut self.reach else { return };
        reach.next = event.position() + 1;
        self.recent_bytes += event.weight();
        self.recent.push_back(Recent { event, since: now });
        while self.recent.len() > RECENT || (self.recent.len() > 1 && self.recent_bytes > RECENT_BYTES) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.recent.pop_front() {
            self.recent_bytes -= oldest.event.weight();
        }
    }

    /// Forgets events that have been at hand for long enough.
    pub(super) fn sweep(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|oldest| now.duration_since(oldest.since) > RECENT_AGE) {
            self.forget_oldest();
        }
        if self.recent.is_empty() {
            self.recent.shrink_to_fit();
        }
    }

    /// Moves what has come to its turn from `ahead` to `recent`, and wakes the pads.
    fn advance(&mut self, now: Instant) {
        while let Some(reach) = self.reach {
            let Some(entry) = self.ahead.first_entry().filter(|entry| *entry.key() <= reach.next) else {
                break;
            };
            let kept = entry.remove();
            if kept.event.position() == reach.next && kept.epoch == reach.epoch {
                self.append(kept.event, now);
            }
        }
        self.gap_since = None;
        self.watch_gap(now);
        for seat in &self.seats {
            seat.wake();
        }
    }

    /// Notes when a gap was first seen.
    fn watch_gap(&mut self, now: Instant) {
        let missing = self.reach.is_some_and(|reach| !self.ahead.is_empty() || reach.next <= reach.known);
        if missing {
            self.gap_since.get_or_insert(now);
            self.missing_since.get_or_insert(now);
        } else {
            self.missing_since = None;
        }
    }

    /// When the log must be asked about this store; `None` if nothing is amiss.
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        self.reach?;
        let foreign = self.foreign.seen.then(|| self.foreign.asked_at.map_or(now, |at| at + FOREIGN_PAUSE));
        let gap = self.gap_since.map(|since| since + GAP_HOLD);
        [self.ask.then_some(now), foreign, gap].into_iter().flatten().min()
    }

    /// After which position the log is to be asked. Whatever is amiss counts as asked for from now on. `None` while the
    /// log's first answer is awaited: it may have been read before what is now amiss, so the log is asked once more then.
    pub(super) fn ask_from(&mut self, now: Instant) -> Option<u64> {
        let Some(reach) = self.reach else {
            self.ask = true;
            return None;
        };
        self.ask = false;
        if std::mem::take(&mut self.foreign.seen) {
            self.foreign.asked_at = Some(now);
        }
        self.gap_since = self.gap_since.map(|_| now);
        self.asked = true;
        Some(reach.next - 1)
    }

    /// The log could not be asked.
    pub(super) fn ask_again(&mut self) {
        self.ask = true;
        self.asked = false;
    }

    /// Learns where the log is. Another epoch than before: everything known is of no more use, and the streams that
    /// were fed from it must end.
    pub(super) fn observe(&mut self, epoch: Uuid, position: u64, now: Instant) -> Option<End> {
        let other_log = self.reach.is_some_and(|reach| reach.epoch != epoch);
        if other_log {
            self.forget();
            // The answer may be an old one that was long under way: the next answer tells.
            self.ask = true;
        }
        match &mut self.reach {
            Some(reach) => {
                reach.known = reach.known.max(position);
                self.watch_gap(now);
            }
            None => {
                self.reach = Some(Reach { epoch, next: position.saturating_add(1), known: position });
                let kept = self.ahead.len();
                self.ahead.retain(|_, kept| kept.epoch == epoch);
                self.ask |= self.ahead.len() < kept;
                self.advance(now);
            }
        }
        other_log.then_some(End::Anew)
    }

    /// Takes the log's answer to [`ask_from`](Self::ask_from). Says why the store's streams must end, if they must.
    pub(super) fn catch_up(
        &mut self,
        epoch: Uuid,
        after: u64,
        answer: &StoreEvents,
        cut: Cut,
        now: Instant,
    ) -> Option<End> {
        // Asked for pads that are gone, and read before those came that are here now: it says too little for them.
        self.reach?;
        if answer.not_found {
            self.forget();
            return Some(End::NoSuchStore);
        }
        if answer.position < after && self.reach.is_some_and(|reach| reach.epoch == epoch) {
            // A backup of the log was put back without a new epoch, against docs/operate.md: it gives out anew positions
            // that pads have had. Seen only while the log is still behind; then at least these pads begin afresh.
            tracing::error!(
                position = answer.position,
                after,
                "the log has gone back; restore it with a new epoch"
            );
            self.forget();
            self.observe(epoch, answer.position, now);
            return Some(End::Anew);
        }
        let end = self.observe(epoch, answer.position, now);
        for logged in &answer.events {
            let event =
                Arrived { position: logged.position, bytes: &logged.subscribe_response, receipt: None };
            self.apply(epoch, event, now);
        }
        let behind = self.reach.is_some_and(|reach| reach.next <= answer.position);
        match (behind, cut) {
            (false, _) => end,
            (true, Cut::Short) => {
                self.ask = true;
                end
            }
            (true, Cut::Whole) => {
                // The log no longer keeps what comes next: nobody can ever be given it.
                self.forget();
                self.observe(epoch, answer.position, now);
                Some(End::Anew)
            }
        }
    }

    /// As if the log had never been asked.
    fn forget(&mut self) {
        let seats = std::mem::take(&mut self.seats);
        *self = Self { seats, ..Self::default() };
    }

    /// The store's name, if a pad that has `after` can go on from what is at hand.
    pub(super) fn resumable(&self, epoch: Uuid, after: u64) -> Option<Arc<str>> {
        let reach = self.reach.filter(|reach| reach.epoch == epoch)?;
        let at_hand = after < reach.next && after + 1 >= self.oldest(reach);
        self.name.clone().filter(|_| at_hand)
    }

    /// A pad has read this name. It may be newer or older than one that is known or under way; then the log is asked once
    /// more, and only that answer tells.
    pub(super) fn suggest_name(&mut self, name: &str) -> Arc<str> {
        match &self.name {
            Some(known) if **known == *name => known.clone(),
            known => {
                self.ask |= std::mem::take(&mut self.asked) || known.is_some();
                let read: Arc<str> = name.into();
                self.name.get_or_insert_with(|| read.clone());
                read
            }
        }
    }

    /// Takes the name in the log's answer to [`ask_from`](Self::ask_from), and says which pads were told another. An answer
    /// that was asked for pads that are gone, or before a change, has an old name.
    pub(super) fn take_name(&mut self, name: &str) -> Vec<Arc<Seat>> {
        if !std::mem::take(&mut self.asked) || name.is_empty() {
            return Vec::new();
        }
        if self.name.as_deref() != Some(name) {
            self.name = Some(name.into());
        }
        self.seats.iter().filter(|seat| seat.is_unaware_of(name)).cloned().collect()
    }

    pub(super) fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    /// What follows `cursor`.
    pub(super) fn pull(&self, cursor: u64) -> Pull {
        let Some(reach) = self.reach.filter(|reach| cursor + 1 < reach.next) else { return Pull::Wait };
        let index =
            (cursor + 1).checked_sub(self.oldest(reach)).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.recent.get(index)) {
            Some(recent) => Pull::Event(recent.event.clone()),
            None => Pull::Behind,
        }
    }

    /// The first ring past `cursor` that has waited for its turn for too long and is not among the positions `shown`.
    pub(super) fn early(&self, cursor: u64, shown: &BTreeSet<u64>, now: Instant, wall: SystemTime) -> Ahead {
        let Some(reach) = self.reach else { return Ahead::None };
        // What is at hand is ahead of a pad that is still catching up.
        let at_hand = self.recent.iter().rev().take_while(|recent| recent.event.position() > cursor + 1);
        let at_hand = at_hand.map(|recent| (&recent.event, recent.since));
        // A pad that was read further in the log than this replica has come has some of what waits here.
        let kept = self.ahead.range(cursor.saturating_add(1)..).map(|(_, kept)| kept);
        let kept = kept.filter(|kept| kept.epoch == reach.epoch);
        let kept =
            kept.map(|kept| (&kept.event, self.missing_since.map_or(kept.since, |gap| gap.min(kept.since))));
        let waiting = at_hand.chain(kept);
        let mut earliest = None;
        for (event, since) in waiting {
            if shown.contains(&event.position()) || !event.pops(wall) {
                continue;
            }
            if since + EARLY <= now {
                return Ahead::Ring(Arc::clone(event));
            }
            earliest = earliest.into_iter().chain([since + EARLY]).min();
        }
        earliest.map_or(Ahead::None, Ahead::At)
    }

    /// The position of the oldest event at hand; `next` if there is none.
    fn oldest(&self, reach: Reach) -> u64 {
        self.recent.front().map_or(reach.next, |oldest| oldest.event.position())
    }
}
