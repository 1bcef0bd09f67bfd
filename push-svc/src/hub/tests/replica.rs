//! A replica of the model: a real hub and the real record of publishers, the batches that the bus has for it, and its
//! question to the log.

use ringpad_bus::Batch;

use super::{super::*, SMALL, log::*};
use crate::capacity::PublisherCapacity;
use crate::subscription::{MessageSource, Publishers};

pub(super) struct TestReplica {
    pub(super) hub: Hub,
    publishers: Publishers,
    /// The epoch of the last answer of the log.
    log: Option<Uuid>,
    /// All stores must be compared with the log, as after every new queue.
    pub(super) compare: bool,
    pub(super) under_way: Vec<Batch>,
    question: Option<Question>,
    /// The highest position of the current log that it knows of, for each store.
    pub(super) known: [u64; STORES.len()],
}

/// A question to the log, and its answer.
struct Question {
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
            question: None,
            known: [0; STORES.len()],
        }
    }

    /// As `Subscriber::take` does.
    pub(super) fn take(&mut self, batch: &Batch, log: &TestLog, now: Instant) {
        match self.publishers.receive(self.log, &batch.head, now) {
            MessageSource::OurLog { gap } => {
                for event in &batch.events {
                    self.apply(event, log, now);
                }
                self.compare |= gap;
            }
            // While no instance of our log is alive, the log is asked once a second.
            MessageSource::OtherLog { .. } => self.compare = true,
            MessageSource::OlderVersion => panic!("each batch of the model names its log"),
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

    /// As `CatchUp::run` does, one request at a time.
    pub(super) fn ask_due(&mut self, log: &TestLog, now: Instant) {
        self.hub.next_catch_up(now);
        self.ask(log, |hub| hub.due_for_catch_up(now));
    }

    /// The same. From now on the replica must deliver all that the log has, also of a store that is being asked about now.
    pub(super) fn ask_all(&mut self, log: &TestLog, now: Instant) {
        if self.question.is_none() {
            self.compare = false;
            self.ask(log, |hub| hub.all_cursors(now));
            for store in 0..STORES.len() {
                self.knows(log, log.epoch, store, log.position(store));
            }
        }
    }

    fn ask(&mut self, log: &TestLog, about: impl FnOnce(&Hub) -> Vec<StoreCursor>) {
        if self.question.is_none() {
            let cursors = about(&self.hub);
            let (answers, completeness) = log.answer(&cursors);
            self.question = Some(Question { cursors, epoch: log.epoch, answers, completeness });
        }
    }

    pub(super) fn answer(&mut self, log: &TestLog, now: Instant) {
        let Some(Question { cursors, epoch, answers, completeness }) = self.question.take() else { return };
        for (cursor, answer) in cursors.iter().zip(&answers) {
            self.knows(log, epoch, index(&answer.store_id), answer.position);
            self.hub.catch_up(epoch, cursor.after_position, answer, completeness, now);
        }
        self.compare |= self.log.replace(epoch) != Some(epoch);
    }

    pub(super) fn fail(&mut self) {
        if let Some(question) = self.question.take() {
            self.hub.catch_up_failed(&question.cursors);
        }
    }

    /// Asks until no store needs it any more.
    pub(super) fn settle(&mut self, log: &TestLog, now: &mut Instant) {
        self.answer(log, *now);
        for round in 0.. {
            assert!(round < 1_000, "a store never stops needing the log");
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
