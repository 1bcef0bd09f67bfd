//! The pad's client: it reads one stream after another, so that each of the store's events is shown once and in order.

#[cfg(test)]
mod tests;

use std::{future::pending, ops::RangeInclusive, pin::Pin, time::Duration};

use ringpad_proto::v1::{Reconnect, SubscribeRequest, SubscribeResponse, subscribe_response::Event};
use ringpad_runtime::{Failure, backoff::Backoff};
use tokio::time::{sleep, timeout};

use super::{
    connector::{Connector, OpenStream},
    progress::{Novelty, Progress},
    screen::Screen,
    stream::EventStream,
    stream_error::StreamError,
};
use crate::terminal::remark;

/// The first wait is drawn from up to the first length, each further one from up to twice as much, to the last one.
const RETRY: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(10);
/// The longest delay that a server can ask for before the next stream.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How long the next stream may take to be there when the one before it has ended: the server ends the old one just before
/// the new one's first message.
const HANDOVER: Duration = Duration::from_secs(1);

/// The next stream, being opened while this one still runs.
type Successor = Pin<Box<dyn Future<Output = Result<OpenStream, StreamError>> + Send>>;

/// A pad that runs until it is refused.
pub(super) struct PadClient {
    connector: Connector,
    progress: Progress,
    screen: Screen,
}

/// Why a stream is no longer read.
enum Stop {
    /// The stream has ended; the pad can open another one.
    Stream(StreamError),
    /// The pad itself cannot continue.
    Pad(Failure),
}

impl From<StreamError> for Stop {
    fn from(end: StreamError) -> Self {
        Self::Stream(end)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Pad(failure)
    }
}

impl PadClient {
    pub(super) fn new(connector: Connector, screen: Screen) -> Self {
        Self { connector, progress: Progress::new(), screen }
    }

    /// Shows the store's events until it is dropped.
    ///
    /// # Errors
    /// The pad was refused, or its output cannot be written.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::new(RETRY);
        loop {
            let stop = match self.connector.open(self.progress.request()).await {
                Ok(opened) => {
                    backoff.reset();
                    self.follow(opened).await
                }
                Err(end) => Stop::Stream(end),
            };
            let why = match stop {
                Stop::Pad(failure) => return Err(failure),
                Stop::Stream(StreamError::Refused(why)) => {
                    return Err(Failure::other(self.connector.endpoint(), why));
                }
                Stop::Stream(StreamError::Lost(why)) => why,
            };
            let pause = backoff.delay();
            remark(format!(
                "{}: {why}; trying again in {:.1} s",
                self.connector.endpoint(),
                pause.as_secs_f64()
            ));
            sleep(pause).await;
        }
    }

    /// Reads a stream, and the one it hands over to, to the end.
    async fn follow(&mut self, opened: OpenStream) -> Stop {
        let OpenStream { mut stream, first } = opened;
        let mut successor: Option<Successor> = None;
        let mut next = Ok(first);
        loop {
            match next.map_err(Stop::from).and_then(|message| self.take(&mut stream, message)) {
                Ok(None) => {}
                Ok(Some(reconnect)) => {
                    remark(format!("{}: asks for a new connection; opening it", self.connector.endpoint()));
                    successor =
                        Some(Box::pin(move_on(self.connector.clone(), self.progress.request(), reconnect)));
                }
                // A replica that leaves may end this stream a moment before the next one is there.
                Err(Stop::Stream(StreamError::Lost(why))) if successor.is_some() => {
                    match timeout(HANDOVER, hand_over(&mut successor)).await {
                        Ok(Ok(opened)) => {
                            stream = opened.stream;
                            next = Ok(opened.first);
                            continue;
                        }
                        Ok(Err(end)) => return Stop::Stream(end),
                        // The next stream is between two tries: this is a lost stream like any other.
                        Err(_) => return Stop::Stream(StreamError::Lost(why)),
                    }
                }
                Err(stop) => return stop,
            }
            next = tokio::select! {
                message = stream.next() => message,
                opened = hand_over(&mut successor) => match opened {
                    Ok(opened) => {
                        stream = opened.stream;
                        Ok(opened.first)
                    }
                    Err(end) => {
                        // A refusal of the next stream does not end this one.
                        remark(format!("{}: {end}; reading on until this stream ends", self.connector.endpoint()));
                        stream.next().await
                    }
                },
            };
        }
    }

    /// Shows a message unless the pad has it. Returns the server's request to connect again, if the message is one.
    fn take(
        &mut self,
        stream: &mut EventStream,
        message: SubscribeResponse,
    ) -> Result<Option<Reconnect>, Stop> {
        match self.progress.take(&mut stream.cursor, &message) {
            Ok(Novelty::New) => self.screen.show(&message)?,
            Ok(Novelty::Repeated) => {}
            Err(violation) => return Err(Stop::Stream(StreamError::Lost(violation.to_string()))),
        }
        match message.event {
            Some(Event::Reconnect(reconnect)) => Ok(Some(reconnect)),
            _ => Ok(None),
        }
    }
}

/// Waits for the successor, if there is one, and takes it.
async fn hand_over(successor: &mut Option<Successor>) -> Result<OpenStream, StreamError> {
    let Some(opening) = successor else {
        return pending().await;
    };
    let opened = opening.await;
    *successor = None;
    opened
}

/// Opens the next stream after the delay that the server asks for, however often that takes. It begins where the pad
/// is now; what the old stream brings until then comes twice, and is shown once.
async fn move_on(
    connector: Connector,
    request: SubscribeRequest,
    reconnect: Reconnect,
) -> Result<OpenStream, StreamError> {
    let delay = reconnect.after.and_then(|after| Duration::try_from(after).ok()).unwrap_or_default();
    sleep(delay.min(LONGEST_DELAY)).await;
    let mut backoff = Backoff::new(RETRY);
    loop {
        match connector.open(request.clone()).await {
            Err(StreamError::Lost(_)) => backoff.wait().await,
            settled => return settled,
        }
    }
}
