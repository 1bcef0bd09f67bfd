//! What the exchanges and queues are called.

/// The names of the exchanges and queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) exchange: String,
    /// Of the private queues, `<prefix>-<uuid>`.
    pub(crate) queue_prefix: String,
    /// Of the dead-letter exchange and of the queue behind it.
    pub(crate) dead_letters: String,
}
