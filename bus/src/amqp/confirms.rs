//! The outcome of each message of one publisher: a task that matches the broker's answers to the messages.
//!
//! ```text
//! send ──Unanswered──► [ unanswered ] ──ack, nack, return──► PendingOutcome
//!                           ▲ connection events: a loss ends all pending outcomes at once
//! ```
//!
//! The broker returns an unroutable message before it acknowledges it. lapin passes the returned message to the confirm
//! that it completes next, which may belong to another message: when earlier messages are not acknowledged yet, or when one
//! acknowledgement is for many. So a returned message is matched by the number in its body, and no message counts as
//! delivered until everything that lapin may have completed by then has been read. That includes a message which is being
//! sent at that moment, and has not reached this task.

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
pub(super) struct Unanswered {
    number: u64,
    confirm: PublisherConfirm,
    answer: oneshot::Sender<Result<PublishOutcome, Loss>>,
}

/// Resolves to the outcome of a message.
#[derive(Debug)]
pub(crate) struct PendingOutcome {
    answer: oneshot::Receiver<Result<PublishOutcome, Loss>>,
    lost: watch::Receiver<Option<Loss>>,
}

/// A message that the broker has answered.
struct BrokerAnswer {
    number: u64,
    confirmation: Confirmation,
    answer: oneshot::Sender<Result<PublishOutcome, Loss>>,
}

impl Unanswered {
    pub(super) fn new(
        number: u64,
        confirm: PublisherConfirm,
        lost: watch::Receiver<Option<Loss>>,
    ) -> (Self, PendingOutcome) {
        let (sender, answer) = oneshot::channel();
        (Self { number, confirm, answer: sender }, PendingOutcome { answer, lost })
    }

    async fn answered(self) -> lapin::Result<BrokerAnswer> {
        Ok(BrokerAnswer { number: self.number, confirmation: self.confirm.await?, answer: self.answer })
    }
}

impl Future for PendingOutcome {
    type Output = Result<PublishOutcome, Loss>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(context);
        answer.map(|answer| answer.unwrap_or_else(|_| Err(reason(&self.lost))))
    }
}

/// Runs until the connection is lost, and then sends the reason to `losing`; its owner may abort it earlier. `begun` is the
/// number of the last message that was begun to be sent.
pub(super) async fn run(
    events: impl Stream<Item = Event>,
    begun: Arc<AtomicU64>,
    mut sent: mpsc::Receiver<Unanswered>,
    losing: watch::Sender<Option<Loss>>,
) {
    let mut events = pin!(events);
    let mut unanswered = FuturesUnordered::new();
    let mut answers = Answers { begun, taken_over: 0, returned: HashSet::new(), held: VecDeque::new() };
    let lost = loop {
        let mut noted = tokio::select! {
            biased;
            Some(event) = events.next() => check(event),
            Some(message) = sent.recv() => {
                answers.taken_over = message.number;
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
            Ok(()) => answers.send_certain(),
            Err(lost) => break lost,
        }
    };
    // Before the answers are dropped, because a pending outcome then reads the reason here.
    losing.send_replace(Some(lost));
}

/// The broker's answers that are not certain yet.
struct Answers {
    begun: Arc<AtomicU64>,
    /// The number of the last message that reached this task.
    taken_over: u64,
    /// The numbers of returned messages.
    returned: HashSet<u64>,
    held: VecDeque<UncertainAnswer>,
}

/// An answer that is not certain yet: the returned message that shows it to be wrong may follow.
struct UncertainAnswer {
    /// The last message that was begun by then. When it has reached this task, and all completed answers have been read, the
    /// answer is certain.
    until: u64,
    number: u64,
    routed: PublishOutcome,
    answer: oneshot::Sender<Result<PublishOutcome, Loss>>,
}

impl Answers {
    fn note(&mut self, answered: lapin::Result<BrokerAnswer>) -> Result<(), Loss> {
        let BrokerAnswer { number, confirmation, answer } = answered.map_err(|error| broken(&error))?;
        let routed = match &confirmation {
            Confirmation::Ack(_) => PublishOutcome::Delivered,
            Confirmation::Nack(_) | Confirmation::NotRequested => PublishOutcome::Refused,
        };
        if let Some(returned) = confirmation.take_message() {
            self.returned.insert(returned_number(returned).unwrap_or(number));
        }
        self.held.push_back(UncertainAnswer {
            until: self.begun.load(Ordering::Acquire),
            number,
            routed,
            answer,
        });
        Ok(())
    }

    /// Sends the answers that are certain.
    fn send_certain(&mut self) {
        while let Some(held) = self.held.pop_front_if(|held| held.until <= self.taken_over) {
            let routed =
                if self.returned.remove(&held.number) { PublishOutcome::NoRoute } else { held.routed };
            // It fails if the caller has dropped the pending outcome.
            drop(held.answer.send(Ok(routed)));
        }
    }
}

fn check(event: Event) -> Result<(), Loss> {
    match event {
        Event::Error(error) => return Err(broken(&error)),
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(reason, "the broker blocks publishers for now; messages wait");
        }
        Event::ConnectionUnblocked => tracing::info!("the broker accepts messages again"),
        _ => {}
    }
    Ok(())
}

fn returned_number(returned: BasicReturnMessage) -> Option<u64> {
    Batch::decode(Bytes::from(returned.delivery.data)).ok().map(|batch| batch.head.number)
}

pub(super) fn broken(error: &lapin::Error) -> Loss {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => largest_message(refusal.get_message().as_str())
            .map_or_else(|| Loss::Connection(Some(error.clone())), |limit| Loss::TooLarge { limit }),
        _ => Loss::Connection(Some(error.clone())),
    }
}

/// Reads the limit out of the broker's `PRECONDITION_FAILED - message size 24000000 is larger than configured max size
/// 16777216`.
fn largest_message(refusal: &str) -> Option<usize> {
    let (_, sizes) = refusal.split_once("message size ")?;
    sizes.rsplit_once("max size ")?.1.trim().parse().ok()
}

/// Why the connection was lost: the first reason that the task got, or that the connection was closed.
pub(super) fn reason(lost: &watch::Receiver<Option<Loss>>) -> Loss {
    lost.borrow().clone().unwrap_or(Loss::Connection(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_refusal_names_its_limit() {
        for refusal in [
            "PRECONDITION_FAILED - message size 24000000 is larger than configured max size 16777216",
            "PRECONDITION_FAILED - message size 24000000 is larger than max size 16777216",
        ] {
            assert_eq!(largest_message(refusal), Some(16_777_216));
        }
        for refusal in
            ["PRECONDITION_FAILED - unknown delivery tag 7", "message size 7 is larger than max size x"]
        {
            assert_eq!(largest_message(refusal), None);
        }
    }
}
