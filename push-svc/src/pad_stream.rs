//! One pad's stream: snapshot, heartbeat, then updates in order from the pad's own cursor, a heartbeat at each interval,
//! and in the end why it ended.
//!
//! The transport polls it; there is no task and no queue of its own. A pad that is behind reads pages from the log until
//! the hub has what follows; from then on it is live, and a live pad that falls behind all that the hub keeps is too
//! slow: it is told so, and may come back and resume. Reading the log for it as well would let one stuck tablet ask
//! again and again.
//!
//! A ring whose turn does not come within 500 ms, because something before it is missing or still being read, is shown
//! ahead of it (`early`); its update follows in place.

use std::{
    collections::{BTreeSet, VecDeque},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use prost::Message as _;
use ringpad_proto::v1::{
    Heartbeat, Reconnect, StoreCursor, StoreEvent, StoreEvents, SubscribeResponse, subscribe_response,
};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use crate::{
    auth::TokenFault,
    clock::{self, Wall},
    end::End,
    hub::{Ahead, Errand, Member, PadEvent, Pull, json},
    log_client::LogError,
    metrics::Transport,
    pads::{ANSWER_DEADLINE, PAGE, Pads},
};

/// How often a pad that is catching up looks for rings ahead of their turn.
const EARLY_PAUSE: Duration = Duration::from_millis(250);
/// What `reconnect` asks a pad to wait. The moments at which pads are told are spread already.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);

/// Where a stream begins.
pub(crate) struct Beginning {
    /// Which log the positions belong to.
    pub epoch: Uuid,
    /// The first update is the one after it.
    pub position: u64,
    /// The first of what follows, if the log has been asked for it.
    pub missed: Vec<StoreEvent>,
    /// The first message.
    pub snapshot: Box<SubscribeResponse>,
}

/// One message to a pad.
#[derive(Debug)]
pub(crate) enum Message {
    /// An event, which other pads get as well.
    Event(Arc<PadEvent>),
    /// Made for this pad alone.
    Own(Box<SubscribeResponse>),
}

impl Message {
    /// The encoded `SubscribeResponse`.
    pub(crate) fn encoded(&self) -> Bytes {
        match self {
            Self::Event(event) => event.encoded(),
            Self::Own(message) => message.encode_to_vec().into(),
        }
    }

    /// The `SubscribeResponse` in proto3 JSON.
    ///
    /// # Errors
    /// The event in the log cannot be read.
    pub(crate) fn json(&self) -> Result<Bytes, End> {
        let text = match self {
            Self::Event(event) => event.json(),
            Self::Own(message) => json(message),
        };
        text.ok_or(End::Unreadable)
    }
}

/// A pad's stream. Ends, in the hub's eyes too, when dropped.
pub(crate) struct PadStream {
    pads: Arc<Pads>,
    member: Member,
    transport: Transport,
    epoch: Uuid,
    /// The last position sent.
    cursor: u64,
    snapshot: Option<Box<SubscribeResponse>>,
    /// Read from the log, not sent yet.
    missed: VecDeque<StoreEvent>,
    /// The next page, on its way from the log.
    reading: Option<Reading>,
    /// Positions past the cursor whose rings were shown ahead of their turn.
    shown_early: BTreeSet<u64>,
    /// When to look for such rings next, if there may be one.
    early_at: Option<Instant>,
    pace: Pace,
    heartbeat_at: Instant,
    /// `None`: further away than the clock goes.
    expires: Option<Instant>,
    /// What the pad has been asked to leave for.
    told: Option<End>,
    end: Option<&'static str>,
}

/// A page of missed events, being read.
type Reading = Pin<Box<dyn Future<Output = Result<(Uuid, StoreEvents), End>> + Send>>;

/// Whether the pad has caught up with the hub since it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    CatchingUp,
    Live,
}

