//! A pad of the model: what it has, its streams, old and new, and the checks of all that it is given.

use std::collections::VecDeque;

use ringpad_proto::v1::StoreEvent;

use super::{super::*, log::*};

/// Streams, open or being opened, that a pad of the model has at most.
const STREAMS: usize = 4;

pub(super) struct TestPad {
    pub(super) store: usize,
    pad: Pad,
    session: Option<Box<str>>,
    /// What it would ask for next: the log and the last position of it that it has.
    pub(super) had: Option<(Uuid, u64)>,
    pub(super) coming: Vec<Coming>,
    pub(super) streams: Vec<Stream>,
}

/// A stream that is registered and waits for the log.
pub(super) struct Coming {
    /// Later ones have higher numbers.
    opened: u64,
    pub(super) replica: usize,
    registration: Registration,
    /// What the pad had when it asked.
    had: Option<(Uuid, u64)>,
    read: Option<Read>,
    replaced: bool,
}

/// What the log said of the store.
pub(super) enum Read {
    NoSuchStore,
    At { epoch: Uuid, position: u64, missed: Vec<StoreEvent>, name: String },
}

pub(super) struct Stream {
    opened: u64,
    pub(super) replica: usize,
    registration: Registration,
    pub(super) epoch: Uuid,
    /// What its snapshot calls the store.
    pub(super) name: String,
    pub(super) cursor: u64,
    missed: VecDeque<StoreEvent>,
    /// Rings shown ahead of their turn.
    pub(super) shown: BTreeSet<u64>,
    /// A newer stream of its session has taken over.
    replaced: bool,
    pub(super) ended: Option<StreamEnd>,
}

impl TestPad {
    /// Every two of them are tabs of one tablet; every fifth has no session.
    pub(super) fn new(number: usize, store: usize) -> Self {
        let pad = Pad {
            id: format!("{}", number / 2).into(),
            name: "P".into(),
            store: STORES[store].into(),
            expires: wall(),
        };
        let session = (number % 5 != 4).then(|| ["left", "right"][number % 2].into());
        Self { store, pad, session, had: None, coming: Vec::new(), streams: Vec::new() }
    }

    /// Asks a replica for one more stream. One that leaves refuses it, and no other.
    pub(super) fn ask_for_a_stream(&mut self, opened: u64, replica: usize, hub: &Hub) {
        if self.coming.len() + self.streams.len() >= STREAMS {
            return;
        }
        match hub.register(&self.pad, self.session.clone()) {
            Ok(registration) => {
                assert!(!hub.is_leaving(), "a leaving replica takes no new stream");
                let had = self.had;
                let coming = Coming { opened, replica, registration, had, read: None, replaced: false };
                self.coming.push(coming);
            }
            Err(end) => assert!(hub.is_leaving() && end == StreamEnd::Leaving, "{end:?}"),
        }
    }

    /// Its streams are gone, and those that were being opened.
    pub(super) fn hang_up(&mut self) {
        self.coming.clear();
        self.streams.clear();
    }

    /// All of its streams on a replica are cut.
    pub(super) fn cut(&mut self, replica: usize) {
        self.coming.retain(|coming| coming.replica != replica);
        self.streams.retain(|stream| stream.replica != replica);
    }

    pub(super) fn close_old_streams(&mut self) {
        let newest = self.streams.iter().map(|stream| stream.opened).max();
        self.streams.retain(|stream| Some(stream.opened) == newest);
    }

    /// As `Pads::begin` does. What the hub learned of the log by it is returned.
    pub(super) fn let_in(&mut self, index: usize, log: &TestLog, now: Instant) -> Option<(Uuid, u64)> {
        let coming = self.coming.remove(index);
        let resumable = coming.had.and_then(|(epoch, after)| {
            let name = coming.registration.resumable(epoch, after)?;
            Some((epoch, after, name.to_string()))
        });
        match (resumable, &coming.read) {
            (Some((epoch, after, name)), _) => {
                self.begin(coming, epoch, after, Vec::new(), name);
                None
            }
            (None, None) => {
                self.coming.insert(index, coming);
                None
            }
            (None, Some(Read::NoSuchStore)) => None,
            (None, Some(Read::At { epoch, position, missed, name })) => {
                let (epoch, position, missed, read) = (*epoch, *position, missed.clone(), name.clone());
                // The hub listens to nobody whom it has ended.
                let told = coming.registration.control().ended().is_none().then_some((epoch, position));
                coming.registration.observe(epoch, position, now);
                let after = coming.had.filter(|(known, after)| {
                    let next_is_kept = missed.first().is_some_and(|first| first.position == after + 1);
                    *known == epoch && (*after == position || next_is_kept)
                });
                if let Some((_, after)) = after {
                    let known = coming.registration.store_name();
                    let name = known.unwrap_or_else(|| coming.registration.suggest_name(&read, now));
                    self.begin(coming, epoch, after, missed, name.to_string());
                } else {
                    let lost_reach = coming.had.is_some_and(|(known, _)| known == epoch);
                    assert!(!lost_reach || log.purges > 0, "a pad within reach gets what it missed");
                    // It replaces all that the pad has: older streams, and what they were to go on from, are of no more use.
                    self.streams.clear();
                    self.coming.retain(|coming| coming.had <= Some((epoch, position)));
                    self.had = Some((epoch, position));
                    coming.registration.suggest_name(&read, now);
                    self.begin(coming, epoch, position, Vec::new(), read);
                }
                told
            }
        }
    }

