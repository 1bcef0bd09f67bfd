//! Changes a stream before it reaches the pad, as a faulty hub or log would, to check the checker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ringpad_proto::v1::Update;

/// The fault of a hub or of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// One update in a thousand is not sent.
    Drop,
    /// One update of the whole run is sent twice.
    Twice,
    /// Two updates of the whole run are swapped.
    Swap,
    /// One update of the whole run, and all that follows it on its stream, is five seconds late.
    Late,
    /// A call that has a note has no claim any more.
    Unclaim,
    /// For the whole run, a flush of the log's disk does nothing and succeeds.
    LyingDisk,
    /// A commit of the primary does not wait for its standby, which hears of each two seconds late.
    AsynchronousStandby,
    /// nginx knows the first ingest-svc alone.
    OneUpstream,
}

/// The updates between two that are dropped.
const EACH: u64 = 1_000;
/// How late that update is.
const LATE: Duration = Duration::from_secs(5);
/// The number of that update.
const ONE: u64 = 400;

/// The changes of one stream; the updates of all pads are counted together.
#[derive(Debug, Clone, Default)]
pub(super) struct Tamper {
    tampering: Option<Tampering>,
    count: Arc<AtomicU64>,
    /// Whether an update was late already.
    was_late: Arc<AtomicBool>,
    held: Option<Update>,
}

impl Tamper {
    pub(super) fn new(tampering: Option<Tampering>) -> Self {
        Self { tampering, ..Self::default() }
    }

    /// How long an update has to wait.
    pub(super) fn hold_up(&self) -> Duration {
        // Several pads may read the same count, and none may read exactly `ONE`: the first one at or after it waits.
        let is_the_one = self.tampering == Some(Tampering::Late)
            && self.count.load(Ordering::Relaxed) + 1 >= ONE
            && !self.was_late.swap(true, Ordering::Relaxed);
        if is_the_one { LATE } else { Duration::ZERO }
    }

    /// The updates that the pad gets instead of this one.
    pub(super) fn pass(&mut self, mut update: Update) -> Vec<Update> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        match self.tampering {
            Some(Tampering::Drop) if count.is_multiple_of(EACH) => Vec::new(),
            Some(Tampering::Twice) if count == ONE => vec![update.clone(), update],
            Some(Tampering::Swap) if count == ONE => {
                self.held = Some(update);
                Vec::new()
            }
            Some(Tampering::Unclaim) => {
                if let Some(call) = update.call.as_mut().filter(|call| !call.note.is_empty()) {
                    call.claim = None;
                }
                vec![update]
            }
            _ => std::iter::once(update).chain(self.held.take()).collect(),
        }
    }
}
