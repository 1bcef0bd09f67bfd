//! Waiting for values, with a bound. A test never sleeps to prove something: it asks until the value is there.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

/// How long a test waits for something that should come soon. Long, since CI machines are slow; only a failure takes so long.
pub const SOON: Duration = Duration::from_secs(20);

/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `look` again and again until it has a value.
///
/// # Panics
/// There is none after `bound`; `what` then names it.
pub async fn until<T>(what: &str, bound: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(begun.elapsed() < bound, "waited {bound:?}, and it did not happen: {what}");
        sleep(PAUSE).await;
    }
}

/// Waits for a future.
///
/// # Panics
/// It is not ready after `bound`; `what` then names it.
pub async fn within<T>(what: &str, bound: Duration, future: impl Future<Output = T>) -> T {
    timeout(bound, future).await.unwrap_or_else(|_| panic!("waited {bound:?}, and it did not happen: {what}"))
}

/// The value of a result that must be one.
///
/// # Panics
/// It is an error; the message has `what` and the error.
pub fn must<T, E: Debug>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}
