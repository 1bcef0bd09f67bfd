//! What pads do to a call, and whether every pad shows it in the end.

use std::collections::HashMap;

use ringpad_proto::v1::{Call, CallState};

/// What pads have done to a call so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PadState {
    /// The pad that has claimed it.
    pub(crate) claimed_by: Option<String>,
    pub(crate) note: String,
    pub(crate) closed: bool,
}

impl PadState {
    /// The pad state that a call shows.
    pub(crate) fn of(call: &Call) -> Self {
        let claimed_by = call.claim.as_ref().map(|claim| claim.pad_id.clone());
        Self { claimed_by, note: call.note.clone(), closed: call.closed }
    }
}

/// The state in which a pad shows each call.
#[derive(Debug, Default)]
pub(super) struct LastShown(HashMap<String, PadState>);

impl LastShown {
    pub(super) fn show(&mut self, call: &Call) {
        self.0.insert(call.id.clone(), PadState::of(call));
    }

    /// The calls that it shows in another state than the last action was answered with, in words. A call that it does not show at
    /// all is found by its records.
    pub(super) fn undone(&self, answered: &HashMap<String, PadState>) -> Vec<String> {
        let shown = answered.iter().filter_map(|(call, last)| Some((call, last, self.0.get(call)?)));
        let different = shown.filter(|(_, last, shown)| last != shown);
        different
            .map(|(call, last, shown)| format!("shows {call} as {shown:?}, and the last answer was {last:?}"))
            .collect()
    }
}

/// A record or an action, in the order in which they come. Each one leaves the call in a state that it was not in before, by
/// which the step is recognised; so the note comes between closing and reopening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    Ring,
    Claim,
    End,
    Close,
    Note,
    Reopen,
}

impl Step {
    /// Whether a pad did it and not the provider.
    pub(crate) fn is_action(self) -> bool {
        matches!(self, Self::Claim | Self::Close | Self::Note | Self::Reopen)
    }

    /// The step that left a call as it is.
    pub(super) fn last_of(call: &Call) -> Self {
        let PadState { claimed_by, note, closed } = PadState::of(call);
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
