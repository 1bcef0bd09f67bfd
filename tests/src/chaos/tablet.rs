//! A pad that stays for the whole run and does what `docs/protocol.md` asks of pads: it takes a silent stream for dead, comes
//! back with its position after a wait with full jitter, and opens the next stream before it closes one that a replica asks it
//! to leave. What it is shown goes into the [`Ledger`].

use std::{future::pending, net::SocketAddr, ops::ControlFlow, pin::Pin, time::Duration};

use ringpad_proto::v1::{Snapshot, subscribe_response::Event};
use tokio::time::{Instant, sleep, timeout};

use super::{
    ledger::{Ledger, StreamFault, TOKEN_LIFETIME},
    stream_check::StreamCheck,
    tamper::Tamper,
};
use crate::{
    pads::{Stream, StreamEnd, Subscription, Transport},
    token::Claims,
};

/// A stream that is silent for so long is dead: 2.5 heartbeat intervals of [`super::SETTINGS`].
const SILENCE: Duration = Duration::from_secs(5);
/// How long a snapshot may take: 3 s on the server, and the network.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The first wait is drawn from up to this, each further one from up to twice as much.
const RETRY_INITIAL: Duration = Duration::from_millis(250);
/// At most.
const RETRY_MAX: Duration = Duration::from_secs(4);

/// The next stream, being opened while this one still runs.
type Successor = Pin<Box<dyn Future<Output = Option<Open>> + Send>>;

/// A stream that has brought its snapshot.
struct Open {
    stream: Stream,
    check: StreamCheck,
    /// When its token was issued.
    issued: Instant,
    snapshot: Snapshot,
}

/// One pad of the run.
#[derive(Debug, Clone)]
pub(super) struct Tablet {
    /// Its number in the ledger.
    pub(super) number: usize,
    pub(super) transport: Transport,
    /// When it connects: immediately, before the first call, or later.
    pub(super) comes_after: Duration,
    pub(super) nginx: SocketAddr,
    /// Of a pad whose tokens are valid for [`TOKEN_LIFETIME`]: their claims. A new token is issued for every stream.
    pub(super) claims: Option<Claims>,
    /// What it asks for; `after` is kept up to date.
    pub(super) asked: Subscription,
    pub(super) ledger: Ledger,
    pub(super) tamper: Tamper,
}

impl Tablet {
    /// Stays until it is dropped.
    pub(super) async fn stay(mut self) {
        sleep(self.comes_after).await;
        let mut longest = RETRY_INITIAL;
        let mut next = None;
        loop {
            let open = match next.take() {
                Some(open) => Some(open),
                None => self.clone().open(Duration::ZERO).await,
            };
            let Some(open) = open else {
                sleep(longest.mul_f64(fastrand::f64())).await;
                longest = (longest * 2).min(RETRY_MAX);
                continue;
            };
            longest = RETRY_INITIAL;
            next = self.follow(open).await;
        }
    }

    /// Asks for a stream after `delay` and waits for its snapshot.
    async fn open(mut self, delay: Duration) -> Option<Open> {
        sleep(delay).await;
        let issued = Instant::now();
        if let Some(claims) = &self.claims {
            self.asked.token = Some(claims.clone().lasting(TOKEN_LIFETIME).token());
        }
        let mut stream = Stream::open(self.transport, self.nginx, &self.asked);
        let snapshot = match timeout(ANSWER_TIMEOUT, stream.next()).await {
            Ok(Ok(Event::Snapshot(snapshot))) => snapshot,
            Ok(Ok(other)) => {
                self.broken(format!("a stream began with {other:?}"));
                return None;
            }
            Ok(Err(end)) => {
                self.note_end(&end, issued);
                return None;
            }
            Err(_) => return None,
        };
        self.ledger.begin(self.number, &snapshot);
        if !self.continues(&snapshot) {
            self.broken(format!("a stream began at {} and did not continue", snapshot.position));
        }
        let check = StreamCheck::new(&self.ledger, self.number, snapshot.position);
        Some(Open { stream, check, issued, snapshot })
    }

