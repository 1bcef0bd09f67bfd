//! What one process keeps and serves at most. All of its limits of size are here; each room is given its own. What happens
//! when one is reached is in docs/reference.md, "Limits of ingest-svc"; a test compares the figures.

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::time::Duration;

use ringpad_runtime::{fair::Concurrency, serve::ConnectionLimits};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What is read of a record, and kept of it and of its call. Fixed, because logs hold what was kept.
pub(crate) const RECORD: RecordCapacity = RecordCapacity {
    request_bytes: 64 * KIB,
    memo: 2 * KIB,
    text: 256,
    parameters: 32,
    parameter_bytes: 4 * KIB,
    parameter_name: 64,
    fingerprints: 256,
};

/// The limits of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordCapacity {
    /// Bytes of a body, of a query, and of a message over gRPC.
    pub request_bytes: usize,
    /// Bytes of UTF-8 that are kept of a `memo`.
    pub memo: usize,
    /// Bytes of UTF-8 that are kept of any other text, and of a pad's name.
    pub text: usize,
    /// Parameters without a field. A call has as many of its ring records, and of its final records.
    pub parameters: usize,
    /// Bytes of UTF-8 of their names and values.
    pub parameter_bytes: usize,
    /// Bytes of UTF-8 that are kept of a name of them.
    pub parameter_name: usize,
    /// Records that a call remembers, to recognise a repeat; a provider sends two or three. The oldest is forgotten first.
    pub fingerprints: usize,
}

/// Characters of the texts that a pad writes; one that is longer is refused.
pub(crate) const ACTION: ActionCapacity =
    ActionCapacity { note: 2_000, customer_name: 100, car_number: 40, service: 200 };

/// The limits of a pad's texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActionCapacity {
    pub note: usize,
    pub customer_name: usize,
    pub car_number: usize,
    pub service: usize,
}

/// What a store may have; one that has more is refused.
pub(crate) const STORE: StoreCapacity = StoreCapacity { id: 64, name: 100, numbers: 1_000 };

/// The limits of a store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreCapacity {
    /// Characters of its id.
    pub id: usize,
    /// Characters of its name.
    pub name: usize,
    /// Its virtual numbers and lines together.
    pub numbers: usize,
}

/// What a customer may have; one that has more is refused.
pub(crate) const CUSTOMER: CustomerCapacity =
    CustomerCapacity { id: 64, name: 100, car_number: 40, note: 200, numbers: 10, last_note: 2_000 };

/// The limits of a customer: characters of its texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CustomerCapacity {
    pub id: usize,
    pub name: usize,
    pub car_number: usize,
    pub note: usize,
    /// How many it may call from.
    pub numbers: usize,
    /// What an older system noted.
    pub last_note: usize,
}

/// Characters of a paired pad's name; a longer one is refused.
pub(crate) const PAD_NAME: usize = 100;

/// The limits of one process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capacity {
    pub connections: ConnectionCapacity,
    pub http: HttpCapacity,
    pub grpc: GrpcCapacity,
    pub log: LogCapacity,
    pub relay: RelayCapacity,
}

/// Connections to the three ports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionCapacity {
    /// Of number providers, or of their proxies. A client that leaves its connections open opens up to 13 a second.
    pub providers: ConnectionLimits,
    /// Of internal services, and as many of operators.
    pub internal: ConnectionLimits,
}

/// Requests of number providers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpCapacity {
    /// Bytes of a request's head: the longest query, and the headers.
    pub head: usize,
}

/// Requests of internal services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrpcCapacity {
    /// Bytes of a request, decompressed: a ListCallEvents for all stores of a large replica.
    pub request_bytes: usize,
    /// Records of one stream that may wait for the log. When there are as many, the stream is not read further.
    pub stream_records: usize,
    pub lists: ListCapacity,
    /// Bytes of a store's faults in a refusal, approximately: they are sent in trailers, of which most gRPC libraries accept
    /// 8 KiB.
    pub fault_bytes: usize,
    pub import: ImportCapacity,
}

/// Entries of one answer; the rest comes with the next request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListCapacity {
    pub calls: Entries,
    pub events: Entries,
    /// Stores in one request for events.
    pub events_of_stores: usize,
    pub stores: Entries,
    pub customers: Entries,
    /// Bytes of customers in one answer, unless the first one alone has more.
    pub customer_bytes: usize,
    pub quarantined: Entries,
    pub pads: Entries,
}

/// How many entries an answer has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries {
    /// At most.
    pub most: u32,
    /// If the request does not say how many.
    pub usual: u32,
}

impl Entries {
    /// How many an answer has if `wanted` are asked for; zero stands for the usual number.
    pub(crate) fn limit(self, wanted: u32) -> u32 {
        if wanted == 0 { self.usual } else { wanted.min(self.most) }
    }
}

/// One import of stores. The next one waits until it has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImportCapacity {
    pub stores: usize,
    /// Numbers of all its stores.
    pub numbers: usize,
    /// Customers in one `UpsertCustomers`.
    pub customers: usize,
    /// Bytes of its messages.
    pub bytes: usize,
    /// How long the next message may take.
    pub next_message: Duration,
    /// How long all messages may take, in whole minutes.
    pub all_messages: Duration,
    /// Stores and their numbers in one transaction, unless a store has more by itself: some ten milliseconds, for which
    /// records wait.
    pub commit_rows: usize,
    /// Bytes of faults in an answer, approximately: most gRPC libraries accept 4 MiB.
    pub fault_bytes: usize,
}

