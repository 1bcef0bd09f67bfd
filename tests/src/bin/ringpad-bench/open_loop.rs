//! An open loop: what is due is due, however slow the answers are. A latency counts from when its call was due.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// Calls that are due and not yet begun; far more than ever wait in a system that keeps up.
const DUE: usize = 16_384;

/// A call that is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// 0, 1, 2 …
    pub(crate) number: usize,
    /// When.
    pub(crate) at: Instant,
}

/// `calls` calls at `rate` a second. Kept by a thread of its own: an async runtime's timers tick in milliseconds.
pub(crate) fn schedule(rate: u32, calls: usize) -> mpsc::Receiver<Due> {
    let (sender, receiver) = mpsc::channel(DUE);
    // It ends with the last call, or when nobody takes them any more.
    thread::spawn(move || {
        let begun = Instant::now() + Duration::from_millis(50);
        for number in 0..calls {
            let at = begun + Duration::from_secs(1) * u32::try_from(number).unwrap_or(u32::MAX) / rate;
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.blocking_send(Due { number, at }).is_err() {
                return;
            }
        }
    });
    receiver
}
