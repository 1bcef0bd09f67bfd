//! A replica of the model: a real hub and the real look at who publishes, what the bus has for it, and what it has
//! asked the log.

use ringpad_bus::Batch;

use super::{super::*, SMALL, log::*};
use crate::capacity::PublisherCapacity;
use crate::subscription::{MessageSource, Publishers};

pub(super) struct TestReplica {
    pub(super) hub: Hub,
    publishers: Publishers,
    /// Which log has answered last.
    log: Option<Uuid>,
    /// All stores have to be compared with the log. Every new queue wants that.
    pub(super) compare: bool,
    pub(super) under_way: Vec<Batch>,
    asked: Option<Asked>,
    /// Of each store, the highest position of the current log that it was told of.
    pub(super) known: [u64; STORES.len()],
}

/// What was asked, and how the log answers.
struct Asked {
    cursors: Vec<StoreCursor>,
    epoch: Uuid,
    answers: Vec<StoreEvents>,
    completeness: Completeness,
}

impl TestReplica {
    pub(super) fn new() -> Self {
        Self {
            hub: Hub::new(SMALL),
            publishers: Publishers::new(PublisherCapacity::default(), Instant::now()),
            log: None,
            compare: true,
            under_way: Vec::new(),
            asked: None,
            known: [0; STORES.len()],
        }
    }

    /// As the supervisor of the subscription does.
    pub(super) fn take(&mut self, batch: &Batch, log: &TestLog, now: Instant) {
        match self.publishers.receive(self.log, &batch.head, now) {
            MessageSource::OurLog { gap } => {
                for event in &batch.events {
                    self.apply(event, log, now);
                }
                self.compare |= gap;
            }
            // While nobody of our log is heard, the log is asked once a second.
            MessageSource::OtherLog { .. } => self.compare = true,
            MessageSource::OlderVersion => panic!("each batch of the model says whose it is"),
        }
    }

    pub(super) fn apply(&mut self, event: &Event, log: &TestLog, now: Instant) {
        if self.hub.apply(event, now) != ApplyOutcome::NotHeld {
            self.knows(log, event.epoch, index(&event.store_id), event.position);
        }
    }

    pub(super) fn knows(&mut self, log: &TestLog, epoch: Uuid, store: usize, position: u64) {
        if epoch == log.epoch {
            self.known[store] = self.known[store].max(position);
        }
    }

    /// As the task that catches up does, one request at a time.
    pub(super) fn ask_due(&mut self, log: &TestLog, now: Instant) {
        self.hub.next_catch_up(now);
        self.ask(log, |hub| hub.due_for_catch_up(now));
    }

    /// The same. All that the log has is as good as told from now on, also of a store that is only just being asked about.
    pub(super) fn ask_all(&mut self, log: &TestLog, now: Instant) {
        if self.asked.is_none() {
            self.compare = false;
            self.ask(log, |hub| hub.all_cursors(now));
            for store in 0..STORES.len() {
                self.knows(log, log.epoch, store, log.position(store));
            }
        }
    }

    fn ask(&mut self, log: &TestLog, about: impl FnOnce(&Hub) -> Vec<StoreCursor>) {
        if self.asked.is_none() {
            let cursors = about(&self.hub);
            let (answers, completeness) = log.answer(&cursors);
            self.asked = Some(Asked { cursors, epoch: log.epoch, answers, completeness });
        }
    }

    pub(super) fn answer(&mut self, log: &TestLog, now: Instant) {
        let Some(Asked { cursors, epoch, answers, completeness }) = self.asked.take() else { return };
        for (cursor, answer) in cursors.iter().zip(&answers) {
            self.knows(log, epoch, index(&answer.store_id), answer.position);
            self.hub.catch_up(epoch, cursor.after_position, answer, completeness, now);
        }
        self.compare |= self.log.replace(epoch) != Some(epoch);
    }

    pub(super) fn fail(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.hub.catch_up_failed(&asked.cursors);
        }
    }

    /// Asks until nothing is amiss.
    pub(super) fn settle(&mut self, log: &TestLog, now: &mut Instant) {
        self.answer(log, *now);
        for round in 0.. {
            assert!(round < 1_000, "something stays amiss for ever");
            *now += store::GAP_HOLD;
            if self.compare {
                self.ask_all(log, *now);
            } else if self.hub.next_catch_up(*now).is_some() {
                self.ask_due(log, *now);
            } else {
                break;
            }
            self.answer(log, *now);
        }
    }
}