    /// Whether a snapshot is what was asked for. Pads that do not come late connect before the first call; after its first
    /// snapshot every pad resumes at its position, or gets the calls of another epoch ([`Ledger::renew`]).
    fn continues(&self, snapshot: &Snapshot) -> bool {
        if self.is_renewed(snapshot) {
            return true;
        }
        let where_it_was = self.asked.after.as_ref().is_none_or(|(position, epoch)| {
            snapshot.resumed && snapshot.position == *position && snapshot.epoch == *epoch
        });
        let begins_late = self.asked.after.is_none() && !self.comes_after.is_zero();
        where_it_was && (begins_late || snapshot.open_calls.is_empty() && snapshot.recent_calls.is_empty())
    }

    /// Whether a snapshot is of another epoch than the pad has.
    fn is_renewed(&self, snapshot: &Snapshot) -> bool {
        self.asked.after.as_ref().is_some_and(|(_, epoch)| *epoch != snapshot.epoch)
    }

    /// Faults can cut streams and cut off the log and replicas; they are no reason for a refusal. A replica that was frozen gets
    /// all that this pad tried meanwhile, in any order, and of one session keeps the stream that it opens last.
    fn note_end(&self, end: &StreamEnd, issued: Instant) {
        if self.claims.is_some() && *end == StreamEnd::Unauthenticated {
            return self.ledger.expire(self.number, issued);
        }
        if !end.is_worth_another_try() && *end != StreamEnd::Replaced {
            self.broken(format!("a stream ended: {end:?}"));
        }
    }

    fn broken(&self, words: String) {
        self.ledger.wrong(self.number, StreamFault::Broken, words);
    }

    /// Shows what comes until the stream ends or the next one replaces it.
    async fn follow(&mut self, mut open: Open) -> Option<Open> {
        let Snapshot { position, epoch, .. } = &open.snapshot;
        if self.is_renewed(&open.snapshot) {
            self.ledger.renew(self.number, &open.snapshot);
            self.asked.after = None;
        }
        self.asked.after.get_or_insert_with(|| (*position, epoch.clone()));
        let mut successor: Option<Successor> = None;
        loop {
            let coming = async {
                match &mut successor {
                    Some(successor) => successor.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                opened = coming => match opened {
                    Some(next) => return Some(next),
                    None => successor = Some(Box::pin(self.clone().open(RETRY_INITIAL))),
                },
                event = timeout(SILENCE, open.stream.next()) => match self.take(&mut open, event.ok()).await {
                    ControlFlow::Continue(None) => {}
                    ControlFlow::Continue(Some(after)) => successor = Some(Box::pin(self.clone().open(after))),
                    // A successor that is being opened serves as the new attempt.
                    ControlFlow::Break(end) => {
                        if let Some(end) = end {
                            self.note_end(&end, open.issued);
                        }
                        return match successor {
                            Some(successor) => successor.await,
                            None => None,
                        };
                    }
                },
            }
        }
    }

    /// Takes an event; `None`: none came in time. Returns the delay after which to reconnect, if the replica asks for it, or how the
    /// stream ended.
    async fn take(
        &mut self,
        open: &mut Open,
        event: Option<Result<Event, StreamEnd>>,
    ) -> ControlFlow<Option<StreamEnd>, Option<Duration>> {
        match event {
            Some(Ok(Event::Update(update))) => {
                sleep(self.tamper.hold_up()).await;
                for update in self.tamper.pass(update) {
                    open.check.update(&update);
                    let had = self.asked.after.as_ref().map_or(0, |(position, _)| *position);
                    // While two streams overlap, both bring it; a pad shows it once.
                    if update.position > had {
                        self.ledger.show(self.number, &update);
                        self.asked.after = Some((update.position, open.snapshot.epoch.clone()));
                    }
                }
            }
            Some(Ok(Event::Early(early))) => open.check.early(&early),
            Some(Ok(Event::Heartbeat(heartbeat))) => open.check.heartbeat(heartbeat.position),
            Some(Ok(Event::Reconnect(reconnect))) => {
                let after = reconnect.after.and_then(|after| Duration::try_from(after).ok());
                return ControlFlow::Continue(Some(after.unwrap_or_default()));
            }
            Some(Ok(Event::Snapshot(_))) => {
                self.broken("a second snapshot".to_owned());
                return ControlFlow::Break(None);
            }
            Some(Err(end)) => return ControlFlow::Break(Some(end)),
            None => return ControlFlow::Break(None),
        }
        ControlFlow::Continue(None)
    }
}
