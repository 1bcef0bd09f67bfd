//! One store that has a pad here: its recent events and its next position. Nothing here is the only copy: all of it can be
//! read from the log again.
//!
//! ```text
//!  positions   … 41 42 43 44 45 46 │ 47   48 49    51
//!                    └── recent ──┘  ▲    └─ ahead ─┘
//!                                   next: missing; read from the log if it does not come by itself
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use ringpad_bus::Receipt;
use ringpad_proto::v1::StoreEvents;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    answers::{ApplyOutcome, Completeness, EarlyRing, NextEvent},
    control::StreamControl,
    event::{PadEvent, is_readable},
    name::StoreName,
    recent::RecentEvents,
};
use crate::{capacity::StoreCapacity, stream_end::StreamEnd};

/// How long a gap may close by itself: two publishers may overtake each other.
pub(super) const GAP_HOLD: Duration = Duration::from_millis(50);
/// How long the events before a ring may be missing before the ring is sent early: pads are promised 500 ms, and the
/// transport takes some of them.
pub(super) const EARLY: Duration = Duration::from_millis(450);
/// How long no event of another epoch makes us ask the log again which epoch is right.
const OTHER_EPOCH_PAUSE: Duration = Duration::from_secs(1);

/// An event that comes from the bus or from the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct IncomingEvent<'a> {
    pub(super) position: u64,
    pub(super) bytes: &'a Bytes,
    /// What the bus says about its receipt.
    pub(super) receipt: Option<&'a Receipt>,
}

impl IncomingEvent<'_> {
    /// Copied, because the bytes are a slice of a whole batch, which would otherwise stay in memory as long as they do.
    fn to_pad_event(self) -> Arc<PadEvent> {
        let bytes = Bytes::copy_from_slice(self.bytes);
        Arc::new(PadEvent::from_bus(self.position, bytes, self.receipt.cloned()))
    }
}

/// What is known of the store in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LogPosition {
    epoch: Uuid,
    /// The position that pads wait for.
    next: u64,
    /// The highest position that the log is known to have.
    last_known: u64,
}

/// An event whose predecessors are missing.
struct AheadEvent {
    epoch: Uuid,
    event: Arc<PadEvent>,
    since: Instant,
}

/// Events of another epoch than the log's.
#[derive(Default)]
struct OtherEpoch {
    seen: bool,
    asked_at: Option<Instant>,
}

/// A store that has a pad here.
pub(super) struct HeldStore {
    capacity: StoreCapacity,
    /// `None` until the log has answered for the first time.
    log: Option<LogPosition>,
    name: StoreName,
    recent: RecentEvents,
    ahead: BTreeMap<u64, AheadEvent>,
    /// Since when an event is missing, or since the log was last asked for it.
    gap_since: Option<Instant>,
    /// Since when an event is missing.
    missing_since: Option<Instant>,
    /// The log must be asked, even if no event is missing.
    needs_catch_up: bool,
    other_epoch: OtherEpoch,
    pub(super) streams: Vec<Arc<StreamControl>>,
}

impl HeldStore {
    pub(super) fn new(capacity: StoreCapacity) -> Self {
        Self {
            capacity,
            log: None,
            name: StoreName::default(),
            recent: RecentEvents::default(),
            ahead: BTreeMap::new(),
            gap_since: None,
            missing_since: None,
            needs_catch_up: false,
            other_epoch: OtherEpoch::default(),
            streams: Vec::new(),
        }
    }

    /// Takes an event from the bus.
    pub(super) fn apply(&mut self, epoch: Uuid, event: IncomingEvent<'_>, now: Instant) -> ApplyOutcome {
        let position = event.position;
        if position == 0 {
            self.needs_catch_up = true;
            self.name.invalidate();
            return ApplyOutcome::Hint;
        }
        match self.log {
            Some(log) if log.epoch != epoch => {
                self.other_epoch.seen = true;
                ApplyOutcome::OtherEpoch
            }
            Some(log) if position < log.next => ApplyOutcome::Duplicate,
            _ if !is_readable(position, event.bytes) => {
                // It may have been damaged on the way. If not, the log answers that it has no such event.
                self.needs_catch_up = true;
                ApplyOutcome::Unreadable
            }
            Some(log) if position == log.next => {
                self.append(event.to_pad_event(), now);
                self.advance(now);
                ApplyOutcome::Live
            }
            _ => self.keep_ahead(epoch, event, now),
        }
    }

