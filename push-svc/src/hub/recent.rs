//! The newest events of one store, in memory for the pads that are live or a little behind.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::event::PadEvent;
use crate::capacity::StoreCapacity;

/// How long events are kept; pads that come later read the log.
const MAX_AGE: Duration = Duration::from_secs(120);

/// Events without a gap, oldest first.
#[derive(Default)]
pub(super) struct RecentEvents {
    events: VecDeque<RecentEvent>,
    bytes: usize,
}

struct RecentEvent {
    event: Arc<PadEvent>,
    since: Instant,
}

impl RecentEvents {
    /// Appends the next event. Beyond `capacity` the oldest ones are forgotten, but never this one.
    pub(super) fn push(&mut self, event: Arc<PadEvent>, now: Instant, capacity: &StoreCapacity) {
        self.bytes += event.weight();
        self.events.push_back(RecentEvent { event, since: now });
        while self.events.len() > capacity.recent_events
            || (self.events.len() > 1 && self.bytes > capacity.recent_bytes)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.event.weight();
        }
    }

    /// Forgets events that have been kept for long enough.
    pub(super) fn sweep(&mut self, now: Instant) {
        while self.events.front().is_some_and(|oldest| now.duration_since(oldest.since) > MAX_AGE) {
            self.forget_oldest();
        }
        if self.events.is_empty() {
            self.events.shrink_to_fit();
        }
    }

    /// The position of the oldest event, if there is one.
    pub(super) fn first_position(&self) -> Option<u64> {
        self.events.front().map(|oldest| oldest.event.position())
    }

    /// The event at this position, if it is here.
    pub(super) fn get(&self, position: u64) -> Option<&Arc<PadEvent>> {
        let index = position.checked_sub(self.first_position()?)?;
        self.events.get(usize::try_from(index).ok()?).map(|recent| &recent.event)
    }

    /// The events from this position on, newest first, and since when each is here.
    pub(super) fn newest_down_to(&self, position: u64) -> impl Iterator<Item = (&Arc<PadEvent>, Instant)> {
        let newest_first = self.events.iter().rev().map(|recent| (&recent.event, recent.since));
        newest_first.take_while(move |(event, _)| event.position() >= position)
    }
}