    /// The stream begins, and ends the older ones of its session on its replica, and no other.
    fn begin(&mut self, coming: Coming, epoch: Uuid, cursor: u64, missed: Vec<StoreEvent>, name: String) {
        let Coming { opened, replica, registration, replaced, .. } = coming;
        registration.replace_older_streams();
        if self.session.is_some() {
            let older = |other: u64, on: usize| other < opened && on == replica;
            for other in self.streams.iter_mut().filter(|other| older(other.opened, other.replica)) {
                other.replaced = true;
                assert!(
                    other.registration.control().ended().is_some(),
                    "an older stream of the session goes on"
                );
            }
            for other in self.coming.iter_mut().filter(|other| older(other.opened, other.replica)) {
                other.replaced = true;
            }
        }
        let (missed, shown) = (missed.into(), BTreeSet::new());
        let stream = Stream {
            opened,
            replica,
            registration,
            epoch,
            name,
            cursor,
            missed,
            shown,
            replaced,
            ended: None,
        };
        self.streams.push(stream);
    }

    /// Takes all that its streams have for it. A pad with two open streams shows each position once.
    pub(super) fn pull(&mut self, log: &TestLog) {
        for stream in &mut self.streams {
            let before = stream.cursor;
            stream.pull(self.store, log);
            match &mut self.had {
                Some((epoch, cursor)) if *epoch == stream.epoch => {
                    assert!(before <= *cursor, "a stream is ahead of its pad");
                    *cursor = stream.cursor.max(*cursor);
                }
                _ => {}
            }
        }
    }

    /// As `PadStream::next_early` does.
    pub(super) fn look_for_early_rings(&mut self, now: Instant) {
        for stream in &mut self.streams {
            stream.look_for_an_early_ring(self.store, now);
        }
    }

    /// Of each of its streams that has not ended, when it is told to go.
    pub(super) fn told_to_go_at(&self, replica: usize) -> impl Iterator<Item = Option<Instant>> {
        let coming = self.coming.iter().map(|coming| (coming.replica, &coming.registration));
        let streams = self.streams.iter().map(|stream| (stream.replica, &stream.registration));
        let here = coming
            .chain(streams)
            .filter(move |(at, stream)| *at == replica && stream.control().ended().is_none());
        here.map(|(_, stream)| stream.control().reconnect_request().map(|request| request.ask_at))
    }
}

impl Coming {
    pub(super) fn read(&mut self, store: usize, log: &TestLog) {
        let missed = match self.had {
            Some((epoch, after)) if epoch == log.epoch => log.page(store, after),
            _ => Vec::new(),
        };
        self.read = Some(if log.has(store) {
            let (epoch, position, name) = (log.epoch, log.position(store), log.name(store));
            Read::At { epoch, position, missed, name }
        } else {
            Read::NoSuchStore
        });
    }

    pub(super) fn has_read(&self) -> bool {
        self.read.is_some()
    }
}

impl Stream {
    /// When the pad is asked to leave.
    pub(super) fn leaves_at(&self) -> Option<Instant> {
        self.registration.control().reconnect_request().map(|request| request.ask_at)
    }

    /// As `PadStream::step` does, but that no pad is ever too slow.
    fn pull(&mut self, store: usize, log: &TestLog) {
        while self.ended.is_none() {
            let event = match (self.missed.pop_front(), self.registration.control().ended()) {
                (_, Some(end)) => return self.end(end, log),
                (Some(missed), None) => PadEvent::new(missed.position, missed.subscribe_response),
                (None, None) => match self.registration.next_event(self.cursor) {
                    NextEvent::Event(event) => PadEvent::new(event.position(), event.encoded()),
                    NextEvent::NotYet => return,
                    NextEvent::Ended(end) => return self.end(end, log),
                    NextEvent::Behind if !log.has(store) => return self.end(StreamEnd::NoSuchStore, log),
                    NextEvent::Behind if self.epoch != log.epoch => {
                        return self.end(StreamEnd::NeedsResync, log);
                    }
                    NextEvent::Behind => {
                        self.missed = log.page(store, self.cursor).into();
                        if self.missed.is_empty() {
                            return self.end(StreamEnd::NeedsResync, log);
                        }
                        continue;
                    }
                },
            };
            assert_eq!(event.position(), self.cursor + 1, "the next one and no other");
            assert_eq!(
                event.encoded(),
                bytes(store, self.epoch, event.position()),
                "of its own store and log"
            );
            self.cursor = event.position();
            self.shown.remove(&self.cursor);
        }
    }

    /// No stream ends for nothing.
    fn end(&mut self, end: StreamEnd, log: &TestLog) {
        let right = match end {
            StreamEnd::NeedsResync => log.made_anew + log.purges > 0,
            StreamEnd::NoSuchStore => log.deletions > 0,
            StreamEnd::Replaced => self.replaced,
            _ => false,
        };
        assert!(right, "ended for nothing: {end:?}");
        self.ended = Some(end);
    }

    fn look_for_an_early_ring(&mut self, store: usize, now: Instant) {
        if self.ended.is_some() || self.registration.control().ended().is_some() {
            return;
        }
        match self.registration.early_ring(self.cursor, &self.shown, now, wall()) {
            EarlyRing::Due(event) => {
                let position = event.position();
                assert!(position > self.cursor, "early, although the pad has it");
                assert!(self.shown.insert(position), "shown early twice");
                assert_eq!(event.encoded(), bytes(store, self.epoch, position), "of its own store and log");
                assert!(pops(position) && event.early().is_some(), "not worth a popup");
            }
            EarlyRing::NotBefore(at) => assert!(at > now, "it could be shown already"),
            EarlyRing::None => {}
        }
    }
}
