//! Letting a pad in: token, seat, snapshot. What every edge does for a new stream, whatever its transport.

use std::{sync::Arc, time::Duration};

use ringpad_proto::v1::{
    ListCallsRequest, Snapshot, StoreCursor, StoreEvent, StoreRef, SubscribeRequest, SubscribeResponse,
    subscribe_response,
};
use ringpad_runtime::traces::Traces;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::{
    auth::{Pad, PadTokens, TokenFault},
    clock::{self, Wall},
    end::End,
    hub::{Hub, Member},
    log_client::{LogClient, LogError},
    metrics::{Metrics, Transport},
    origin::AllowedOrigins,
    pad_stream::{Beginning, PadStream},
    shares::Shares,
    snapshot::{self, StoreCalls},
};

/// How long a pad waits for the log. The contract says 3 s for a snapshot; the rest is the network's.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_millis(2800);
/// How far behind a pad may be and still be given what it missed, event by event.
const REACH: u64 = 10_000;
/// How many events are read from the log at once for a pad that is behind; it waits for them in memory.
pub(crate) const PAGE: u32 = 200;
/// The longest session name; a UUID has 36 characters.
const SESSION_LENGTH: usize = 64;

/// What the edges share.
pub(crate) struct Pads {
    /// The stores that have a pad here.
    pub hub: Hub,
    /// Where snapshots and missed events come from.
    pub log: LogClient,
    /// Who may come in.
    pub tokens: PadTokens,
    /// How often.
    pub shares: Shares,
    /// From which pages.
    pub origins: AllowedOrigins,
    /// What is counted.
    pub metrics: Metrics,
    /// What is traced.
    pub traces: Traces,
    /// How often each pad is told that its stream is alive.
    pub heartbeat_interval: Duration,
}

impl Pads {
    /// Opens a stream; its first message is the snapshot.
    ///
    /// # Errors
    /// Says why there is none. It has been counted.
    pub(crate) async fn open(
        self: &Arc<Self>,
        token: Result<&str, TokenFault>,
        request: SubscribeRequest,
        transport: Transport,
    ) -> Result<PadStream, End> {
        let opened = self.let_in(token, request, transport).await;
        if let Err(end) = &opened {
            self.metrics.end(transport, end.reason());
        }
        opened
    }

    async fn let_in(
        self: &Arc<Self>,
        token: Result<&str, TokenFault>,
        request: SubscribeRequest,
        transport: Transport,
    ) -> Result<PadStream, End> {
        let pad = self.tokens.admit(token).map_err(End::Token)?;
        let member = self.hub.join(&pad, session(&request.session)?)?;
        // Boxed, so that what the log's answers need is not part of every stream's task for good.
        let begin = Box::pin(timeout(ANSWER_DEADLINE, self.begin(&pad, &member, &request)));
        let beginning = begin.await.unwrap_or(Err(LogError::Unexpected("no snapshot in time")));
        let beginning = beginning.map_err(|error| match error {
            LogError::NoSuchStore => End::NoSuchStore,
            LogError::Unreachable { .. } | LogError::Unexpected(_) => {
                tracing::debug!(store = &*pad.store, %error, "no snapshot for a pad");
                End::LogUnreachable
            }
        })?;
        member.take_over();
        Ok(PadStream::new(self.clone(), member, transport, pad.expires, beginning))
    }

    async fn begin(
        &self,
        pad: &Pad,
        member: &Member,
        request: &SubscribeRequest,
    ) -> Result<Beginning, LogError> {
        let wanted = request.after_position.zip(Uuid::try_parse(&request.epoch).ok());
        if let Some((after, epoch)) = wanted
            && let Some(beginning) = self.resume(pad, member, epoch, after).await?
        {
            return Ok(beginning);
        }
        let calls = snapshot::ask(&self.log, &pad.store, Wall::now()).await?;
        member.observe(calls.epoch, calls.position, Instant::now());
        let StoreCalls { store, epoch, position, open, recent } = calls;
        member.name_store(&store.name, Instant::now());
        let snapshot =
            Snapshot { open_calls: open, recent_calls: recent, ..self.snapshot(store, epoch, position) };
        Ok(Beginning { epoch, position, missed: Vec::new(), snapshot: message(snapshot) })
    }

