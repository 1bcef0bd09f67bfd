//! What the exchanges and queues are called.

/// The names of the exchanges and queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) exchange: String,
    /// The prefix of private queues: `<prefix>-<uuid>`.
    pub(crate) queue_prefix: String,
    /// The dead-letter exchange and its queue.
    pub(crate) dead_letters: String,
}