    fn keep_ahead(&mut self, epoch: Uuid, event: IncomingEvent<'_>, now: Instant) -> ApplyOutcome {
        let position = event.position;
        if let Some(known) = self.ahead.get(&position) {
            // Two epochs before the first answer of the log. That answer may have been read before the log was replaced.
            self.needs_catch_up |= known.epoch != epoch;
            return ApplyOutcome::Duplicate;
        }
        if self.ahead.len() < self.capacity.ahead_events {
            self.ahead.insert(position, AheadEvent { epoch, event: event.to_pad_event(), since: now });
            // From now on each stream counts how long the event waits.
            self.wake_streams();
        } else if let Some(log) = &mut self.log {
            log.last_known = log.last_known.max(position);
        } else {
            self.needs_catch_up = true;
        }
        self.watch_gap(now);
        ApplyOutcome::Ahead
    }

    /// Appends the event at `next`.
    fn append(&mut self, event: Arc<PadEvent>, now: Instant) {
        let Some(log) = &mut self.log else { return };
        log.next = event.position() + 1;
        self.recent.push(event, now, &self.capacity);
    }

    /// Forgets events that have been kept for long enough.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.recent.sweep(now);
    }

    /// Moves events that are next from `ahead` to `recent`, and wakes the streams.
    fn advance(&mut self, now: Instant) {
        while let Some(log) = self.log {
            let Some(entry) = self.ahead.first_entry().filter(|entry| *entry.key() <= log.next) else {
                break;
            };
            let ahead = entry.remove();
            if ahead.event.position() == log.next && ahead.epoch == log.epoch {
                self.append(ahead.event, now);
            }
        }
        self.gap_since = None;
        self.watch_gap(now);
        self.wake_streams();
    }

    fn wake_streams(&self) {
        self.streams.iter().for_each(|stream| stream.wake());
    }

    /// Remembers when a gap was first seen.
    fn watch_gap(&mut self, now: Instant) {
        let missing = self.log.is_some_and(|log| !self.ahead.is_empty() || log.next <= log.last_known);
        if missing {
            self.gap_since.get_or_insert(now);
            self.missing_since.get_or_insert(now);
        } else {
            self.missing_since = None;
        }
    }

    /// When the log must be asked about this store; `None` if it need not be.
    pub(super) fn catch_up_at(&self, now: Instant) -> Option<Instant> {
        self.log?;
        let other_epoch =
            self.other_epoch.seen.then(|| self.other_epoch.asked_at.map_or(now, |at| at + OTHER_EPOCH_PAUSE));
        let gap = self.gap_since.map(|since| since + GAP_HOLD);
        [self.needs_catch_up.then_some(now), other_epoch, gap].into_iter().flatten().min()
    }

    /// The position after which the log is asked now; everything that needs it counts as asked for. `None` before the log's
    /// first answer: it may have been read too early for what is needed now, so the log is asked again after it.
    pub(super) fn start_catch_up(&mut self, now: Instant) -> Option<u64> {
        let Some(log) = self.log else {
            self.needs_catch_up = true;
            return None;
        };
        self.needs_catch_up = false;
        if std::mem::take(&mut self.other_epoch.seen) {
            self.other_epoch.asked_at = Some(now);
        }
        self.gap_since = self.gap_since.map(|_| now);
        self.name.request();
        Some(log.next - 1)
    }

    /// The log did not answer.
    pub(super) fn catch_up_failed(&mut self) {
        self.needs_catch_up = true;
        self.name.request_failed();
    }

    /// Takes the epoch and the position of the log. If the epoch is another one than before, nothing known is valid any more,
    /// and the streams of the old epoch must end.
    pub(super) fn observe(&mut self, epoch: Uuid, position: u64, now: Instant) -> Option<StreamEnd> {
        let other_log = self.log.is_some_and(|log| log.epoch != epoch);
        if other_log {
            self.forget();
            // This answer may be old, and the epoch before it the right one: the next answer decides.
            self.needs_catch_up = true;
        }
        match &mut self.log {
            Some(log) => {
                log.last_known = log.last_known.max(position);
                self.watch_gap(now);
            }
            None => {
                self.log =
                    Some(LogPosition { epoch, next: position.saturating_add(1), last_known: position });
                let before = self.ahead.len();
                self.ahead.retain(|_, ahead| ahead.epoch == epoch);
                self.needs_catch_up |= self.ahead.len() < before;
                self.advance(now);
            }
        }
        other_log.then_some(StreamEnd::NeedsResync)
    }

    /// Takes the log's answer to [`start_catch_up`](Self::start_catch_up). Returns why the store's streams must end, if they must.
    pub(super) fn catch_up(
        &mut self,
        epoch: Uuid,
        after: u64,
        answer: &StoreEvents,
        completeness: Completeness,
        now: Instant,
    ) -> Option<StreamEnd> {
        // This answer was asked for pads that have left, and read before those came that are here now: it may be too old.
        self.log?;
        if answer.not_found {
            self.forget();
            return Some(StreamEnd::NoSuchStore);
        }
        if answer.position < after && self.log.is_some_and(|log| log.epoch == epoch) {
            // A backup of the log was restored without a new epoch, against docs/operate.md: it gives the same positions to
            // other events. This is noticed only while the log is still behind; then at least these pads get a snapshot.
            tracing::error!(
                position = answer.position,
                after,
                "the log has gone back; restore it with a new epoch"
            );
            self.forget();
            self.observe(epoch, answer.position, now);
            return Some(StreamEnd::NeedsResync);
        }
        let end = self.observe(epoch, answer.position, now);
        for logged in &answer.events {
            let event =
                IncomingEvent { position: logged.position, bytes: &logged.subscribe_response, receipt: None };
            self.apply(epoch, event, now);
        }
        let behind = self.log.is_some_and(|log| log.next <= answer.position);
        match (behind, completeness) {
            (false, _) => end,
            (true, Completeness::Truncated) => {
                self.needs_catch_up = true;
                end
            }
            (true, Completeness::Complete) => {
                // The log no longer has the next event, so no pad can get it.
                self.forget();
                self.observe(epoch, answer.position, now);
                Some(StreamEnd::NeedsResync)
            }
        }
    }

    /// As if the log had never been asked.
    fn forget(&mut self) {
        let streams = std::mem::take(&mut self.streams);
        *self = Self { streams, ..Self::new(self.capacity) };
    }

    /// The store's name, if a pad that has everything up to `after` can continue from memory.
    pub(super) fn resumable(&self, epoch: Uuid, after: u64) -> Option<Arc<str>> {
        let log = self.log.filter(|log| log.epoch == epoch)?;
        let in_memory = after < log.next && after + 1 >= self.oldest(log);
        self.name.known().filter(|_| in_memory)
    }

    /// Takes a name that was read for one pad, and returns the name for that pad.
    pub(super) fn suggest_name(&mut self, name: &str) -> Arc<str> {
        let (name, must_ask) = self.name.suggest(name);
        self.needs_catch_up |= must_ask;
        name
    }

    /// Takes the name in the log's answer to [`start_catch_up`](Self::start_catch_up), and returns the streams whose
    /// snapshot has another one.
    pub(super) fn take_name(&mut self, name: &str) -> Vec<Arc<StreamControl>> {
        if !self.name.answered(name) {
            return Vec::new();
        }
        self.streams.iter().filter(|stream| stream.needs_name(name)).cloned().collect()
    }

    /// The event after `cursor`.
    pub(super) fn next_event(&self, cursor: u64) -> NextEvent {
        if self.log.is_none_or(|log| cursor + 1 >= log.next) {
            return NextEvent::NotYet;
        }
        self.recent.get(cursor + 1).cloned().map_or(NextEvent::Behind, NextEvent::Event)
    }

    /// The first ring after `cursor` that has waited for too long for the events before it, and is not among those `sent`
    /// early already.
    pub(super) fn early_ring(
        &self,
        cursor: u64,
        sent: &BTreeSet<u64>,
        now: Instant,
        wall: SystemTime,
    ) -> EarlyRing {
        let Some(log) = self.log else { return EarlyRing::None };
        // For a pad that is still catching up, recent events are ahead, too.
        let recent = self.recent.newest_down_to(cursor.saturating_add(2));
        // The pad's snapshot may be newer than what this replica has, and then has some of the events that wait here.
        let ahead = self.ahead.range(cursor.saturating_add(1)..).map(|(_, ahead)| ahead);
        let ahead = ahead.filter(|ahead| ahead.epoch == log.epoch).map(|ahead| {
            (&ahead.event, self.missing_since.map_or(ahead.since, |since| since.min(ahead.since)))
        });
        let mut earliest = None;
        for (event, since) in recent.chain(ahead) {
            if sent.contains(&event.position()) || !event.is_popup_at(wall) {
                continue;
            }
            if since + EARLY <= now {
                return EarlyRing::Due(Arc::clone(event));
            }
            earliest = earliest.into_iter().chain([since + EARLY]).min();
        }
        earliest.map_or(EarlyRing::None, EarlyRing::NotBefore)
    }

    /// The position of the oldest event in memory; `next` if there is none.
    fn oldest(&self, log: LogPosition) -> u64 {
        self.recent.first_position().unwrap_or(log.next)
    }
}
