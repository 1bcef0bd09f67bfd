//! One pad's stream: snapshot, heartbeat, then updates in order from the pad's own cursor, a heartbeat at each interval,
//! and at the end the reason why it ended.
//!
//! The transport polls it; it has neither a task nor a queue. A pad that is behind reads pages from the log until the hub
//! has the next event; from then on it is live. A live pad that falls behind everything that the hub keeps is too slow:
//! its stream ends, and it may connect again and resume. Reading the log for it instead would let one tablet that hangs
//! read the log again and again.
//!
//! A ring that cannot be sent in order within 500 ms, because an event before it is missing or still being read, is sent
//! early (`early`); its update follows in order.

use std::{
    collections::{BTreeSet, VecDeque},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ringpad_proto::v1::{
    Heartbeat, Reconnect, StoreCursor, StoreEvent, StoreEvents, SubscribeResponse, subscribe_response,
};
use ringpad_runtime::traces::Traces;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::{
    message::Message,
    metrics::{StreamMetrics, Transport},
};
use crate::{
    admission::token::TokenFault,
    clock::{self, Wall},
    hub::{EarlyRing, NextEvent, PadEvent, ReconnectRequest, Registration},
    log_client::{LogClient, LogClientError},
    stream_end::StreamEnd,
};

/// How long a pad waits for the log. A pad must have its snapshot within 3 s; the network takes some of them.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_millis(2800);
/// How often a pad that is catching up checks for rings to be sent early.
const EARLY_INTERVAL: Duration = Duration::from_millis(250);
/// How long `reconnect` asks a pad to wait. The times at which pads are asked are spread already.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);

/// What every stream of a replica uses.
pub(super) struct StreamContext {
    pub(super) log: LogClient,
    pub(super) metrics: StreamMetrics,
    pub(super) traces: Traces,
    pub(super) heartbeat_interval: Duration,
    /// How many missed events are read from the log at once.
    pub(super) page: u32,
}

/// Where a stream begins.
pub(super) struct Beginning {
    /// The epoch of all positions.
    pub(super) epoch: Uuid,
    /// The first update has the position after this one.
    pub(super) position: u64,
    /// The first missed events, if they have been read from the log.
    pub(super) missed: Vec<StoreEvent>,
    /// The first message.
    pub(super) snapshot: Box<SubscribeResponse>,
}

/// A pad's stream. When it is dropped, its registration in the hub ends, too.
pub(crate) struct PadStream {
    context: Arc<StreamContext>,
    registration: Registration,
    transport: Transport,
    epoch: Uuid,
    /// The last position sent.
    cursor: u64,
    snapshot: Option<Box<SubscribeResponse>>,
    /// Read from the log, not sent yet.
    missed: VecDeque<StoreEvent>,
    /// The next page, while it is read from the log.
    reading: Option<PageRead>,
    /// Positions after the cursor whose rings have been sent early.
    sent_early: BTreeSet<u64>,
    /// When to check for such rings next, if there may be one.
    early_at: Option<Instant>,
    phase: Phase,
    heartbeat_at: Instant,
    /// `None`: later than the clock can represent.
    expires: Option<Instant>,
    /// The reason for which the pad has been asked to reconnect.
    reconnect_sent: Option<StreamEnd>,
    end_reason: Option<&'static str>,
}

/// A page of missed events, being read.
type PageRead = Pin<Box<dyn Future<Output = Result<(Uuid, StoreEvents), StreamEnd>> + Send>>;

/// Whether the pad has caught up with the hub since it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    CatchingUp,
    Live,
}