impl PadStream {
    pub(crate) fn new(
        pads: Arc<Pads>,
        member: Member,
        transport: Transport,
        expires: SystemTime,
        beginning: Beginning,
    ) -> Self {
        pads.metrics.began(transport);
        let now = Instant::now();
        Self {
            pads,
            member,
            transport,
            epoch: beginning.epoch,
            cursor: beginning.position,
            snapshot: Some(beginning.snapshot),
            missed: beginning.missed.into(),
            reading: None,
            shown_early: BTreeSet::new(),
            early_at: Some(now + EARLY_PAUSE),
            pace: Pace::CatchingUp,
            heartbeat_at: now,
            expires: now.checked_add(Wall::now().until(expires)),
            told: None,
            end: None,
        }
    }

    /// The next message. Cancel-safe: a cancelled call has sent nothing.
    ///
    /// # Errors
    /// Says why the stream has ended; nothing more comes.
    pub(crate) async fn next(&mut self) -> Result<Message, End> {
        let next = self.step().await;
        if let Err(end) = &next {
            self.end = Some(end.reason());
        }
        next
    }

    /// Ends the stream for a reason that the transport has found.
    pub(crate) fn end(&mut self, end: &End) {
        self.end = Some(end.reason());
    }

    async fn step(&mut self) -> Result<Message, End> {
        loop {
            let now = Instant::now();
            if let Some(message) = self.first_of_all(now)? {
                return Ok(message);
            }
            if self.pace == Pace::CatchingUp
                && self.early_at.is_some_and(|at| at <= now)
                && let Some(ring) = self.next_early(now)
            {
                return Ok(ring);
            }
            if let Some(event) = self.next_missed()? {
                return Ok(event);
            }
            match self.member.pull(self.cursor) {
                Pull::Event(event) => {
                    if self.pace == Pace::Live && !self.shown_early.contains(&event.position()) {
                        self.note_delivery(&event);
                    }
                    self.move_to(event.position());
                    self.pace = Pace::Live;
                    return Ok(Message::Event(event));
                }
                Pull::Wait => {
                    self.pace = Pace::Live;
                    if let Some(ring) = self.next_early(now) {
                        return Ok(ring);
                    }
                    self.idle().await;
                }
                Pull::Behind if self.pace == Pace::Live => return Err(End::TooSlow),
                Pull::Behind => self.read_page().await?,
                Pull::Ended(end) => return Err(end),
            }
        }
    }

    /// Measures and traces the way of an event that goes to the transport now.
    fn note_delivery(&self, event: &PadEvent) {
        if let Some(age) = event.age(SystemTime::now()) {
            self.pads.metrics.delivered(self.transport, age);
        }
        if let Some((traceparent, consumed_at)) = event.trace() {
            self.pads.traces.note("deliver", traceparent, consumed_at, Vec::new());
        }
    }

    /// What goes before any update: the end, the snapshot, a heartbeat that is due, `reconnect`.
    fn first_of_all(&mut self, now: Instant) -> Result<Option<Message>, End> {
        if let Some(end) = self.member.seat().ended() {
            return Err(end);
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Err(End::Token(TokenFault::Expired));
        }
        if let Some(snapshot) = self.snapshot.take() {
            return Ok(Some(Message::Own(snapshot)));
        }
        if self.heartbeat_at <= now {
            self.heartbeat_at = now + self.pads.heartbeat_interval;
            let heartbeat =
                Heartbeat { server_time: Some(clock::timestamp(Wall::now())), position: self.cursor };
            return Ok(Some(own(subscribe_response::Event::Heartbeat(heartbeat))));
        }
        let Some(errand) = self.member.seat().errand().filter(|errand| self.due(errand) <= now) else {
            return Ok(None);
        };
        if self.told.as_ref() == Some(&errand.end) {
            return Err(errand.end.clone());
        }
        self.told = Some(errand.end.clone());
        let reconnect = Reconnect { after: Some(clock::duration(RECONNECT_AFTER)) };
        Ok(Some(own(subscribe_response::Event::Reconnect(reconnect))))
    }

