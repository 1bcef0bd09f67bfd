//! Asks the log in one request about the stores of many pads. After the loss of a replica thousands of pads come back within a
//! second: a request for each would cost both services more than all the rest of their return.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ringpad_proto::v1::{StoreCursor, StoreEvents};
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::{Events, LogClientError};
use crate::hub::Completeness;

/// Requests at the same time. The first pads do not wait for others, and one instance that does not answer does not stop all.
const REQUESTS: usize = 4;

/// The cursors of pads that wait for the next request. Those of one request come from the pads that may ask the log at a
/// time.
pub(super) struct Batches {
    waiting: Mutex<Vec<Waiting>>,
    requests: Semaphore,
}

struct Waiting {
    cursor: StoreCursor,
    answer: oneshot::Sender<Result<Answer, LogClientError>>,
}

/// The log's answer about one store.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) epoch: Uuid,
    pub(super) events: StoreEvents,
    /// Of the whole request.
    pub(super) completeness: Completeness,
}

impl Default for Batches {
    fn default() -> Self {
        Self::new(REQUESTS)
    }
}

impl Batches {
    fn new(requests: usize) -> Self {
        Self { waiting: Mutex::default(), requests: Semaphore::new(requests) }
    }

    /// Asks about a store. The pad whose turn it is reads for all that wait, with `read`.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn ask<F>(
        &self,
        cursor: &StoreCursor,
        read: impl Fn(Vec<StoreCursor>) -> F,
    ) -> Result<Answer, LogClientError>
    where
        F: Future<Output = Result<Events, LogClientError>>,
    {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting().push(Waiting { cursor: cursor.clone(), answer });
            let answered = tokio::select! {
                biased;
                answered = &mut answered => answered,
                permit = self.requests.acquire() => {
                    self.ask_for_all(&read).await;
                    // Another pad may be asking for this one.
                    drop(permit);
                    answered.await
                }
            };
            // Without an answer, the pad that read for this one has left.
            if let Ok(answer) = answered {
                return answer;
            }
        }
    }

    async fn ask_for_all<F>(&self, read: impl Fn(Vec<StoreCursor>) -> F)
    where
        F: Future<Output = Result<Events, LogClientError>>,
    {
        let mut waiting = std::mem::take(&mut *self.waiting());
        waiting.retain(|waiting| !waiting.answer.is_closed());
        if waiting.is_empty() {
            return;
        }
        let (cursors, pads): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|Waiting { cursor, answer }| (cursor, answer)).unzip();
        let (mut stores, answer) = match read(cursors).await {
            Ok(Events { epoch, stores, completeness }) => {
                (stores.into_iter(), Ok(move |events| Answer { epoch, events, completeness }))
            }
            Err(error) => (Vec::new().into_iter(), Err(error)),
        };
        for pad in pads {
            let missing = LogClientError::Unexpected("no store in the answer");
            let answer = answer.clone().and_then(|answer| stores.next().map(answer).ok_or(missing));
            // A pad that has left needs none.
            pad.send(answer).ok();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // Nothing in here panics.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::mpsc;

    use super::*;

    /// A log: each request, and where its answer goes.
    type Requests = mpsc::UnboundedReceiver<(Vec<String>, oneshot::Sender<Result<Events, LogClientError>>)>;

    /// A function that reads from a log.
    fn log() -> (
        impl Fn(Vec<StoreCursor>) -> futures_util::future::BoxFuture<'static, Result<Events, LogClientError>>,
        Requests,
    ) {
        let (requests, log) = mpsc::unbounded_channel();
        let read = move |cursors: Vec<StoreCursor>| {
            let (answer, answered) = oneshot::channel();
            let stores = cursors.into_iter().map(|cursor| cursor.store_id).collect();
            requests.send((stores, answer)).unwrap();
            async move { answered.await.unwrap() }.boxed()
        };
        (read, log)
    }

    fn cursor(store: &str) -> StoreCursor {
        StoreCursor { store_id: store.to_owned(), after_position: 0 }
    }

    fn events(stores: &[String]) -> Result<Events, LogClientError> {
        let stores =
            stores.iter().map(|store| StoreEvents { store_id: store.clone(), ..StoreEvents::default() });
        Ok(Events { epoch: Uuid::nil(), stores: stores.collect(), completeness: Completeness::Complete })
    }

    #[tokio::test]
    async fn pads_that_wait_are_asked_for_together_and_each_gets_its_own_answer() {
        let (batches, (read, mut log)) = (Batches::new(1), log());
        let (a, b, c) = (cursor("a"), cursor("b"), cursor("c"));
        let mut first = Box::pin(batches.ask(&a, &read));
        assert!((&mut first).now_or_never().is_none());
        let others = [&b, &c, &b].map(|cursor| batches.ask(cursor, &read));
        let mut others = Box::pin(join_all(others));
        assert!((&mut others).now_or_never().is_none());
        let (stores, answer) = log.try_recv().unwrap();
        assert_eq!(stores, ["a"]);
        assert!(log.try_recv().is_err(), "the others wait");
        answer.send(events(&stores)).unwrap();
        assert_eq!(first.await.unwrap().events.store_id, "a");
        assert!((&mut others).now_or_never().is_none());
        let (stores, answer) = log.try_recv().unwrap();
        assert_eq!(stores, ["b", "c", "b"]);
        answer.send(events(&stores)).unwrap();
        let answers: Vec<_> =
            others.await.into_iter().map(|answer| answer.unwrap().events.store_id).collect();
        assert_eq!(answers, ["b", "c", "b"]);
    }

    #[tokio::test]
    async fn a_pad_that_another_one_reads_for_keeps_no_further_pad_waiting() {
        let (batches, (read, mut log)) = (Batches::new(2), log());
        let (b, c, d) = (cursor("b"), cursor("c"), cursor("d"));
        let (one, other) =
            (batches.requests.acquire().await.unwrap(), batches.requests.acquire().await.unwrap());
        let (mut reads, mut waits) = (Box::pin(batches.ask(&b, &read)), Box::pin(batches.ask(&c, &read)));
        assert!((&mut reads).now_or_never().is_none());
        assert!((&mut waits).now_or_never().is_none());
        drop(one);
        assert!((&mut reads).now_or_never().is_none());
        drop(other);
        assert!((&mut waits).now_or_never().is_none());
        assert_eq!(log.try_recv().unwrap().0, ["b", "c"]);
        assert!(batches.ask(&d, &read).now_or_never().is_none());
        assert_eq!(log.try_recv().unwrap().0, ["d"]);
    }

    #[tokio::test]
    async fn when_the_pad_that_reads_for_others_leaves_they_ask_again() {
        let (batches, (read, mut log)) = (Batches::new(1), log());
        let (a, b, c) = (cursor("a"), cursor("b"), cursor("c"));
        let mut first = Box::pin(batches.ask(&a, &read));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(batches.ask(&b, &read));
        assert!((&mut second).now_or_never().is_none());
        let mut third = Box::pin(batches.ask(&c, &read));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        assert!((&mut third).now_or_never().is_none());
        let requests: Vec<_> = std::iter::from_fn(|| log.try_recv().ok()).collect();
        let asked: Vec<_> = requests.iter().map(|(stores, _)| stores.join(" ")).collect();
        assert_eq!(asked, ["a", "b c", "c"]);
        let (stores, answer) = requests.into_iter().next_back().unwrap();
        answer.send(events(&stores)).unwrap();
        assert_eq!(third.await.unwrap().events.store_id, "c");
        assert!(batches.waiting().is_empty());
    }

    #[tokio::test]
    async fn an_error_is_the_answer_to_all_and_a_store_without_an_answer_is_one() {
        for (answered, expected) in [
            (Err(LogClientError::Unexpected("broken")), ["unexpected answer: broken"; 2]),
            (events(&[]), ["unexpected answer: no store in the answer"; 2]),
        ] {
            let (batches, (read, mut log)) = (Batches::new(1), log());
            let held = batches.requests.acquire().await.unwrap();
            let (a, b) = (cursor("a"), cursor("b"));
            let mut both = Box::pin(join_all([batches.ask(&a, &read), batches.ask(&b, &read)]));
            assert!((&mut both).now_or_never().is_none());
            drop(held);
            assert!((&mut both).now_or_never().is_none());
            log.try_recv().unwrap().1.send(answered).unwrap();
            let said: Vec<_> = both.await.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
            assert_eq!(said, expected);
        }
    }
}
