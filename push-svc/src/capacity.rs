//! What one replica keeps and serves at most. docs/operate.md, "What is bounded", has the same figures and says what
//! happens when each of them is reached.

/// What the hub keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubCapacity {
    /// Streams that one pad may have on this replica.
    pub streams_per_pad: usize,
    /// Of each store that has a pad here.
    pub store: StoreCapacity,
}

/// What the hub keeps of one store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreCapacity {
    /// Recent events. A live pad that is further behind is too slow.
    pub recent_events: usize,
    /// Bytes of them, so that long memos do not add up.
    pub recent_bytes: usize,
    /// Events that wait for a missing one. Those that do not fit are read from the log together with it.
    pub ahead_events: usize,
}

impl Default for HubCapacity {
    fn default() -> Self {
        let store = StoreCapacity { recent_events: 1024, recent_bytes: 4 * 1024 * 1024, ahead_events: 256 };
        Self { streams_per_pad: 8, store }
    }
}
