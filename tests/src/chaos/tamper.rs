//! What a faulty hub would do to a stream, done to it on its way to the pad: so the checker is checked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ringpad_proto::v1::Update;

/// A hub's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// One update in a thousand is never sent.
    Drop,
    /// One update of the whole play is sent twice.
    Twice,
    /// Two updates of the whole play are sent in each other's place.
    Swap,
    /// One update of the whole play, and all that comes behind it on its stream, is five seconds late.
    Late,
    /// A call that has a note has no claim any more.
    Unclaim,
    /// From the beginning of the play on, the log's disk does not flush what it says it has.
    LyingDisk,
}

/// Between two drops.
const EACH: u64 = 1_000;
/// How late the one is.
const LATE: Duration = Duration::from_secs(5);
/// Which update is the one.
const ONE: u64 = 400;

/// One stream's tampering; the updates of all pads are counted together.
#[derive(Debug, Clone, Default)]
pub(super) struct Tamper {
    deed: Option<Deed>,
    count: Arc<AtomicU64>,
    /// Whether one has been late already.
    was_late: Arc<AtomicBool>,
    held: Option<Update>,
}

impl Tamper {
    pub(super) fn new(deed: Option<Deed>) -> Self {
        Self { deed, ..Self::default() }
    }

    /// How long an update has to wait.
    pub(super) fn hold_up(&self) -> Duration {
        // Several pads may be here at the same count, and none of them at a certain one: whoever is first waits.
        let is_the_one = self.deed == Some(Deed::Late)
            && self.count.load(Ordering::Relaxed) + 1 >= ONE
            && !self.was_late.swap(true, Ordering::Relaxed);
        if is_the_one { LATE } else { Duration::ZERO }
    }

    /// What the pad gets in place of this update.
    pub(super) fn pass(&mut self, mut update: Update) -> Vec<Update> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        match self.deed {
            Some(Deed::Drop) if count.is_multiple_of(EACH) => Vec::new(),
            Some(Deed::Twice) if count == ONE => vec![update.clone(), update],
            Some(Deed::Swap) if count == ONE => {
                self.held = Some(update);
                Vec::new()
            }
            Some(Deed::Unclaim) => {
                if let Some(call) = update.call.as_mut().filter(|call| !call.note.is_empty()) {
                    call.claim = None;
                }
                vec![update]
            }
            _ => std::iter::once(update).chain(self.held.take()).collect(),
        }
    }
}
