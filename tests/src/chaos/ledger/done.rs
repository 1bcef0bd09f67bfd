//! What pads do to a call, and whether it is what every pad shows of the call in the end.

use std::collections::HashMap;

use ringpad_proto::v1::{Call, CallState};

/// What pads have done to a call so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The pad that has claimed it.
    pub(crate) claimed_by: Option<String>,
    pub(crate) note: String,
    pub(crate) closed: bool,
}

impl Done {
    /// What a call shows of it.
    pub(crate) fn of(call: &Call) -> Self {
        let claimed_by = call.claim.as_ref().map(|claim| claim.pad_id.clone());
        Self { claimed_by, note: call.note.clone(), closed: call.closed }
    }
}

/// What a pad shows of each call: only the newest.
#[derive(Debug, Default)]
pub(super) struct LastShown(HashMap<String, Done>);

impl LastShown {
    pub(super) fn show(&mut self, call: &Call) {
        self.0.insert(call.id.clone(), Done::of(call));
    }

    /// The calls that it shows in another way than they were answered, in words. A call that it does not show at all is
    /// found by its records.
    pub(super) fn undone(&self, answered: &HashMap<String, Done>) -> Vec<String> {
        let shown = answered.iter().filter_map(|(call, done)| Some((call, done, self.0.get(call)?)));
        let otherwise = shown.filter(|(_, done, shown)| done != shown);
        otherwise
            .map(|(call, done, shown)| format!("shows {call} as {shown:?}, answered was {done:?}"))
            .collect()
    }
}

/// One of the records of a call or of what pads do to it, in the order in which they come. Each leaves the call in a state
/// that it was not in before, by which it is recognised; so the note comes between the closing and the reopening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Ring,
    Claim,
    End,
    Close,
    Note,
    Reopen,
}

impl Part {
    /// Whether a pad did it, not the provider.
    pub(crate) fn is_action(self) -> bool {
        matches!(self, Self::Claim | Self::Close | Self::Note | Self::Reopen)
    }

    /// The one that left a call as it is.
    pub(super) fn behind(call: &Call) -> Self {
        let Done { claimed_by, note, closed } = Done::of(call);
        match (closed, note.is_empty()) {
            (true, true) => Self::Close,
            (true, false) => Self::Note,
            (false, false) => Self::Reopen,
            (false, true) if call.state() != CallState::Ringing => Self::End,
            (false, true) if claimed_by.is_some() => Self::Claim,
            (false, true) => Self::Ring,
        }
    }
}
