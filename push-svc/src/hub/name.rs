//! The name of one store, as the log's answers give it. A name has no version: of two names that differ, only an answer to a
//! question that was asked later than both can say which one is current.

use std::sync::Arc;

#[derive(Default)]
pub(super) struct StoreName {
    known: Option<Arc<str>>,
    /// The log was asked, and no change has been reported since: its answer has the current name.
    requested: bool,
}

impl StoreName {
    /// The name, if it is known.
    pub(super) fn known(&self) -> Option<Arc<str>> {
        self.known.clone()
    }

    /// The store was changed.
    pub(super) fn invalidate(&mut self) {
        *self = Self::default();
    }

    /// The log is asked now.
    pub(super) fn request(&mut self) {
        self.requested = true;
    }

    /// The log did not answer.
    pub(super) fn request_failed(&mut self) {
        self.requested = false;
    }

    /// Takes a name that was read for one pad, and returns the name for that pad and whether the log must be asked: the name
    /// may be newer or older than the one that is known or being read.
    pub(super) fn suggest(&mut self, name: &str) -> (Arc<str>, bool) {
        match &self.known {
            Some(known) if **known == *name => (known.clone(), false),
            known => {
                let must_ask = std::mem::take(&mut self.requested) || known.is_some();
                let name: Arc<str> = name.into();
                self.known.get_or_insert_with(|| name.clone());
                (name, must_ask)
            }
        }
    }

    /// Takes the name in the log's answer, and returns whether it is the current one. An answer that was asked for pads that
    /// have left, or before a change, may have an old name.
    pub(super) fn answered(&mut self, name: &str) -> bool {
        let is_current = std::mem::take(&mut self.requested) && !name.is_empty();
        if is_current && self.known.as_deref() != Some(name) {
            self.known = Some(name.into());
        }
        is_current
    }
}
