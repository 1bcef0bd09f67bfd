//! The model: a log, its publisher, a bus that may lose and swap messages, two replicas, and pads that come and leave.

use std::time::Duration;

use futures_util::FutureExt;
use ringpad_bus::{Batch, Head, Origin};

use super::{
    log::*,
    pads::{Stream, TestPad},
    replica::TestReplica,
    *,
};

/// Pads at a time.
const PADS: usize = 6;
/// Over how long a draining replica asks its pads to reconnect.
const WINDOW: Duration = Duration::from_millis(500);

pub(super) struct World {
    pub(super) now: Instant,
    log: TestLog,
    publisher: Uuid,
    number: u64,
    unpublished: Vec<Event>,
    last_published: Vec<Event>,
    pub(super) replicas: [TestReplica; 2],
    pub(super) pads: Vec<TestPad>,
    /// How many pads came, and how many streams were opened.
    came: usize,
    opened: u64,
}

impl World {
    /// Both replicas know the log and the publisher, and have compared; they hold no stores yet.
    pub(super) fn new() -> Self {
        let mut world = Self {
            now: Instant::now(),
            log: TestLog::new(),
            publisher: Uuid::from_u128(1),
            number: 0,
            unpublished: Vec::new(),
            last_published: Vec::new(),
            replicas: [TestReplica::new(), TestReplica::new()],
            pads: Vec::new(),
            came: 0,
            opened: 0,
        };
        for replica in &mut world.replicas {
            replica.settle(&world.log, &mut world.now);
        }
        world.publish();
        world.deliver_all();
        for replica in &mut world.replicas {
            replica.settle(&world.log, &mut world.now);
        }
        world
    }

    pub(super) fn step(&mut self, step: Step) {
        self.now += Duration::from_millis(10);
        let now = self.now;
        match step {
            Step::Ring(store) => self.ring(of(store, STORES.len())),
            Step::Publish => self.publish(),
            Step::NewPublisher => self.reconnect_publisher(),
            Step::Deliver(replica, batch) => drop(self.deliver(replica, batch)),
            Step::DeliverTwice(replica, batch) => {
                if let Some(batch) = self.deliver(replica, batch) {
                    self.replica(replica).under_way.push(batch);
                }
            }
            Step::DeliverBroken(replica, batch) => self.deliver_broken(replica, batch),
            Step::Lose(replica, batch) => drop(pick(&mut self.replica(replica).under_way, batch)),
            Step::Change(store) => self.hint(of(store, STORES.len())),
            Step::Rename(store) => {
                self.log.rename(of(store, STORES.len()));
                self.hint(of(store, STORES.len()));
            }
            Step::Delete(store) => {
                self.log.delete(of(store, STORES.len()));
                self.hint(of(store, STORES.len()));
            }
            Step::Restore(store) => {
                self.log.restore(of(store, STORES.len()));
                self.hint(of(store, STORES.len()));
            }
            Step::Purge(store) => self.log.purge(of(store, STORES.len())),
            Step::NewLog => self.replace_log(),
            Step::Wait => self.now += store::GAP_HOLD,
            Step::WaitLonger => self.now += store::EARLY,
            Step::AskDue(index) => self.with_log(index, |replica, log| replica.ask_due(log, now)),
            Step::AskAll(index) => self.with_log(index, |replica, log| replica.ask_all(log, now)),
            Step::Answer(index) => self.with_log(index, |replica, log| replica.answer(log, now)),
            Step::Fail(index) => self.with_log(index, |replica, _| replica.fail()),
            Step::Drain(index) => self.drain(of(index, self.replicas.len())),
            Step::Kill(index) => self.kill(of(index, self.replicas.len())),
            of_a_pad => self.step_of_a_pad(of_a_pad),
        }
        self.replace_replicas_that_have_left();
    }

    fn step_of_a_pad(&mut self, step: Step) {
        match step {
            Step::Join(store, replica) if self.pads.len() < PADS => {
                self.pads.push(TestPad::new(self.came, of(store, STORES.len())));
                self.came += 1;
                self.open(self.pads.len() - 1, of(replica, self.replicas.len()));
            }
            Step::Return(pad, replica) => self.with_pad(pad, |world, pad| {
                world.pads[pad].disconnect();
                world.open(pad, of(replica, world.replicas.len()));
            }),
            Step::Move(pad, replica) => {
                self.with_pad(pad, |world, pad| world.open(pad, of(replica, world.replicas.len())));
            }
            Step::Close(pad) => self.with_pad(pad, |world, pad| world.pads[pad].close_old_streams()),
            Step::Leave(pad) => self.with_pad(pad, |world, pad| drop(world.pads.remove(pad))),
            Step::Pull(pad) => self.with_pad(pad, |world, pad| world.pads[pad].pull(&world.log)),
            Step::Early(pad) => {
                self.with_pad(pad, |world, pad| world.pads[pad].check_early_rings(world.now));
            }
            Step::Read(coming) => self.with_coming(coming, |world, pad, coming| {
                let TestPad { store, coming: all, .. } = &mut world.pads[pad];
                all[coming].read(*store, &world.log);
            }),
            Step::Begin(coming) => self.with_coming(coming, Self::begin),
            Step::GiveUp(coming) => {
                self.with_coming(coming, |world, pad, coming| drop(world.pads[pad].coming.remove(coming)));
            }
            _ => {}
        }
    }

