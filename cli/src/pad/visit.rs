//! A pad's stay: one stream after another, so that the store's events come without a gap and without a repeat.

#[cfg(test)]
mod tests;

use std::{future::pending, pin::Pin, time::Duration};

use ringpad_bus::Backoff;
use ringpad_proto::v1::{Reconnect, SubscribeRequest, SubscribeResponse, subscribe_response::Event};
use ringpad_runtime::Failure;
use tokio::time::{sleep, timeout};

use super::{
    door::{Door, Opened},
    feed::{End, Feed},
    progress::{Progress, Verdict},
    screen::Screen,
};
use crate::terminal::remark;

/// The first wait is drawn from up to this; each further one from twice as much.
const RETRY_INITIAL: Duration = Duration::from_millis(500);
/// At most.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The longest delay before moving on that a server is believed.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How long the next stream may take to be there when the one before it has ended: the server ends the old one just before
/// the new one's first message.
const JUST_ABOUT: Duration = Duration::from_secs(1);

/// The next stream, being opened while this one still runs.
type Successor = Pin<Box<dyn Future<Output = Result<Opened, End>> + Send>>;

/// A pad that stays until it is turned away.
pub(super) struct Visit {
    door: Door,
    progress: Progress,
    screen: Screen,
}

/// Why a stream is no longer read.
enum Stop {
    /// The stream is at its end; the pad is not.
    Stream(End),
    /// The pad itself cannot go on.
    Pad(Failure),
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::Stream(end)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Pad(failure)
    }
}

impl Visit {
    pub(super) fn new(door: Door, screen: Screen) -> Self {
        Self { door, progress: Progress::new(), screen }
    }

    /// Shows the store's events, on one stream after another. Dropped, it leaves.
    ///
    /// # Errors
    /// The pad was turned away for good, or its output cannot be written.
    pub(super) async fn stay(mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::new(RETRY_INITIAL, RETRY_MAX);
        loop {
            let stop = match self.door.open(self.progress.request()).await {
                Ok(opened) => {
                    // A message has arrived; a connection alone would prove nothing.
                    backoff.reset();
                    self.follow(opened).await
                }
                Err(end) => Stop::Stream(end),
            };
            let why = match stop {
                Stop::Pad(failure) => return Err(failure),
                Stop::Stream(End::Refused(why)) => return Err(Failure::other(self.door.endpoint(), why)),
                Stop::Stream(End::Lost(why)) => why,
            };
            let pause = backoff.delay();
            remark(format!("{}: {why}; trying again in {:.1} s", self.door.endpoint(), pause.as_secs_f64()));
            sleep(pause).await;
        }
    }

    /// Reads a stream, and the one it hands over to, to the end.
    async fn follow(&mut self, opened: Opened) -> Stop {
        let Opened { mut feed, first } = opened;
        let mut successor: Option<Successor> = None;
        let mut next = Ok(first);
        loop {
            match next.map_err(Stop::from).and_then(|message| self.take(&mut feed, message)) {
                Ok(None) => {}
                Ok(Some(reconnect)) => {
                    remark(format!("{}: asks us to connect anew, moving on", self.door.endpoint()));
                    successor =
                        Some(Box::pin(move_on(self.door.clone(), self.progress.request(), reconnect)));
                }
                // What leaves is gone before its successor is there, which may be just about to.
                Err(Stop::Stream(End::Lost(why))) if successor.is_some() => {
                    match timeout(JUST_ABOUT, hand_over(&mut successor)).await {
                        Ok(Ok(opened)) => {
                            feed = opened.feed;
                            next = Ok(opened.first);
                            continue;
                        }
                        Ok(Err(end)) => return Stop::Stream(end),
                        // It was between two tries. From now on it is a cut, and said.
                        Err(_) => return Stop::Stream(End::Lost(why)),
                    }
                }
                Err(stop) => return stop,
            }
            next = tokio::select! {
                message = feed.next() => message,
                opened = hand_over(&mut successor) => match opened {
                    Ok(opened) => {
                        feed = opened.feed;
                        Ok(opened.first)
                    }
                    Err(end) => {
                        // Whoever refuses the next stream does not end this one.
                        remark(format!("{}: {end}; staying as long as this stream lasts", self.door.endpoint()));
                        feed.next().await
                    }
                },
            };
        }
    }

    /// Shows a message unless the pad has it. Returns the server's wish to be left, if that is what it says.
    fn take(&mut self, feed: &mut Feed, message: SubscribeResponse) -> Result<Option<Reconnect>, Stop> {
        match self.progress.take(&mut feed.cursor, &message) {
            Ok(Verdict::Show) => self.screen.show(&message)?,
            Ok(Verdict::Skip) => {}
            Err(broken) => return Err(Stop::Stream(End::Lost(broken.to_string()))),
        }
        match message.event {
            Some(Event::Reconnect(reconnect)) => Ok(Some(reconnect)),
            _ => Ok(None),
        }
    }
}

/// Waits for the successor, if there is one, and takes it.
async fn hand_over(successor: &mut Option<Successor>) -> Result<Opened, End> {
    let Some(opening) = successor else {
        return pending().await;
    };
    let opened = opening.await;
    *successor = None;
    opened
}

/// Opens the next stream after the delay that the server asks for, however often that takes. It begins where the pad
/// is now; what the old stream brings until then comes twice, and is shown once.
async fn move_on(door: Door, request: SubscribeRequest, reconnect: Reconnect) -> Result<Opened, End> {
    let delay = reconnect.after.and_then(|after| Duration::try_from(after).ok()).unwrap_or_default();
    sleep(delay.min(LONGEST_DELAY)).await;
    let mut backoff = Backoff::new(RETRY_INITIAL, RETRY_MAX);
    loop {
        match door.open(request.clone()).await {
            Err(End::Lost(_)) => backoff.wait().await,
            settled => return settled,
        }
    }
}
