//! A pad that stays for the whole play, as the contract wants of pads: it takes a silent stream for dead, comes back
//! with full jitter and what it has, and opens the next stream before it closes one that a replica asks it to leave.
//! What it is shown goes into the [`Ledger`].

use std::{future::pending, net::SocketAddr, ops::ControlFlow, pin::Pin, time::Duration};

use ringpad_proto::v1::{Snapshot, subscribe_response::Event};
use tokio::time::{Instant, sleep, timeout};

use super::{
    ledger::{Ledger, TOKEN_LIVES, Wrong},
    tamper::Tamper,
    wire::Wire,
};
use crate::{
    pads::{Stream, StreamEnd, Subscription, Transport},
    token::Claims,
};

/// A stream that is silent for so long is dead: 2.5 intervals of the heartbeat that [`super::SETTINGS`] asks for.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a snapshot may take: 3 s on the server, and the way.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first wait is drawn from up to this, each further one from up to twice as much.
const RETRY_INITIAL: Duration = Duration::from_millis(250);
/// At most.
const RETRY_MAX: Duration = Duration::from_secs(4);

/// The next stream, being opened while this one still runs.
type Successor = Pin<Box<dyn Future<Output = Option<Open>> + Send>>;

/// A stream that has brought its snapshot.
struct Open {
    stream: Stream,
    wire: Wire,
    /// When its token was made.
    minted: Instant,
    position: u64,
    epoch: String,
}

/// One pad of the play.
#[derive(Debug, Clone)]
pub(super) struct Tablet {
    /// Its number in the ledger.
    pub(super) number: usize,
    pub(super) transport: Transport,
    /// When it comes: at once, before the first call, or later.
    pub(super) comes_after: Duration,
    pub(super) nginx: SocketAddr,
    /// Of a pad whose tokens live for [`TOKEN_LIVES`]: what each says. A new one is made for every stream.
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
        let minted = Instant::now();
        if let Some(claims) = &self.claims {
            self.asked.token = Some(claims.clone().lasting(TOKEN_LIVES).token());
        }
        let mut stream = Stream::open(self.transport, self.nginx, &self.asked);
        let snapshot = match timeout(PATIENCE, stream.next()).await {
            Ok(Ok(Event::Snapshot(snapshot))) => snapshot,
            Ok(Ok(other)) => {
                self.broken(format!("a stream began with {other:?}"));
                return None;
            }
            Ok(Err(end)) => {
                self.note_end(&end, minted);
                return None;
            }
            Err(_) => return None,
        };
        self.ledger.begin(self.number, &snapshot);
        if !self.goes_on(&snapshot) {
            self.broken(format!("a stream began at {} and did not go on", snapshot.position));
        }
        let wire = Wire::new(&self.ledger, self.number, snapshot.position);
        Some(Open { stream, wire, minted, position: snapshot.position, epoch: snapshot.epoch })
    }

    /// Whether a snapshot is what was asked for: but for those that come late, pads come before the first call, and all go on
    /// where they are from then on.
    fn goes_on(&self, snapshot: &Snapshot) -> bool {
        let where_it_was = self.asked.after.as_ref().is_none_or(|(position, epoch)| {
            snapshot.resumed && snapshot.position == *position && snapshot.epoch == *epoch
        });
        let begins_late = self.asked.after.is_none() && !self.comes_after.is_zero();
        where_it_was && (begins_late || snapshot.open_calls.is_empty() && snapshot.recent_calls.is_empty())
    }

    /// Faults cut streams, keep the log from answering and replicas from being found; they refuse nobody. A replica that
    /// was frozen finds all that this pad tried meanwhile, in whatever order, and of one session keeps the last it takes up.
    fn note_end(&self, end: &StreamEnd, minted: Instant) {
        if self.claims.is_some() && *end == StreamEnd::Unauthenticated {
            return self.ledger.expire(self.number, minted);
        }
        if !end.is_worth_another_try() && *end != StreamEnd::Replaced {
            self.broken(format!("a stream ended: {end:?}"));
        }
    }

    fn broken(&self, words: String) {
        self.ledger.wrong(self.number, Wrong::Broken, words);
    }

    /// Shows what comes until the stream ends, or the next one has taken its place.
    async fn follow(&mut self, mut open: Open) -> Option<Open> {
        self.asked.after.get_or_insert_with(|| (open.position, open.epoch.clone()));
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
                    // A successor that is on its way is as good as a new attempt.
                    ControlFlow::Break(end) => {
                        if let Some(end) = end {
                            self.note_end(&end, open.minted);
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

    /// Takes an event, or the want of one. Returns when to move on, if the replica says so, or how the stream ended.
    async fn take(
        &mut self,
        open: &mut Open,
        event: Option<Result<Event, StreamEnd>>,
    ) -> ControlFlow<Option<StreamEnd>, Option<Duration>> {
        match event {
            Some(Ok(Event::Update(update))) => {
                sleep(self.tamper.hold_up()).await;
                for update in self.tamper.pass(update) {
                    open.wire.update(&update);
                    let had = self.asked.after.as_ref().map_or(0, |(position, _)| *position);
                    // While two streams overlap, both bring it: a pad shows it once.
                    if update.position > had {
                        self.ledger.show(self.number, &update);
                        self.asked.after = Some((update.position, open.epoch.clone()));
                    }
                }
            }
            Some(Ok(Event::Early(early))) => open.wire.early(&early),
            Some(Ok(Event::Heartbeat(heartbeat))) => open.wire.heartbeat(heartbeat.position),
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
