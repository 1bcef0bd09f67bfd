//! A pad of the model: its position, its streams, old and new, and the checks of everything that it gets.

use std::collections::VecDeque;

use ringpad_proto::v1::StoreEvent;

use super::{super::*, log::*};

/// Streams, open or being opened, that a pad of the model has at most.
const STREAMS: usize = 4;

pub(super) struct TestPad {
    pub(super) store: usize,
    pad: Pad,
    session: Option<Box<str>>,
    /// Its epoch and its last position.
    pub(super) had: Option<(Uuid, u64)>,
    pub(super) coming: Vec<Coming>,
    pub(super) streams: Vec<Stream>,
}

/// A stream that is registered and waits for the log.
pub(super) struct Coming {
    /// Later streams have higher numbers.
    opened: u64,
    pub(super) replica: usize,
    registration: Registration,
    /// What the pad had when it asked.
    had: Option<(Uuid, u64)>,
    read: Option<Read>,
    replaced: bool,
}

/// The log's answer about the store.
pub(super) enum Read {
    NoSuchStore,
    At { epoch: Uuid, position: u64, missed: Vec<StoreEvent>, name: String },
}

pub(super) struct Stream {
    opened: u64,
    pub(super) replica: usize,
    registration: Registration,
    pub(super) epoch: Uuid,
    /// The store's name in its snapshot.
    pub(super) name: String,
    pub(super) cursor: u64,
    missed: VecDeque<StoreEvent>,
    /// Positions of rings that were sent early.
    pub(super) sent_early: BTreeSet<u64>,
    /// A newer stream of its session has replaced it.
    replaced: bool,
    pub(super) ended: Option<StreamEnd>,
}

impl TestPad {
    /// Two pads are always tabs of one tablet; every fifth pad has no session.
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

    /// Asks a replica for one more stream. Only a leaving replica refuses it.
    pub(super) fn open_stream(&mut self, opened: u64, replica: usize, hub: &Hub) {
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

    /// Ends its streams, also those that are being opened.
    pub(super) fn disconnect(&mut self) {
        self.coming.clear();
        self.streams.clear();
    }

    /// Ends its streams on one replica.
    pub(super) fn disconnect_from(&mut self, replica: usize) {
        self.coming.retain(|coming| coming.replica != replica);
        self.streams.retain(|stream| stream.replica != replica);
    }

    pub(super) fn close_old_streams(&mut self) {
        let newest = self.streams.iter().map(|stream| stream.opened).max();
        self.streams.retain(|stream| Some(stream.opened) == newest);
    }

    /// As `PadStreams::begin` does. Returns the position of the log that the hub was given.
    pub(super) fn begin(&mut self, index: usize, log: &TestLog, now: Instant) -> Option<(Uuid, u64)> {
        let coming = self.coming.remove(index);
        let resumable = coming.had.and_then(|(epoch, after)| {
            let name = coming.registration.resumable(epoch, after)?;
            Some((epoch, after, name.to_string()))
        });
        match (resumable, &coming.read) {
            (Some((epoch, after, name)), _) => {
                self.add_stream(coming, epoch, after, Vec::new(), name);
                None
            }
            (None, None) => {
                self.coming.insert(index, coming);
                None
            }
            (None, Some(Read::NoSuchStore)) => None,
            (None, Some(Read::At { epoch, position, missed, name })) => {
                let (epoch, position, missed, read) = (*epoch, *position, missed.clone(), name.clone());
                // The hub ignores a stream that it has ended.
                let given = coming.registration.control().ended().is_none().then_some((epoch, position));
                coming.registration.observe(epoch, position, now);
                let after = coming.had.filter(|(known, after)| {
                    let next_is_kept = missed.first().is_some_and(|first| first.position == after + 1);
                    *known == epoch && (*after == position || next_is_kept)
                });
                if let Some((_, after)) = after {
                    let name = coming.registration.suggest_name(&read, now);
                    self.add_stream(coming, epoch, after, missed, name.to_string());
                } else {
                    let lost_reach = coming.had.is_some_and(|(known, _)| known == epoch);
                    assert!(!lost_reach || log.purges > 0, "a pad within reach gets what it missed");
                    // The snapshot replaces the state of the pad: its older streams are of no more use.
                    self.streams.clear();
                    self.coming.retain(|coming| coming.had <= Some((epoch, position)));
                    self.had = Some((epoch, position));
                    coming.registration.suggest_name(&read, now);
                    self.add_stream(coming, epoch, position, Vec::new(), read);
                }
                given
            }
        }
    }

    /// Adds a stream, which ends the older ones of its session on its replica, and no others.
    fn add_stream(
        &mut self,
        coming: Coming,
        epoch: Uuid,
        cursor: u64,
        missed: Vec<StoreEvent>,
        name: String,
    ) {
        let Coming { opened, replica, registration, replaced, .. } = coming;
        registration.replace_older_streams();
        if self.session.is_some() {
            let older = |other: u64, on: usize| other < opened && on == replica;
            for other in self.streams.iter_mut().filter(|other| older(other.opened, other.replica)) {
                other.replaced = true;
                assert!(
                    other.registration.control().ended().is_some(),
                    "an older stream of the session continues"
                );
            }
            for other in self.coming.iter_mut().filter(|other| older(other.opened, other.replica)) {
                other.replaced = true;
            }
        }
        let (missed, sent_early) = (missed.into(), BTreeSet::new());
        let stream = Stream {
            opened,
            replica,
            registration,
            epoch,
            name,
            cursor,
            missed,
            sent_early,
            replaced,
            ended: None,
        };
        self.streams.push(stream);
    }

    /// Takes all events that its streams have. A pad with two open streams shows each position once.
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
    pub(super) fn check_early_rings(&mut self, now: Instant) {
        for stream in &mut self.streams {
            stream.check_early_ring(self.store, now);
        }
    }

    /// For each of its streams that has not ended: when it is asked to reconnect.
    pub(super) fn asked_to_reconnect_at(&self, replica: usize) -> impl Iterator<Item = Option<Instant>> {
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
    /// When the pad is asked to reconnect.
    pub(super) fn reconnect_at(&self) -> Option<Instant> {
        self.registration.control().reconnect_request().map(|request| request.ask_at)
    }

    /// As `PadStream::step` does, but no pad is ever too slow.
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
            self.sent_early.remove(&self.cursor);
        }
    }

    /// No stream ends without a reason.
    fn end(&mut self, end: StreamEnd, log: &TestLog) {
        let right = match end {
            StreamEnd::NeedsResync => log.replacements + log.purges > 0,
            StreamEnd::NoSuchStore => log.deletions > 0,
            StreamEnd::Replaced => self.replaced,
            _ => false,
        };
        assert!(right, "ended without a reason: {end:?}");
        self.ended = Some(end);
    }

    fn check_early_ring(&mut self, store: usize, now: Instant) {
        if self.ended.is_some() || self.registration.control().ended().is_some() {
            return;
        }
        match self.registration.early_ring(self.cursor, &self.sent_early, now, wall()) {
            EarlyRing::Due(event) => {
                let position = event.position();
                assert!(position > self.cursor, "early, although the pad has it");
                assert!(self.sent_early.insert(position), "sent early twice");
                assert_eq!(event.encoded(), bytes(store, self.epoch, position), "of its own store and log");
                assert!(pops(position) && event.early().is_some(), "it does not pop up");
            }
            EarlyRing::NotBefore(at) => assert!(at > now, "it could be sent already"),
            EarlyRing::None => {}
        }
    }
}
