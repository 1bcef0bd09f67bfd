//! A fair queue for something that only a few can use at the same time: a request waits behind the other requests of its key,
//! and never behind all requests of another key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A cloneable queue. Only a few requests of each key are in it, the others wait behind those: so a key with a thousand
/// requests delays another key by a few turns.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    per_key: usize,
    /// The keys with requests.
    keys: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// One turn; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_all: Option<OwnedSemaphorePermit>,
    _of_key: Option<OwnedSemaphorePermit>,
    _request: Request,
}

/// A request of a key, to the end of its turn.
#[derive(Debug)]
struct Request {
    turns: Arc<Inner>,
    key: Box<str>,
    own: Option<Arc<Semaphore>>,
}

/// How many turns there are at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Concurrency {
    /// Of all keys.
    pub all: usize,
    /// Of one key, at most.
    pub per_key: usize,
}

impl Turns {
    /// No turn is taken yet.
    pub fn new(Concurrency { all, per_key }: Concurrency) -> Self {
        Self(Arc::new(Inner { all: Arc::new(Semaphore::new(all)), per_key, keys: Mutex::default() }))
    }

    /// Waits for a turn of `key`. First come, first served, both among the requests of a key and among the keys.
    pub async fn wait(&self, key: &str) -> Turn {
        let own = {
            let mut keys = self.0.keys();
            match keys.get(key) {
                Some(own) => own.clone(),
                None => {
                    keys.entry(key.into()).or_insert_with(|| Arc::new(Semaphore::new(self.0.per_key))).clone()
                }
            }
        };
        let request = Request { turns: self.0.clone(), key: key.into(), own: Some(own.clone()) };
        // `acquire_owned` fails only for a closed semaphore, and neither is ever closed.
        let of_key = own.acquire_owned().await.ok();
        let of_all = self.0.all.clone().acquire_owned().await.ok();
        Turn { _of_all: of_all, _of_key: of_key, _request: request }
    }
}

impl Inner {
    fn keys(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Semaphore>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut keys = self.turns.keys();
        self.own = None;
        // Clones are made only under the lock, so with one left this was the key's last request.
        if keys.get(&self.key).is_some_and(|own| Arc::strong_count(own) == 1) {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::BoxFuture};

    use super::*;

    fn asks<'a>(turns: &'a Turns, key: &'a str) -> BoxFuture<'a, Turn> {
        turns.wait(key).boxed()
    }

    #[tokio::test]
    async fn a_key_with_very_many_requests_delays_another_key_by_one_turn() {
        let turns = Turns::new(Concurrency { all: 2, per_key: 1 });
        let first = turns.wait("flood").await;
        let mut flood: Vec<_> = (0..200).map(|_| asks(&turns, "flood")).collect();
        assert!(flood.iter_mut().all(|waiting| waiting.now_or_never().is_none()), "it has its one turn");
        let others = turns.wait("other").await;
        let mut third = asks(&turns, "third");
        assert!((&mut third).now_or_never().is_none(), "there are two turns in all");
        drop(first);
        // The next request of the flood joined the queue of all keys after the third key's.
        let third = third.now_or_never();
        assert!(third.is_some());
        drop((others, third));
        for waiting in flood {
            drop(waiting.await);
        }
        assert!(turns.0.keys().is_empty(), "a key without requests is forgotten");
    }

    #[tokio::test]
    async fn a_request_that_gives_up_is_forgotten() {
        let turns = Turns::new(Concurrency { all: 1, per_key: 1 });
        let held = turns.wait("a").await;
        let mut waiting = [asks(&turns, "a"), asks(&turns, "b"), asks(&turns, "b")];
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        drop(waiting);
        assert_eq!(turns.0.keys().len(), 1);
        drop(held);
        assert!(turns.0.keys().is_empty());
        assert!(turns.wait("b").now_or_never().is_some());
    }
}