    fn ring(&mut self, store: usize) {
        if let Some(position) = self.log.ring(store) {
            let bytes = bytes(store, self.log.epoch, position);
            self.unpublished.push(event(store, self.log.epoch, position, bytes));
        }
    }

    /// Position 0 says that a store was changed.
    fn hint(&mut self, store: usize) {
        self.unpublished.push(event(store, self.log.epoch, 0, bytes::Bytes::new()));
    }

    /// Without an event it is a canary.
    fn publish(&mut self) {
        self.number += 1;
        let events = std::mem::take(&mut self.unpublished);
        // A new log has a new instance of ingest-svc.
        let origin = Some(Origin { epoch: self.log.epoch, instance: self.log.epoch });
        let head =
            Head { publisher: self.publisher, number: self.number, origin, goodbye: false, sent_at: None };
        let batch = Batch { head, events };
        self.last_published.clone_from(&batch.events);
        for replica in &mut self.replicas {
            replica.under_way.push(batch.clone());
        }
    }

    fn reconnect_publisher(&mut self) {
        self.publisher = Uuid::from_u128(self.publisher.as_u128() + 1);
        self.number = 0;
        self.unpublished.splice(0..0, self.last_published.drain(..));
        self.publish();
    }

    fn deliver(&mut self, replica: u8, batch: u8) -> Option<Batch> {
        let (now, count) = (self.now, self.replicas.len());
        let replica = &mut self.replicas[of(replica, count)];
        let batch = pick(&mut replica.under_way, batch)?;
        replica.take(&batch, &self.log, now);
        Some(batch)
    }

    fn deliver_broken(&mut self, replica: u8, batch: u8) {
        let (now, count) = (self.now, self.replicas.len());
        let replica = &mut self.replicas[of(replica, count)];
        let Some(mut batch) = pick(&mut replica.under_way, batch) else { return };
        for event in batch.events.iter_mut().filter(|event| event.position > 0) {
            // Bytes that cannot be decoded, and an event of another position.
            let other = [bytes::Bytes::from_static(b"\xff"), bytes(0, event.epoch, event.position + 1)];
            event.bytes = other[of(batch.head.number as u8, 2)].clone();
        }
        replica.take(&batch, &self.log, now);
    }

    fn deliver_all(&mut self) {
        for replica in &mut self.replicas {
            for batch in std::mem::take(&mut replica.under_way) {
                replica.take(&batch, &self.log, self.now);
            }
        }
    }

    /// ingest-svc is started again with the new log: unpublished events of the old one are never published, and the publisher
    /// is a new one.
    fn replace_log(&mut self) {
        self.log.replace();
        self.replicas.iter_mut().for_each(|replica| replica.known = Default::default());
        self.unpublished.clear();
        self.last_published.clear();
        self.reconnect_publisher();
    }

    /// Its pads are asked to reconnect.
    fn drain(&mut self, replica: usize) {
        let hub = &self.replicas[replica].hub;
        hub.leave(WINDOW, self.now);
        for at in self.pads.iter().flat_map(|pad| pad.asked_to_reconnect_at(replica)) {
            assert!(at.is_some_and(|at| at <= self.now + WINDOW), "not asked to reconnect: {at:?}");
        }
    }

    fn kill(&mut self, replica: usize) {
        self.pads.iter_mut().for_each(|pad| pad.disconnect_from(replica));
        self.replicas[replica] = TestReplica::new();
    }

    fn replace_replicas_that_have_left(&mut self) {
        for replica in &mut self.replicas {
            if replica.hub.all_streams_ended().now_or_never().is_some() {
                *replica = TestReplica::new();
            }
        }
    }

    fn open(&mut self, pad: usize, replica: usize) {
        self.opened += 1;
        self.pads[pad].open_stream(self.opened, replica, &self.replicas[replica].hub);
    }

    fn begin(&mut self, pad: usize, coming: usize) {
        let TestPad { store, coming: all, .. } = &self.pads[pad];
        let (store, replica) = (*store, all[coming].replica);
        if let Some((epoch, position)) = self.pads[pad].begin(coming, &self.log, self.now) {
            self.replicas[replica].knows(&self.log, epoch, store, position);
        }
    }

    fn replica(&mut self, index: u8) -> &mut TestReplica {
        let index = of(index, self.replicas.len());
        &mut self.replicas[index]
    }

    fn with_log(&mut self, index: u8, work: impl FnOnce(&mut TestReplica, &TestLog)) {
        let index = of(index, self.replicas.len());
        work(&mut self.replicas[index], &self.log);
    }