impl PadStream {
    pub(super) fn new(
        context: Arc<StreamContext>,
        registration: Registration,
        transport: Transport,
        expires: SystemTime,
        beginning: Beginning,
    ) -> Self {
        context.metrics.began(transport);
        let now = Instant::now();
        Self {
            context,
            registration,
            transport,
            epoch: beginning.epoch,
            cursor: beginning.position,
            snapshot: Some(beginning.snapshot),
            missed: beginning.missed.into(),
            reading: None,
            sent_early: BTreeSet::new(),
            early_at: Some(now + EARLY_INTERVAL),
            phase: Phase::CatchingUp,
            heartbeat_at: now,
            expires: now.checked_add(Wall::now().until(expires)),
            reconnect_sent: None,
            end_reason: None,
        }
    }

    /// The next message. Cancel-safe: a cancelled call has sent nothing.
    ///
    /// # Errors
    /// Says why the stream has ended; nothing more comes.
    pub(crate) async fn next(&mut self) -> Result<Message, StreamEnd> {
        self.step().await.inspect_err(|end| self.end_reason = Some(end.reason()))
    }

    /// Ends the stream for a reason that the transport has found.
    pub(crate) fn end(&mut self, end: &StreamEnd) {
        self.end_reason = Some(end.reason());
    }

    async fn step(&mut self) -> Result<Message, StreamEnd> {
        loop {
            let now = Instant::now();
            if let Some(message) = self.urgent(now)? {
                return Ok(message);
            }
            if self.phase == Phase::CatchingUp
                && self.early_at.is_some_and(|at| at <= now)
                && let Some(ring) = self.next_early(now)
            {
                return Ok(ring);
            }
            if let Some(event) = self.next_missed()? {
                return Ok(event);
            }
            match self.registration.next_event(self.cursor) {
                NextEvent::Event(event) => {
                    if self.phase == Phase::Live && !self.sent_early.contains(&event.position()) {
                        self.record_delivery(&event);
                    }
                    self.advance_to(event.position());
                    self.phase = Phase::Live;
                    return Ok(Message::Event(event));
                }
                NextEvent::NotYet => {
                    self.phase = Phase::Live;
                    if let Some(ring) = self.next_early(now) {
                        return Ok(ring);
                    }
                    self.idle().await;
                }
                NextEvent::Behind if self.phase == Phase::Live => return Err(StreamEnd::TooSlow),
                NextEvent::Behind => self.read_page().await?,
                NextEvent::Ended(end) => return Err(end),
            }
        }
    }

    /// Measures and traces an event that is handed to the transport now.
    fn record_delivery(&self, event: &PadEvent) {
        if let Some(age) = event.age(SystemTime::now()) {
            self.context.metrics.delivered(self.transport, age);
        }
        if let Some((traceparent, consumed_at)) = event.trace() {
            self.context.traces.note("deliver", traceparent, consumed_at, Vec::new());
        }
    }

    /// What comes before any update: the end, the snapshot, a heartbeat that is due, `reconnect`.
    fn urgent(&mut self, now: Instant) -> Result<Option<Message>, StreamEnd> {
        if let Some(end) = self.registration.control().ended() {
            return Err(end);
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Err(StreamEnd::Token(TokenFault::Expired));
        }
        if let Some(snapshot) = self.snapshot.take() {
            return Ok(Some(Message::Own(snapshot)));
        }
        if self.heartbeat_at <= now {
            self.heartbeat_at = now + self.context.heartbeat_interval;
            let heartbeat =
                Heartbeat { server_time: Some(clock::timestamp(Wall::now())), position: self.cursor };
            return Ok(Some(Message::own(subscribe_response::Event::Heartbeat(heartbeat))));
        }
        let request = self.registration.control().reconnect_request();
        let Some(request) = request.filter(|request| self.due(request) <= now) else {
            return Ok(None);
        };
        if self.reconnect_sent.as_ref() == Some(&request.end) {
            return Err(request.end.clone());
        }
        self.reconnect_sent = Some(request.end.clone());
        let reconnect = Reconnect { after: Some(clock::duration(RECONNECT_AFTER)) };
        Ok(Some(Message::own(subscribe_response::Event::Reconnect(reconnect))))
    }