/// What the log takes on at once and keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogCapacity {
    /// Jobs that may wait for the writer. When it is full, the next ones wait for a place, and their senders with them.
    pub jobs: usize,
    /// Jobs in one transaction: a commit of a few milliseconds, in which a flush to disk is a small part.
    pub batch_jobs: usize,
    /// Bytes of quarantined requests in one transaction, about: a flood of them delays no ring for long.
    pub batch_bytes: usize,
    /// Requests in the quarantine. Then the oldest one of the source that has most is dropped.
    pub quarantine_requests: u64,
    /// Bytes of them; the same.
    pub quarantine_bytes: u64,
    /// Tablets with a code that nobody has approved. The next ones are refused until a code expires.
    pub pairing_codes: u32,
    /// Commits that wait for the relay in memory. A relay that is further behind reads the log.
    pub outbox_commits: usize,
    /// Bytes of events in them, or one commit with more; the same.
    pub outbox_bytes: usize,
    /// Queries at the same time of the relay, and of replicas that compare their stores.
    pub live_readers: Concurrency,
    /// Queries at the same time of pads that open a stream.
    pub pad_readers: Concurrency,
    /// Queries at the same time of pads that look for calls, and of people.
    pub search_readers: Concurrency,
    /// Checks of credentials at the same time, each of which looks up one row by an index.
    pub credential_readers: Concurrency,
    /// How long a query may take: push-svc waits 2.5 s.
    pub longest_read: Duration,
    /// Bytes of the write-ahead log, unless another program reads it.
    pub wal_bytes: u64,
    /// Bytes of calls or events in one answer, unless the first alone has more: with all around them far less than the 4 MiB
    /// that most gRPC libraries take as a message.
    pub answer_bytes: usize,
    /// Calls that a page looks at for those that are wanted: some 30 ms. The next page continues after them, so a page may have
    /// fewer calls than were asked for, or none.
    pub page_looks: u32,
}

/// What the relay has in memory and on its way to the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayCapacity {
    /// Events that wait. Further ones stay in the log.
    pub events: usize,
    /// Bytes of them; the same.
    pub bytes: usize,
    /// Events that are read from the log at a time.
    pub page_events: usize,
    /// Bytes of them.
    pub page_bytes: usize,
    /// Events in one message. With a backlog, many events share one publisher confirm.
    pub message_events: usize,
    /// Bytes of events in one message, unless one event has more. Far below the limits of brokers (RabbitMQ 4: 16 MiB), and
    /// small enough for the hundreds of messages that a broker holds for each replica.
    pub message_bytes: usize,
    /// Messages that may wait for their publisher confirm.
    pub unconfirmed: usize,
}

impl Default for ConnectionCapacity {
    fn default() -> Self {
        Self {
            providers: ConnectionLimits { total: 2_048, per_address: 1_024 },
            internal: ConnectionLimits { total: 512, per_address: 256 },
        }
    }
}

impl Default for HttpCapacity {
    fn default() -> Self {
        Self { head: RECORD.request_bytes + 16 * KIB }
    }
}

impl Default for GrpcCapacity {
    fn default() -> Self {
        Self {
            request_bytes: 4 * MIB,
            stream_records: 512,
            lists: ListCapacity {
                calls: Entries { most: 500, usual: 100 },
                events: Entries { most: 10_000, usual: 1_000 },
                events_of_stores: 10_000,
                stores: Entries { most: 1_000, usual: 100 },
                customers: Entries { most: 1_000, usual: 100 },
                customer_bytes: MIB,
                quarantined: Entries { most: 100, usual: 100 },
                pads: Entries { most: 1_000, usual: 100 },
            },
            fault_bytes: 4 * KIB,
            import: ImportCapacity {
                stores: 200_000,
                numbers: 1_000_000,
                customers: 1_000_000,
                bytes: 64 * MIB,
                next_message: Duration::from_secs(30),
                all_messages: Duration::from_mins(5),
                commit_rows: 1_500,
                fault_bytes: 2 * MIB,
            },
        }
    }
}

impl Default for LogCapacity {
    fn default() -> Self {
        Self {
            jobs: 1_024,
            batch_jobs: 256,
            batch_bytes: MIB,
            quarantine_requests: 10_000,
            quarantine_bytes: 256 * MIB as u64,
            pairing_codes: 1_000,
            outbox_commits: 1_024,
            outbox_bytes: 16 * MIB,
            live_readers: Concurrency { all: 2, per_key: 2 },
            pad_readers: Concurrency { all: 2, per_key: 1 },
            search_readers: Concurrency { all: 2, per_key: 1 },
            credential_readers: Concurrency { all: 2, per_key: 2 },
            longest_read: Duration::from_secs(2),
            wal_bytes: 256 * MIB as u64,
            answer_bytes: MIB,
            page_looks: 20_000,
        }
    }
}

impl Default for RelayCapacity {
    fn default() -> Self {
        Self {
            events: 10_000,
            bytes: 32 * MIB,
            page_events: 1_000,
            page_bytes: 8 * MIB,
            message_events: 256,
            message_bytes: 256 * KIB,
            unconfirmed: 32,
        }
    }
}
