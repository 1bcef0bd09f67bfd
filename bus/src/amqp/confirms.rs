//! What became of each message of one publisher: a task that matches the broker's answers to the messages.
//!
//! ```text
//! send ──Pending──► [ unanswered ] ──ack, nack, return──► PendingOutcome
//!                        ▲ connection events: lost ──► everything is lost, at once
//! ```
//!
//! The broker returns an unroutable message before it acknowledges it, and lapin hands the return to whichever confirm
//! it completes next, which need not be the same message's: not when earlier ones are still to be acknowledged, nor when
//! one acknowledgement stands for many. So a return is matched by the number in its body, and no message counts as
//! delivered before all that lapin may have completed by then has been looked at; that includes a message which is just
//! being sent, and not here yet.

use std::{
    collections::{HashSet, VecDeque},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream::FuturesUnordered};
use lapin::{Confirmation, ErrorKind, Event, PublisherConfirm, message::BasicReturnMessage};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{envelope::Batch, error::Loss, message::PublishOutcome};

/// A message that the broker has not answered.
pub(super) struct Pending {
    number: u64,
    confirm: PublisherConfirm,
    answer: oneshot::Sender<Result<PublishOutcome, Loss>>,
}

/// A message's outcome, once there is one.
#[derive(Debug)]
pub(crate) struct PendingOutcome {
    answer: oneshot::Receiver<Result<PublishOutcome, Loss>>,
    lost: watch::Receiver<Option<Loss>>,
}

/// A message that the broker has answered.
struct Answered {
    number: u64,
    confirmation: Confirmation,
    answer: oneshot::Sender<Result<PublishOutcome, Loss>>,
}

impl Pending {
    pub(super) fn new(
        number: u64,
        confirm: PublisherConfirm,
        lost: watch::Receiver<Option<Loss>>,
    ) -> (Self, PendingOutcome) {
        let (sender, answer) = oneshot::channel();
        (Self { number, confirm, answer: sender }, PendingOutcome { answer, lost })
    }

    async fn answered(self) -> lapin::Result<Answered> {
        Ok(Answered { number: self.number, confirmation: self.confirm.await?, answer: self.answer })
    }
}

impl Future for PendingOutcome {
    type Output = Result<PublishOutcome, Loss>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(context);
        answer.map(|answer| answer.unwrap_or_else(|_| Err(reason(&self.lost))))
    }
}

/// Runs until the connection is lost; its owner aborts it earlier. `losing` is then told why. `begun`: the number of the
/// last message whose sending has begun.
pub(super) async fn run(
    events: impl Stream<Item = Event>,
    begun: Arc<AtomicU64>,
    mut sent: mpsc::Receiver<Pending>,
    losing: watch::Sender<Option<Loss>>,
) {
    let mut events = pin!(events);
    let mut unanswered = FuturesUnordered::new();
    let mut answers = Answers { begun, handed_over: 0, returned: HashSet::new(), held: VecDeque::new() };
    let lost = loop {
        let mut noted = tokio::select! {
            biased;
            Some(event) = events.next() => heed(event),
            Some(message) = sent.recv() => {
                answers.handed_over = message.number;
                unanswered.push(message.answered());
                Ok(())
            }
            Some(answered) = unanswered.next() => answers.note(answered),
            else => return,
        };
        while let (Ok(()), Some(Some(answered))) = (&noted, unanswered.next().now_or_never()) {
            noted = answers.note(answered);
        }
        match noted {
            Ok(()) => answers.tell(),
            Err(lost) => break lost,
        }
    };
    // Before the answers are dropped: whoever waits for one looks here.
    losing.send_replace(Some(lost));
}

/// The broker's answers, until it is certain what they mean.
struct Answers {
    begun: Arc<AtomicU64>,
    /// The last message that `unanswered` has heard of.
    handed_over: u64,
    /// The numbers of returned messages.
    returned: HashSet<u64>,
    held: VecDeque<Held>,
}

/// An answer that may yet prove to be another message's.
struct Held {
    /// The last message that was begun by then: once it is handed over, and what is complete has been noted, all is known.
    until: u64,
    number: u64,
    routed: PublishOutcome,
    answer: oneshot::Sender<Result<PublishOutcome, Loss>>,
}

impl Answers {
    fn note(&mut self, answered: lapin::Result<Answered>) -> Result<(), Loss> {
        let Answered { number, confirmation, answer } = answered.map_err(|error| broken(&error))?;
        let routed = match &confirmation {
            Confirmation::Ack(_) => PublishOutcome::Delivered,
            Confirmation::Nack(_) | Confirmation::NotRequested => PublishOutcome::Refused,
        };
        if let Some(back) = confirmation.take_message() {
            self.returned.insert(returned_number(back).unwrap_or(number));
        }
        self.held.push_back(Held { until: self.begun.load(Ordering::Acquire), number, routed, answer });
        Ok(())
    }

    /// Tells what is certain.
    fn tell(&mut self) {
        while let Some(held) = self.held.pop_front_if(|held| held.until <= self.handed_over) {
            let routed =
                if self.returned.remove(&held.number) { PublishOutcome::NoRoute } else { held.routed };
            // An error says that the caller does not want to know.
            drop(held.answer.send(Ok(routed)));
        }
    }
}

fn heed(event: Event) -> Result<(), Loss> {
    match event {
        Event::Error(error) => return Err(broken(&error)),
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(reason, "the broker takes no messages for now; they wait");
        }
        Event::ConnectionUnblocked => tracing::info!("the broker takes messages again"),
        _ => {}
    }
    Ok(())
}

fn returned_number(returned: BasicReturnMessage) -> Option<u64> {
    Batch::decode(Bytes::from(returned.delivery.data)).ok().map(|batch| batch.head.number)
}

pub(super) fn broken(error: &lapin::Error) -> Loss {
    match error.kind() {
        ErrorKind::ProtocolError(said) => largest_message(said.get_message().as_str())
            .map_or_else(|| Loss::Connection(Arc::from(error.to_string())), |limit| Loss::TooLarge { limit }),
        _ => Loss::Connection(Arc::from(error.to_string())),
    }
}

/// Reads the limit out of the broker's `PRECONDITION_FAILED - message size 24000000 is larger than configured max size
/// 16777216`.
fn largest_message(said: &str) -> Option<usize> {
    let (_, refusal) = said.split_once("message size ")?;
    refusal.rsplit_once("max size ")?.1.trim().parse().ok()
}

/// Why it was lost: what the task was told first, else that it was closed.
pub(super) fn reason(lost: &watch::Receiver<Option<Loss>>) -> Loss {
    lost.borrow().clone().unwrap_or_else(closed)
}

/// Loss by our own doing.
pub(super) fn closed() -> Loss {
    Loss::Connection("it was closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_refusal_names_its_limit() {
        for said in [
            "PRECONDITION_FAILED - message size 24000000 is larger than configured max size 16777216",
            "PRECONDITION_FAILED - message size 24000000 is larger than max size 16777216",
        ] {
            assert_eq!(largest_message(said), Some(16_777_216));
        }
        for said in
            ["PRECONDITION_FAILED - unknown delivery tag 7", "message size 7 is larger than max size x"]
        {
            assert_eq!(largest_message(said), None);
        }
    }
}
