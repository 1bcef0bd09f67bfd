//! What became of each message of one publisher: a task that matches the broker's answers to the messages.
//!
//! ```text
//! send ──Pending──► [ unanswered ] ──ack, nack, return──► Promised
//!                        ▲ connection events: lost ──► everything is lost, at once
//! ```
//!
//! The broker returns an unroutable message before it acknowledges it, and lapin hands the return to whichever confirm
//! it completes next, which need not be the same message's: not when earlier ones are still to be acknowledged, nor when
//! one acknowledgement stands for many. So a return is matched by the number in its body, once all that lapin has
//! completed so far is on the table. A message that is just being handed over is not on it yet; should it carry
//! another's return in that moment, the other counts as delivered. It went to no queue because there was none, and
//! whoever makes one compares with the log.

use std::{
    collections::HashSet,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{FusedStream, FuturesUnordered},
};
use lapin::{Confirmation, Event, PublisherConfirm, message::BasicReturnMessage};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{envelope::Batch, error::Lost, publisher::Routed};

/// A message that the broker has not answered.
pub(super) struct Pending {
    number: u64,
    confirm: PublisherConfirm,
    answer: oneshot::Sender<Result<Routed, Lost>>,
}

/// A message's outcome, once there is one.
#[derive(Debug)]
pub(crate) struct Promised {
    answer: oneshot::Receiver<Result<Routed, Lost>>,
    lost: watch::Receiver<Option<Lost>>,
}

/// A message that the broker has answered.
struct Answered {
    number: u64,
    confirmation: lapin::Result<Confirmation>,
    answer: oneshot::Sender<Result<Routed, Lost>>,
}

impl Pending {
    pub(super) fn new(
        number: u64,
        confirm: PublisherConfirm,
        lost: watch::Receiver<Option<Lost>>,
    ) -> (Self, Promised) {
        let (sender, answer) = oneshot::channel();
        (Self { number, confirm, answer: sender }, Promised { answer, lost })
    }

    async fn answered(self) -> Answered {
        Answered { number: self.number, confirmation: self.confirm.await, answer: self.answer }
    }
}

impl Future for Promised {
    type Output = Result<Routed, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(context);
        answer.map(|answer| answer.unwrap_or_else(|_| Err(reason(&self.lost))))
    }
}

/// Runs until the connection is lost; its owner aborts it earlier. `losing` is then told why.
pub(super) async fn run(
    events: impl Stream<Item = Event>,
    mut sent: mpsc::Receiver<Pending>,
    losing: watch::Sender<Option<Lost>>,
) {
    let mut events = pin!(events.fuse());
    let mut unanswered = FuturesUnordered::new();
    let mut returned = HashSet::new();
    let lost = loop {
        tokio::select! {
            biased;
            Some(event) = events.next(), if !events.is_terminated() => if let Some(lost) = heed(event) {
                break lost;
            },
            Some(message) = sent.recv() => unanswered.push(message.answered()),
            Some(first) = unanswered.next() => {
                let mut answered = vec![first];
                while let Some(Some(next)) = unanswered.next().now_or_never() {
                    answered.push(next);
                }
                if let Err(lost) = settle(answered, &mut returned) {
                    break lost;
                }
            }
            else => return,
        }
    };
    // Before the answers are dropped: whoever waits for one looks here.
    losing.send_replace(Some(lost));
}

fn heed(event: Event) -> Option<Lost> {
    match event {
        Event::Error(error) => return Some(broken(&error)),
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(reason, "the broker takes no messages for now; they wait");
        }
        Event::ConnectionUnblocked => tracing::info!("the broker takes messages again"),
        _ => {}
    }
    None
}

/// Tells each message its outcome.
fn settle(mut answered: Vec<Answered>, returned: &mut HashSet<u64>) -> Result<(), Lost> {
    for message in &mut answered {
        if let Ok(Confirmation::Ack(back @ Some(_)) | Confirmation::Nack(back @ Some(_))) =
            &mut message.confirmation
        {
            returned.extend(back.take().map(|back| number(back).unwrap_or(message.number)));
        }
    }
    let mut result = Ok(());
    for Answered { number, confirmation, answer } in answered {
        let outcome = match confirmation {
            _ if returned.remove(&number) => Ok(Routed::NoRoute),
            Ok(Confirmation::Ack(_)) => Ok(Routed::Delivered),
            Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => Ok(Routed::Refused),
            Err(error) => Err(broken(&error)),
        };
        if let Err(lost) = &outcome {
            result = Err(lost.clone());
        }
        // Nobody waits for it any more: the caller's own choice.
        drop(answer.send(outcome));
    }
    result
}

fn number(returned: BasicReturnMessage) -> Option<u64> {
    Batch::decode(Bytes::from(returned.delivery.data)).ok().map(|batch| batch.number)
}

pub(super) fn broken(error: &lapin::Error) -> Lost {
    Lost::Connection(Arc::from(error.to_string()))
}

/// Why it was lost: what the task was told first, else that it was closed.
pub(super) fn reason(lost: &watch::Receiver<Option<Lost>>) -> Lost {
    lost.borrow().clone().unwrap_or_else(closed)
}

/// Lost by our own doing.
pub(super) fn closed() -> Lost {
    Lost::Connection("it was closed".into())
}