    /// When the pad is to be asked to reconnect, or, once it has been asked, when its stream ends.
    fn due(&self, request: &ReconnectRequest) -> Instant {
        if self.reconnect_sent.as_ref() == Some(&request.end) { request.end_at } else { request.ask_at }
    }

    fn next_missed(&mut self) -> Result<Option<Message>, StreamEnd> {
        let Some(event) = self.missed.pop_front() else { return Ok(None) };
        if event.position != self.cursor + 1 {
            // The log has a gap, which must never be skipped.
            return Err(StreamEnd::NeedsResync);
        }
        if self.missed.is_empty() {
            self.missed = VecDeque::new();
        }
        self.advance_to(event.position);
        Ok(Some(Message::Event(Arc::new(PadEvent::new(event.position, event.subscribe_response)))))
    }

    /// The update at this position has been taken by the transport.
    fn advance_to(&mut self, position: u64) {
        self.cursor = position;
        while self.sent_early.first().is_some_and(|sent| *sent <= position) {
            self.sent_early.pop_first();
        }
    }

    /// A ring that is to be sent early.
    fn next_early(&mut self, now: Instant) -> Option<Message> {
        let wall = SystemTime::now();
        match self.registration.early_ring(self.cursor, &self.sent_early, now, wall) {
            EarlyRing::Due(event) => {
                self.sent_early.insert(event.position());
                self.record_delivery(&event);
                event.early().map(|early| Message::Own(Box::new(early)))
            }
            EarlyRing::NotBefore(at) => {
                self.early_at = Some(at);
                None
            }
            // The hub wakes a live stream; one that is catching up must check by itself.
            EarlyRing::None => {
                self.early_at = (self.phase == Phase::CatchingUp).then(|| now + EARLY_INTERVAL);
                None
            }
        }
    }

    /// Waits until there may be something to send.
    async fn idle(&mut self) {
        let reconnect = self.registration.control().reconnect_request().map(|request| self.due(request));
        let dues = [self.expires, reconnect, self.early_at].into_iter().flatten();
        let due = dues.fold(self.heartbeat_at, Instant::min);
        tokio::select! {
            () = self.registration.control().woken() => {}
            () = sleep_until(due) => {}
        }
    }

    /// Reads what follows the cursor from the log; returns without it when it is time to check for early rings.
    async fn read_page(&mut self) -> Result<(), StreamEnd> {
        // Kept, so that the log need not read it again after an early ring or after the transport has stopped waiting.
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.start_reading(),
        };
        let read = {
            let reading = self.reading.insert(reading);
            let early_at = self.early_at.unwrap_or_else(|| Instant::now() + EARLY_INTERVAL);
            tokio::select! {
                read = reading => read,
                () = sleep_until(early_at) => return Ok(()),
            }
        };
        self.reading = None;
        let (epoch, page) = read?;
        if epoch != self.epoch || page.events.is_empty() {
            return Err(StreamEnd::NeedsResync);
        }
        self.missed = page.events.into();
        Ok(())
    }

    /// Asks the log for what follows the cursor.
    fn start_reading(&self) -> PageRead {
        let cursor = StoreCursor {
            store_id: self.registration.control().store().to_string(),
            after_position: self.cursor,
        };
        let context = Arc::clone(&self.context);
        Box::pin(async move {
            let read = timeout(ANSWER_DEADLINE, context.log.missed(cursor, context.page)).await;
            read.map_err(|_| StreamEnd::LogUnreachable)?.map_err(|error| match error {
                LogClientError::NoSuchStore => StreamEnd::NoSuchStore,
                LogClientError::Unreachable(_) | LogClientError::Unexpected(_) => StreamEnd::LogUnreachable,
            })
        })
    }
}

impl Drop for PadStream {
    fn drop(&mut self) {
        self.context.metrics.ended(self.transport, self.end_reason.unwrap_or("client"));
    }
}
