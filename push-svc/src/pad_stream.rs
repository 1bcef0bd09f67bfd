//! Opens the streams of pads, over any transport: token, registration in the hub, snapshot.

mod message;
mod metrics;
mod snapshot;
mod stream;

use std::{sync::Arc, time::Duration};

use ringpad_proto::v1::{
    Snapshot, StoreCursor, StoreEvents, StoreRef, SubscribeRequest, SubscribeResponse, subscribe_response,
};
use ringpad_runtime::traces::Traces;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::{
    admission::{
        Admission,
        token::{Pad, TokenFault},
    },
    capacity::StreamCapacity,
    clock::{self, Wall},
    hub::{Hub, Registration},
    log_client::{LogClient, LogClientError},
    stream_end::StreamEnd,
};
pub(crate) use metrics::{StreamMetrics, Transport};
pub(crate) use stream::PadStream;
use stream::{ANSWER_DEADLINE, Beginning, StreamContext};

/// Bytes of the longest session name; a UUID has 36.
const SESSION_BYTES: usize = 64;

/// Opens the streams of one replica.
pub(crate) struct PadStreams {
    admission: Arc<Admission>,
    hub: Hub,
    context: Arc<StreamContext>,
    capacity: StreamCapacity,
}

impl PadStreams {
    /// Each stream sends a heartbeat at every `heartbeat_interval`.
    pub(crate) fn new(
        admission: Arc<Admission>,
        hub: Hub,
        log: LogClient,
        metrics: StreamMetrics,
        traces: Traces,
        heartbeat_interval: Duration,
        capacity: StreamCapacity,
    ) -> Self {
        let page = capacity.page;
        let context = Arc::new(StreamContext { log, metrics, traces, heartbeat_interval, page });
        Self { admission, hub, context, capacity }
    }

    /// Whether the replica is leaving, and opens no more streams.
    pub(crate) fn is_leaving(&self) -> bool {
        self.hub.is_leaving()
    }

    /// Counts a stream that a transport refuses by itself.
    pub(crate) fn count_refused(&self, transport: Transport, end: &StreamEnd) {
        self.context.metrics.count_end(transport, end.reason());
    }

    /// Opens a stream; its first message is the snapshot.
    ///
    /// # Errors
    /// Says why the stream is refused. This has been counted.
    pub(crate) async fn open(
        &self,
        token: Result<&str, TokenFault>,
        request: SubscribeRequest,
        transport: Transport,
    ) -> Result<PadStream, StreamEnd> {
        let opened = self.try_open(token, request, transport).await;
        opened.inspect_err(|end| self.count_refused(transport, end))
    }

    async fn try_open(
        &self,
        token: Result<&str, TokenFault>,
        request: SubscribeRequest,
        transport: Transport,
    ) -> Result<PadStream, StreamEnd> {
        let pad = self.admission.pad(token).map_err(StreamEnd::Token)?;
        let registration = self.hub.register(&pad, session(&request.session)?)?;
        // Once it is registered, a revocation ends it. One that came before did not.
        self.admission.check(&pad).map_err(StreamEnd::Token)?;
        // Boxed, so that the size of the log's answers does not count for the task of every stream as long as it lives.
        let beginning = Box::pin(timeout(ANSWER_DEADLINE, self.begin(&pad, &registration, &request))).await;
        let beginning = beginning.unwrap_or(Err(LogClientError::Unexpected("no snapshot in time")));
        let beginning = beginning.map_err(|error| match error {
            LogClientError::NoSuchStore => StreamEnd::NoSuchStore,
            LogClientError::Unreachable(_) | LogClientError::Unexpected(_) => {
                tracing::debug!(store = &*pad.store, %error, "no snapshot for a pad");
                StreamEnd::LogUnreachable
            }
        })?;
        registration.replace_older_streams();
        Ok(PadStream::new(self.context.clone(), registration, transport, pad.expires, beginning))
    }

    async fn begin(
        &self,
        pad: &Pad,
        registration: &Registration,
        request: &SubscribeRequest,
    ) -> Result<Beginning, LogClientError> {
        let wanted = request.after_position.zip(Uuid::try_parse(&request.epoch).ok());
        if let Some((after, epoch)) = wanted
            && let Some(beginning) = self.resume(pad, registration, epoch, after).await?
        {
            return Ok(beginning);
        }
        let calls =
            snapshot::read(&self.context.log, &pad.store, Wall::now(), self.capacity.snapshot).await?;
        registration.observe(calls.epoch, calls.position, Instant::now());
        registration.suggest_name(&calls.store.name, Instant::now());
        let (epoch, position) = (calls.epoch, calls.position);
        let snapshot = Snapshot {
            open_calls: calls.open,
            recent_calls: calls.recent,
            ..self.empty_snapshot(calls.store, epoch, position)
        };
        Ok(Beginning { epoch, position, missed: Vec::new(), snapshot: message(snapshot) })
    }

