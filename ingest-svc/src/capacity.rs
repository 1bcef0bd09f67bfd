//! How much the log takes on at once and keeps. `docs/operate.md` says what happens at each bound, and which metric shows it.

use ringpad_runtime::fair::Concurrency;

/// The capacities of the log. Tests that need a small one pass it.
#[derive(Debug, Clone)]
pub(crate) struct LogCapacity {
    /// Jobs that may wait for the writer. When it is full, the next ones wait for a place, and their senders with them.
    pub(crate) jobs: usize,
    /// Jobs in one transaction: a commit of a few milliseconds, in which a flush to disk is a small part.
    pub(crate) batch_jobs: usize,
    /// Bytes of quarantined requests in one transaction, about: a flood of them delays no ring for long.
    pub(crate) batch_bytes: usize,
    /// Requests in the quarantine. Then the oldest one of the source that has most is dropped.
    pub(crate) quarantine_requests: u64,
    /// Bytes of them; the same.
    pub(crate) quarantine_bytes: u64,
    /// Commits that wait for the relay in memory. A relay that is further behind reads the log.
    pub(crate) outbox_commits: usize,
    /// Bytes of events in them, or one commit with more; the same.
    pub(crate) outbox_bytes: usize,
    /// Queries at the same time of the relay, and of replicas that compare their stores.
    pub(crate) live_readers: Concurrency,
    /// Queries at the same time of pads that open a stream.
    pub(crate) pad_readers: Concurrency,
    /// Queries at the same time of pads that look for calls, and of people.
    pub(crate) search_readers: Concurrency,
    /// Bytes of calls or events in one answer, unless the first alone has more: with all around them far less than the 4 MiB
    /// that most gRPC libraries take as a message.
    pub(crate) answer_bytes: usize,
    /// Calls that a page looks at for those that are wanted: some 30 ms. The next page continues after them, so a page may have
    /// fewer calls than were asked for, or none.
    pub(crate) page_looks: u32,
}

impl Default for LogCapacity {
    fn default() -> Self {
        Self {
            jobs: 1_024,
            batch_jobs: 256,
            batch_bytes: 1024 * 1024,
            quarantine_requests: 10_000,
            quarantine_bytes: 256 * 1024 * 1024,
            outbox_commits: 1_024,
            outbox_bytes: 16 * 1024 * 1024,
            live_readers: Concurrency { all: 2, per_key: 2 },
            pad_readers: Concurrency { all: 2, per_key: 1 },
            search_readers: Concurrency { all: 2, per_key: 1 },
            answer_bytes: 1024 * 1024,
            page_looks: 20_000,
        }
    }
}