    /// Goes on after `after`, if that is within reach.
    async fn resume(
        &self,
        pad: &Pad,
        member: &Member,
        epoch: Uuid,
        after: u64,
    ) -> Result<Option<Beginning>, LogError> {
        let (name, missed) = match member.resumable(epoch, after) {
            Some(name) => (name, Vec::new()),
            None => {
                let cursor = StoreCursor { store_id: pad.store.to_string(), after_position: after };
                let (current, answer) = self.log.missed(cursor, PAGE).await?;
                member.observe(current, answer.position, Instant::now());
                if current != epoch || !within_reach(after, answer.position, &answer.events) {
                    return Ok(None);
                }
                let name = match member.store_name() {
                    Some(name) => name,
                    None => self.ask_name(pad, member).await?,
                };
                (name, answer.events)
            }
        };
        let store = StoreRef { id: pad.store.to_string(), name: name.to_string() };
        let snapshot = Snapshot { resumed: true, ..self.snapshot(store, epoch, after) };
        Ok(Some(Beginning { epoch, position: after, missed, snapshot: message(snapshot) }))
    }

    async fn ask_name(&self, pad: &Pad, member: &Member) -> Result<Arc<str>, LogError> {
        let one = ListCallsRequest {
            store_id: pad.store.to_string(),
            page_size: 1,
            for_snapshot: true,
            ..ListCallsRequest::default()
        };
        let store = self.log.calls(one).await?.store.ok_or(LogError::Unexpected("no store in the answer"))?;
        Ok(member.name_store(&store.name, Instant::now()))
    }

    fn snapshot(&self, store: StoreRef, epoch: Uuid, position: u64) -> Snapshot {
        Snapshot {
            server_time: Some(clock::timestamp(Wall::now())),
            heartbeat_interval: Some(clock::duration(self.heartbeat_interval)),
            store: Some(store),
            position,
            epoch: epoch.to_string(),
            ..Snapshot::default()
        }
    }
}

/// Whether a pad that has `after` can be given all that the log, at `position`, has beyond; `events` are the first of it.
fn within_reach(after: u64, position: u64, events: &[StoreEvent]) -> bool {
    match position.checked_sub(after) {
        None => false,
        Some(0) => true,
        Some(behind) => behind <= REACH && events.first().is_some_and(|first| first.position == after + 1),
    }
}

fn session(session: &str) -> Result<Option<Box<str>>, End> {
    if session.len() > SESSION_LENGTH {
        return Err(End::Malformed("session: a UUID is expected".to_owned()));
    }
    Ok((!session.is_empty()).then(|| session.into()))
}

fn message(snapshot: Snapshot) -> Box<SubscribeResponse> {
    Box::new(SubscribeResponse { event: Some(subscribe_response::Event::Snapshot(snapshot)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(first: u64) -> Vec<StoreEvent> {
        vec![StoreEvent { position: first, ..StoreEvent::default() }]
    }

    #[test]
    fn within_reach_is_not_ahead_not_far_behind_and_still_kept() {
        assert!(within_reach(0, 0, &[]));
        assert!(within_reach(7, 7, &[]));
        assert!(within_reach(0, 1, &events(1)));
        assert!(within_reach(5, 10_005, &events(6)));
        assert!(!within_reach(5, 10_006, &events(6)));
        assert!(!within_reach(8, 7, &[]));
        assert!(!within_reach(u64::MAX, 7, &[]));
        assert!(!within_reach(5, 9, &[]), "no longer kept");
        assert!(!within_reach(5, 9, &events(7)), "a hole");
    }

    #[test]
    fn sessions_are_short() {
        assert_eq!(session(""), Ok(None));
        assert_eq!(session("x"), Ok(Some("x".into())));
        assert!(session(&"x".repeat(65)).is_err());
    }
}