    /// When the pad is to be told, or, once it has been, when its stream ends.
    fn due(&self, errand: &Errand) -> Instant {
        if self.told.as_ref() == Some(&errand.end) { errand.by } else { errand.at }
    }

    fn next_missed(&mut self) -> Result<Option<Message>, End> {
        let Some(event) = self.missed.pop_front() else { return Ok(None) };
        if event.position != self.cursor + 1 {
            // The log has a hole. Never skip it.
            return Err(End::Anew);
        }
        if self.missed.is_empty() {
            self.missed = VecDeque::new();
        }
        self.move_to(event.position);
        Ok(Some(Message::Event(Arc::new(PadEvent::new(event.position, event.subscribe_response)))))
    }

    /// The update at this position is sent.
    fn move_to(&mut self, position: u64) {
        self.cursor = position;
        while self.shown_early.first().is_some_and(|shown| *shown <= position) {
            self.shown_early.pop_first();
        }
    }

    /// A ring that is to be shown ahead of its turn.
    fn next_early(&mut self, now: Instant) -> Option<Message> {
        let wall = SystemTime::now();
        match self.member.early(self.cursor, &self.shown_early, now, wall) {
            Ahead::Ring(event) => {
                self.shown_early.insert(event.position());
                self.note_delivery(&event);
                event.early().map(|early| Message::Own(Box::new(early)))
            }
            Ahead::At(at) => {
                self.early_at = Some(at);
                None
            }
            // The hub wakes a stream that is up to date; one that is catching up looks for itself.
            Ahead::None => {
                self.early_at = (self.pace == Pace::CatchingUp).then(|| now + EARLY_PAUSE);
                None
            }
        }
    }

    /// Waits until there may be something to do.
    async fn idle(&mut self) {
        let leave = self.member.seat().errand().map(|errand| self.due(errand));
        let dues = [self.expires, leave, self.early_at].into_iter().flatten();
        let due = dues.fold(self.heartbeat_at, Instant::min);
        tokio::select! {
            () = self.member.seat().woken() => {}
            () = sleep_until(due) => {}
        }
    }

    /// Reads what follows the cursor from the log; comes back without it when it is time to look for rings.
    async fn read_page(&mut self) -> Result<(), End> {
        // Kept, so that neither an early ring nor a transport that stops waiting makes the log read it again.
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.page(),
        };
        let read = {
            let reading = self.reading.insert(reading);
            let early_at = self.early_at.unwrap_or_else(|| Instant::now() + EARLY_PAUSE);
            tokio::select! {
                read = reading => read,
                () = sleep_until(early_at) => return Ok(()),
            }
        };
        self.reading = None;
        let (epoch, page) = read?;
        if epoch != self.epoch || page.events.is_empty() {
            return Err(End::Anew);
        }
        self.missed = page.events.into();
        Ok(())
    }

    /// Asks the log for what follows the cursor.
    fn page(&self) -> Reading {
        let cursor =
            StoreCursor { store_id: self.member.seat().store().to_string(), after_position: self.cursor };
        let pads = Arc::clone(&self.pads);
        Box::pin(async move {
            let read = timeout(ANSWER_DEADLINE, pads.log.missed(cursor, PAGE)).await;
            read.map_err(|_| End::LogUnreachable)?.map_err(|error| match error {
                LogError::NoSuchStore => End::NoSuchStore,
                LogError::Unreachable { .. } | LogError::Unexpected(_) => End::LogUnreachable,
            })
        })
    }
}

impl Drop for PadStream {
    fn drop(&mut self) {
        self.pads.metrics.ended(self.transport);
        self.pads.metrics.end(self.transport, self.end.unwrap_or("client"));
    }
}

fn own(event: subscribe_response::Event) -> Message {
    Message::Own(Box::new(SubscribeResponse { event: Some(event) }))
}
