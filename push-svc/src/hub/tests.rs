//! The hub against a simple model: whatever the bus loses, repeats or swaps, whenever the log answers, and however pads
//! come, go and return, each pad gets each position once and in order, and in the end all of them.

use std::{
    collections::VecDeque,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use ringpad_proto::v1::StoreEvent;

use super::*;

const STORE: &str = "gangnam";
/// How many events the model's log answers at once.
const LIMIT: usize = 5;

/// A step of the world.
#[derive(Debug, Clone)]
enum Step {
    /// The log has a new event; the bus will bring it.
    Ring,
    /// The bus brings an event that is under way.
    Deliver(Index),
    /// The bus brings an event, and will bring it again.
    DeliverTwice(Index),
    /// The bus loses an event.
    Lose(Index),
    /// A pad comes.
    Join,
    /// A pad goes, and returns with what it has.
    Return(Index),
    /// The log is read for the pad that is being let in.
    Read,
    /// The pad that is being let in gets its answer.
    LetIn,
    /// A pad goes.
    Leave(Index),
    /// A pad takes what there is.
    Pull(Index),
    /// Whatever is due is asked of the log.
    AskDue,
    /// All stores are compared with the log.
    AskAll,
    /// The hub gets the log's answer.
    Answer,
    /// Time passes.
    Wait,
    /// The log is made anew.
    NewLog,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Ring),
        8 => any::<Index>().prop_map(Step::Deliver),
        2 => any::<Index>().prop_map(Step::DeliverTwice),
        2 => any::<Index>().prop_map(Step::Lose),
        3 => Just(Step::Join),
        2 => any::<Index>().prop_map(Step::Return),
        4 => Just(Step::Read),
        4 => Just(Step::LetIn),
        1 => any::<Index>().prop_map(Step::Leave),
        6 => any::<Index>().prop_map(Step::Pull),
        3 => Just(Step::AskDue),
        1 => Just(Step::AskAll),
        4 => Just(Step::Answer),
        2 => Just(Step::Wait),
        1 => Just(Step::NewLog),
    ]
}

/// A pad and all that it was ever given.
struct TestPad {
    member: Member,
    epoch: Uuid,
    cursor: u64,
    missed: VecDeque<StoreEvent>,
    ended: Option<End>,
}

/// A pad that has a seat and waits for the log.
struct Coming {
    member: Member,
    /// What it had when it was here before.
    had: Option<(Uuid, u64)>,
    read: Option<(Uuid, u64, Vec<StoreEvent>)>,
}

struct World {
    hub: Hub,
    now: Instant,
    epoch: Uuid,
    position: u64,
    under_way: Vec<Event>,
    coming: Option<Coming>,
    pads: Vec<TestPad>,
    /// What the hub asked, and the log's answer to it.
    asked: Option<(Uuid, StoreEvents, Cut)>,
    new_logs: u32,
}

impl World {
    fn new() -> Self {
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
        }
    }

    fn step(&mut self, step: Step) {
        self.now += Duration::from_millis(10);
        match step {
            Step::Ring => {
                self.position += 1;
                let (epoch, position) = (self.epoch, self.position);
                let store_id = STORE.to_owned();
                self.under_way.push(Event { store_id, epoch, position, bytes: bytes(epoch, position) });
            }
            Step::Deliver(index) => {
                if let Some(event) = self.take(index) {
                    self.hub.apply(&event, self.now);
                }
            }
            Step::DeliverTwice(index) => {
                if let Some(event) = self.take(index) {
                    self.hub.apply(&event, self.now);
                    self.under_way.push(event);
                }
            }
            Step::Lose(index) => drop(self.take(index)),
            Step::Join => self.join(None),
            Step::Return(index) => {
                if !self.pads.is_empty() && self.coming.is_none() {
                    let gone = self.pads.swap_remove(index.index(self.pads.len()));
                    let had = (gone.epoch, gone.cursor);
                    drop(gone);
                    self.join(Some(had));
                }
            }
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
            Step::AskAll => self.ask(Hub::all),
            Step::Answer => {
                if let Some((epoch, answer, cut)) = self.asked.take() {
                    self.hub.catch_up(epoch, &answer, cut, self.now);
                }
            }
            Step::Wait => self.now += store::GAP_HOLD,
            Step::NewLog => {
                self.epoch = Uuid::from_u128(self.epoch.as_u128() + 1);
                self.position = 0;
                self.new_logs += 1;
            }
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
            let answer =
                StoreEvents { store_id: cursor.store_id, position: self.position, events, not_found: false };
            self.asked = Some((self.epoch, answer, cut));
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

    /// The bus brings no more; the log is asked until nothing is amiss.
    fn settle(&mut self) {
        self.under_way.clear();
        self.step(Step::Read);
        self.step(Step::LetIn);
        self.step(Step::Answer);
        self.step(Step::AskAll);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_pad_gets_each_position_once_and_in_order(steps in prop::collection::vec(step(), 1..300)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        for pad in &world.pads {
            match &pad.ended {
                None => prop_assert_eq!((pad.epoch, pad.cursor), (world.epoch, world.position)),
                Some(end) => {
                    prop_assert_eq!(end, &End::Anew);
                    prop_assert!(world.new_logs > 0, "ended for nothing");
                }
            }
        }
        drop(world.pads);
        prop_assert!(world.hub.all(world.now).is_empty(), "a store without pads is not held");
    }
}
