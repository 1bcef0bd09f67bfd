//! Waiting for values, with a bound. A test never sleeps to prove something: it asks until the value is there.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

/// How long a test waits for what should come at once. Long, since CI machines are slow; only a failure takes it.
pub const SOON: Duration = Duration::from_secs(20);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until there is a value.
///
/// # Panics
/// There is none after `bound`; `what` then names it.
pub async fn until<T>(what: &str, bound: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(begun.elapsed() < bound, "waited {bound:?} in vain: {what}");
        sleep(PAUSE).await;
    }
}

/// Waits for one thing that comes by itself.
///
/// # Panics
/// It has not come after `bound`; `what` then names it.
pub async fn within<T>(what: &str, bound: Duration, coming: impl Future<Output = T>) -> T {
    timeout(bound, coming).await.unwrap_or_else(|_| panic!("waited {bound:?} in vain: {what}"))
}

/// The value of a result that must be one.
///
/// # Panics
/// It is an error; `what` and the error are then said.
pub fn must<T, E: Debug>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}