    fn with_pad(&mut self, index: u8, work: impl FnOnce(&mut Self, usize)) {
        if !self.pads.is_empty() {
            work(self, of(index, self.pads.len()));
        }
    }

    fn with_coming(&mut self, index: u8, work: impl FnOnce(&mut Self, usize, usize)) {
        let each =
            |(number, pad): (usize, &TestPad)| (0..pad.coming.len()).map(move |coming| (number, coming));
        let all: Vec<_> = self.pads.iter().enumerate().flat_map(each).collect();
        if !all.is_empty() {
            let (pad, coming) = all[of(index, all.len())];
            work(self, pad, coming);
        }
    }

    /// All streams that are being opened begin. The bus delivers only what `by` says; the log is asked until no store needs it
    /// any more.
    pub(super) fn settle(&mut self, by: Settled) {
        self.begin_all();
        if !self.unpublished.is_empty() {
            self.publish();
        }
        for replica in &mut self.replicas {
            replica.under_way.clear();
            replica.compare |= by == Settled::Comparison;
        }
        match by {
            Settled::Comparison | Settled::Silence => {}
            Settled::Canary => self.publish(),
            Settled::Sentinel => {
                for store in 0..STORES.len() {
                    if self.log.has(store) { self.ring(store) } else { self.hint(store) }
                }
                for event in self.unpublished.drain(..) {
                    self.replicas.iter_mut().for_each(|replica| replica.apply(&event, &self.log, self.now));
                }
            }
        }
        self.deliver_all();
        for replica in &mut self.replicas {
            replica.settle(&self.log, &mut self.now);
        }
        self.pads.iter_mut().for_each(|pad| pad.pull(&self.log));
    }

    fn begin_all(&mut self) {
        for pad in 0..self.pads.len() {
            while let Some(coming) = self.pads[pad].coming.len().checked_sub(1) {
                let TestPad { store, coming: all, .. } = &mut self.pads[pad];
                if !all[coming].has_read() {
                    all[coming].read(*store, &self.log);
                }
                self.begin(pad, coming);
            }
        }
    }

    /// Leaving replicas end, all losses are found, and pads without a stream open one.
    pub(super) fn all_come_back(&mut self) {
        for replica in 0..self.replicas.len() {
            if self.replicas[replica].hub.is_leaving() {
                self.kill(replica);
            }
        }
        self.settle(Settled::Comparison);
        (0..STORES.len()).for_each(|store| self.log.restore(store));
        for pad in 0..self.pads.len() {
            if self.pads[pad].streams.iter().all(|stream| stream.ended.is_some()) {
                self.pads[pad].disconnect();
                self.open(pad, pad % self.replicas.len());
            }
        }
        self.settle(Settled::Comparison);
    }

    /// Each stream that has not ended has all events, and its store still exists.
    pub(super) fn check_streams(&self, by: Settled) {
        for pad in &self.pads {
            for stream in pad.streams.iter().filter(|stream| stream.ended.is_none()) {
                let at = (stream.epoch, stream.cursor);
                let known = self.replicas[stream.replica].known[pad.store];
                match by {
                    Settled::Silence if !self.log.has(pad.store) => {}
                    Settled::Silence if stream.epoch == self.log.epoch => assert!(stream.cursor >= known),
                    Settled::Silence => assert_eq!(known, 0, "the other log was seen"),
                    _ if !self.log.has(pad.store) => panic!("the stream of a deleted store continues"),
                    _ => assert_eq!(at, (self.log.epoch, self.log.position(pad.store))),
                }
                self.check_name(pad, stream, by);
                if stream.epoch == self.log.epoch {
                    assert!(stream.sent_early.is_empty(), "the update of an early ring has not come");
                }
            }
        }
    }

    /// Each stream's snapshot has the store's name, or the pad is asked to reconnect for it, and for no other reason.
    fn check_name(&self, pad: &TestPad, stream: &Stream, by: Settled) {
        if self.replicas[stream.replica].hub.is_leaving() {
            return;
        }
        let is_right = stream.name == self.log.name(pad.store);
        let is_asked = stream.reconnect_at().is_some();
        assert!(!(is_right && is_asked), "asked to reconnect for the name that it has");
        if matches!(by, Settled::Comparison | Settled::Canary) {
            assert!(is_right || is_asked, "not asked to reconnect for the new name");
        }
    }

    /// Each pad has all events.
    pub(super) fn check_pads(&self) {
        for pad in &self.pads {
            assert_eq!(pad.had, Some((self.log.epoch, self.log.position(pad.store))));
        }
    }
}

fn pick<T>(from: &mut Vec<T>, index: u8) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(of(index, from.len())))
}

fn event(store: usize, epoch: Uuid, position: u64, bytes: bytes::Bytes) -> Event {
    Event { store_id: STORES[store].to_owned(), epoch, position, bytes, receipt: None }
}