    /// Continues after the position `after`, if that is possible.
    async fn resume(
        &self,
        pad: &Pad,
        registration: &Registration,
        epoch: Uuid,
        after: u64,
    ) -> Result<Option<Beginning>, LogClientError> {
        let (name, missed) = match registration.resumable(epoch, after) {
            Some(name) => (name, Vec::new()),
            None => {
                let cursor = StoreCursor { store_id: pad.store.to_string(), after_position: after };
                let (current, answer) = self.context.log.missed(cursor, self.capacity.page).await?;
                registration.observe(current, answer.position, Instant::now());
                if current != epoch || !is_within_reach(after, &answer, self.capacity.max_behind) {
                    return Ok(None);
                }
                // An older version of ingest-svc does not send the name, without which there is no snapshot of ours.
                if answer.store_name.is_empty() {
                    return Ok(None);
                }
                (registration.suggest_name(&answer.store_name, Instant::now()), answer.events)
            }
        };
        let store = StoreRef { id: pad.store.to_string(), name: name.to_string() };
        let snapshot = Snapshot { resumed: true, ..self.empty_snapshot(store, epoch, after) };
        Ok(Some(Beginning { epoch, position: after, missed, snapshot: message(snapshot) }))
    }

    fn empty_snapshot(&self, store: StoreRef, epoch: Uuid, position: u64) -> Snapshot {
        Snapshot {
            server_time: Some(clock::timestamp(Wall::now())),
            heartbeat_interval: Some(clock::duration(self.context.heartbeat_interval)),
            store: Some(store),
            position,
            epoch: epoch.to_string(),
            ..Snapshot::default()
        }
    }
}

/// Whether a pad that has everything up to `after` can be sent all that follows in the log. `answer` has the log's position
/// and the first events that follow.
fn is_within_reach(after: u64, answer: &StoreEvents, max_behind: u64) -> bool {
    match answer.position.checked_sub(after) {
        None => false,
        Some(0) => true,
        Some(behind) => {
            behind <= max_behind && answer.events.first().is_some_and(|first| first.position == after + 1)
        }
    }
}

fn session(session: &str) -> Result<Option<Box<str>>, StreamEnd> {
    if session.len() > SESSION_BYTES {
        return Err(StreamEnd::Malformed("session: a UUID is expected".to_owned()));
    }
    Ok((!session.is_empty()).then(|| session.into()))
}

fn message(snapshot: Snapshot) -> Box<SubscribeResponse> {
    Box::new(SubscribeResponse { event: Some(subscribe_response::Event::Snapshot(snapshot)) })
}

#[cfg(test)]
mod tests {
    use ringpad_proto::v1::StoreEvent;

    use super::*;

    fn events(first: u64) -> Vec<StoreEvent> {
        vec![StoreEvent { position: first, ..StoreEvent::default() }]
    }

    #[test]
    fn a_pad_can_resume_if_it_is_not_ahead_nor_far_behind_and_its_next_event_is_kept() {
        let is_within_reach = |after, position, events| {
            is_within_reach(after, &StoreEvents { position, events, ..StoreEvents::default() }, 10_000)
        };
        assert!(is_within_reach(0, 0, vec![]));
        assert!(is_within_reach(7, 7, vec![]));
        assert!(is_within_reach(0, 1, events(1)));
        assert!(is_within_reach(5, 10_005, events(6)));
        assert!(!is_within_reach(5, 10_006, events(6)));
        assert!(!is_within_reach(8, 7, vec![]));
        assert!(!is_within_reach(u64::MAX, 7, vec![]));
        assert!(!is_within_reach(5, 9, vec![]), "no longer kept");
        assert!(!is_within_reach(5, 9, events(7)), "a gap");
    }

    #[test]
    fn a_long_session_name_is_refused() {
        assert_eq!(session(""), Ok(None));
        assert_eq!(session("x"), Ok(Some("x".into())));
        assert!(session(&"x".repeat(65)).is_err());
    }
}
