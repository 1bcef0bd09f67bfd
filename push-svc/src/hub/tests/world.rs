//! The model: a log, a bus that may do anything, pads that come and go, and a hub between them.

use std::{
    collections::VecDeque,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use ringpad_proto::v1::StoreEvent;

use super::*;

const STORE: &str = "gangnam";
/// How many events the model's log answers at once.
const LIMIT: usize = 5;

/// A pad and all that it was ever given.
pub(super) struct TestPad {
    member: Member,
    pub(super) epoch: Uuid,
    pub(super) cursor: u64,
    missed: VecDeque<StoreEvent>,
    pub(super) ended: Option<End>,
}

/// A pad that has a seat and waits for the log.
struct Coming {
    member: Member,
    /// What it had when it was here before.
    had: Option<(Uuid, u64)>,
    read: Option<(Uuid, u64, Vec<StoreEvent>)>,
}

pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) now: Instant,
    pub(super) epoch: Uuid,
    pub(super) position: u64,
    under_way: Vec<Event>,
    coming: Option<Coming>,
    pub(super) pads: Vec<TestPad>,
    /// What the hub asked, and the log's answer to it.
    asked: Option<(Uuid, u64, StoreEvents, Cut)>,
    pub(super) new_logs: u32,
    /// The highest position of this log that the hub was told of.
    pub(super) known: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            hub: Hub::default(),
            now: Instant::now(),
            epoch: Uuid::from_u128(1),
            position: 0,
            under_way: Vec::new(),
            coming: None,
            pads: Vec::new(),
            asked: None,
            new_logs: 0,
            known: 0,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.now += Duration::from_millis(10);
        match step {
            Step::Ring => self.ring(),
            Step::Deliver(index) => {
                if let Some(event) = self.take(index) {
                    self.apply(&event);
                }
            }
            Step::DeliverTwice(index) => {
                if let Some(event) = self.take(index) {
                    self.apply(&event);
                    self.under_way.push(event);
                }
            }
            Step::Lose(index) => drop(self.take(index)),
            Step::Join => self.join(None),
            Step::Return(index) => self.come_back(index),
            Step::Read => self.read(),
            Step::LetIn => self.let_in(),
            Step::Leave(index) => {
                if !self.pads.is_empty() {
                    drop(self.pads.swap_remove(index.index(self.pads.len())));
                }
            }
            Step::Pull(index) => {
                if !self.pads.is_empty() {
                    let index = index.index(self.pads.len());
                    self.pull(index);
                }
            }
            Step::AskDue => self.ask(Hub::due),
            Step::AskAll => self.compare(),
            Step::Answer => self.answer(),
            Step::Wait => self.now += store::GAP_HOLD,
            Step::NewLog => self.renew(),
        }
    }

    fn ring(&mut self) {
        self.position += 1;
        let (epoch, position) = (self.epoch, self.position);
        let bytes = bytes(epoch, position);
        self.under_way.push(Event { store_id: STORE.to_owned(), epoch, position, bytes, receipt: None });
    }

    fn come_back(&mut self, index: Index) {
        if !self.pads.is_empty() && self.coming.is_none() {
            let gone = self.pads.swap_remove(index.index(self.pads.len()));
            let had = (gone.epoch, gone.cursor);
            drop(gone);
            self.join(Some(had));
        }
    }

    /// From now on, all that the log has is as good as told, also for a store that is only just being asked about.
    fn compare(&mut self) {
        if self.asked.is_none() {
            self.ask(Hub::all);
            self.knows(self.epoch, self.position);
        }
    }

    fn answer(&mut self) {
        if let Some((epoch, after, answer, cut)) = self.asked.take() {
            self.knows(epoch, answer.position);
            self.hub.catch_up(epoch, after, &answer, cut, self.now);
        }
    }

    fn renew(&mut self) {
        self.epoch = Uuid::from_u128(self.epoch.as_u128() + 1);
        self.position = 0;
        self.known = 0;
        self.new_logs += 1;
    }

    fn apply(&mut self, event: &Event) {
        if self.hub.apply(event, self.now) != Applied::NotHeld {
            self.knows(event.epoch, event.position);
        }
    }

    fn knows(&mut self, epoch: Uuid, position: u64) {
        if epoch == self.epoch {
            self.known = self.known.max(position);
        }
    }

    fn take(&mut self, index: Index) -> Option<Event> {
        (!self.under_way.is_empty()).then(|| self.under_way.swap_remove(index.index(self.under_way.len())))
    }

    fn join(&mut self, had: Option<(Uuid, u64)>) {
        let pad = Pad { id: "p".into(), name: "P".into(), store: STORE.into(), expires: UNIX_EPOCH };
        if self.coming.is_none()
            && let Ok(member) = self.hub.join(&pad, None)
        {
            self.coming = Some(Coming { member, had, read: None });
        }
    }

    /// What the log has after `position`, `LIMIT` events at most.
    fn after(&self, position: u64) -> Vec<StoreEvent> {
        let epoch = self.epoch;
        let event = |position| StoreEvent { position, subscribe_response: bytes(epoch, position) };
        (position + 1..=self.position).take(LIMIT).map(event).collect()
    }

    fn read(&mut self) {
        let answer = (self.epoch, self.position, self.coming.as_ref().and_then(|coming| coming.had));
        let (epoch, position, had) = answer;
        let missed = match had {
            Some((known, after)) if known == epoch => self.after(after),
            _ => Vec::new(),
        };
        if let Some(coming) = &mut self.coming {
            coming.read = Some((epoch, position, missed));
        }
    }

    /// As `Pads::begin` does.
    fn let_in(&mut self) {
        let Some(coming) = self.coming.take() else { return };
        let resumable = coming.had.filter(|(epoch, after)| {
            coming.member.name_store("Gangnam");
            coming.member.resumable(*epoch, *after).is_some()
        });
        let (epoch, cursor, missed) = match (resumable, coming.read, coming.had) {
            (Some((epoch, after)), _, _) => (epoch, after, Vec::new()),
            (None, None, _) => return,
            (None, Some((epoch, position, missed)), had) => {
                coming.member.observe(epoch, position, self.now);
                self.knows(epoch, position);
                match had {
                    Some((known, after)) if known == epoch && after <= position => (epoch, after, missed),
                    _ => (epoch, position, Vec::new()),
                }
            }
        };
        let missed = missed.into();
        self.pads.push(TestPad { member: coming.member, epoch, cursor, missed, ended: None });
    }

    fn ask(&mut self, what: impl Fn(&Hub, Instant) -> Vec<StoreCursor>) {
        if self.asked.is_some() {
            return;
        }
        self.hub.next_due(self.now);
        for cursor in what(&self.hub, self.now) {
            let events = self.after(cursor.after_position);
            let cut = if events.len() < LIMIT { Cut::Whole } else { Cut::Short };
            let answer = StoreEvents {
                store_id: cursor.store_id.clone(),
                position: self.position,
                events,
                not_found: false,
            };
            self.asked = Some((self.epoch, cursor.after_position, answer, cut));
        }
    }

    /// As `PadStream::step` does, but that no pad is ever too slow.
    fn pull(&mut self, index: usize) {
        loop {
            let pad = &mut self.pads[index];
            if pad.ended.is_some() {
                return;
            }
            let event = match (pad.missed.pop_front(), pad.member.seat().ended()) {
                (_, Some(end)) => return pad.ended = Some(end),
                (Some(missed), None) => PadEvent::new(missed.position, missed.subscribe_response),
                (None, None) => match pad.member.pull(pad.cursor) {
                    Pull::Event(event) => PadEvent::new(event.position(), event.encoded()),
                    Pull::Wait => return,
                    Pull::Ended(end) => return pad.ended = Some(end),
                    Pull::Behind if pad.epoch != self.epoch => return pad.ended = Some(End::Anew),
                    Pull::Behind => {
                        let (cursor, page) = (pad.cursor, self.after(self.pads[index].cursor));
                        assert!(!page.is_empty(), "behind at {cursor}, but the log has no more");
                        self.pads[index].missed = page.into();
                        continue;
                    }
                },
            };
            assert_eq!(event.position(), pad.cursor + 1, "the next one and no other");
            assert_eq!(event.encoded(), bytes(pad.epoch, event.position()), "of the pad's own log");
            pad.cursor = event.position();
        }
    }

    /// The bus brings no more but a sentinel, if that is how it ends; the log is asked until nothing is amiss.
    pub(super) fn settle(&mut self, by: Settled) {
        if self.coming.as_ref().is_some_and(|coming| coming.read.is_none()) {
            self.step(Step::Read);
        }
        self.step(Step::LetIn);
        self.step(Step::Answer);
        self.under_way.clear();
        match by {
            Settled::Comparison => self.step(Step::AskAll),
            Settled::Sentinel => {
                self.step(Step::Ring);
                let sentinel = self.under_way.remove(0);
                self.apply(&sentinel);
            }
            Settled::Silence => {}
        }
        self.step(Step::Answer);
        for round in 0.. {
            self.step(Step::Wait);
            if self.hub.next_due(self.now).is_none() {
                break;
            }
            assert!(round < 1_000, "something stays amiss for ever");
            self.step(Step::AskDue);
            self.step(Step::Answer);
        }
        for index in 0..self.pads.len() {
            self.pull(index);
        }
    }
}

fn bytes(epoch: Uuid, position: u64) -> Bytes {
    format!("{epoch}/{position}").into()
}
