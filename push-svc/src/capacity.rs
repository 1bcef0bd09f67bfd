//! What one replica keeps and serves at most. All of its limits of size are here; each room is given its own. What happens
//! when one is reached is in docs/reference.md, "Limits of push-svc"; a test compares the figures.

use std::{num::NonZeroU32, time::Duration};

use ringpad_runtime::{fair::Concurrency, serve::ConnectionLimits};

/// The limits of one replica.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capacity {
    pub connections: ConnectionCapacity,
    pub requests: RequestCapacity,
    pub pairing: PairingCapacity,
    pub hub: HubCapacity,
    pub streams: StreamCapacity,
    pub log: LogCapacity,
    pub catch_up: CatchUpCapacity,
    pub publishers: PublisherCapacity,
}

/// Connections to both ports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionCapacity {
    /// Of pads, about 6 KiB each. The stores of a chain may share an address.
    pub pads: ConnectionLimits,
    /// Of operators.
    pub admin: ConnectionLimits,
}

/// Single requests of pads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestCapacity {
    /// Bytes of a gRPC request, decompressed: a note and a token fit.
    pub bytes: usize,
    /// Requests of one pad under way at the same time.
    pub concurrent: usize,
    /// Of one pad: a page that is opened lists a day in many requests.
    pub pad: Rate,
    /// Of all pads of a store: 200 of them may open their pages at the same time.
    pub store: Rate,
}

/// Attempts to pair a tablet: codes that one client address is given, and codes that the pads of one store try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairingCapacity {
    /// How many may be saved up.
    pub attempts: NonZeroU32,
    /// After how long there is one more.
    pub pause: Duration,
    /// Addresses, and stores, whose attempts are counted at a time. Further ones have to wait.
    pub counted: usize,
}

/// How often something may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub per_second: NonZeroU32,
    /// How many may be saved up.
    pub burst: NonZeroU32,
}

/// What the hub keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubCapacity {
    /// Streams that one pad may have.
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

/// What one stream is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamCapacity {
    /// How many events a pad may be behind and still be sent what it missed, event by event.
    pub max_behind: u64,
    /// Missed events that are read from the log at once, and wait in memory.
    pub page: u32,
    /// The first message.
    pub snapshot: SnapshotCapacity,
}

/// The calls of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotCapacity {
    /// Open calls, and as many others.
    pub calls: usize,
    /// Bytes, so that a client with its library's default limit of 4 MiB a message can read it. A usual call has a few
    /// hundred.
    pub bytes: usize,
}

/// Requests to the log on behalf of pads. Further ones wait, so that many pads that return at once do not overload the log,
/// and the catch-up of live events, which never waits here, is not delayed by them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogCapacity {
    /// Of pads that open a stream or read what they missed.
    pub streams: Concurrency,
    /// Of pads' single requests.
    pub requests: Concurrency,
    /// Of tablets that need a code or a token, by address.
    pub tablets: Concurrency,
}

/// One request of the catch-up to the log; the next one asks for the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatchUpCapacity {
    pub stores: usize,
    pub events: u32,
}

/// What is remembered of the bus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublisherCapacity {
    /// Instances of our log. One more replaces the one whose last message is oldest.
    pub instances: usize,
    /// Other logs. Messages of further ones are ignored, too, but not logged.
    pub other_logs: usize,
}

impl Default for ConnectionCapacity {
    fn default() -> Self {
        Self {
            pads: ConnectionLimits { total: 50_000, per_address: 12_500 },
            admin: ConnectionLimits { total: 128, per_address: 64 },
        }
    }
}

const PAD_RATE: Rate = Rate { per_second: NonZeroU32::new(5).unwrap(), burst: NonZeroU32::new(40).unwrap() };
const STORE_RATE: Rate =
    Rate { per_second: NonZeroU32::new(50).unwrap(), burst: NonZeroU32::new(1_000).unwrap() };

impl Default for RequestCapacity {
    fn default() -> Self {
        Self { bytes: 64 * 1024, concurrent: 4, pad: PAD_RATE, store: STORE_RATE }
    }
}

impl Default for PairingCapacity {
    fn default() -> Self {
        const ATTEMPTS: NonZeroU32 = NonZeroU32::new(10).unwrap();
        Self { attempts: ATTEMPTS, pause: Duration::from_secs(60), counted: 10_000 }
    }
}

impl Default for HubCapacity {
    fn default() -> Self {
        let store = StoreCapacity { recent_events: 1024, recent_bytes: 4 * 1024 * 1024, ahead_events: 256 };
        Self { streams_per_pad: 8, store }
    }
}

impl Default for StreamCapacity {
    fn default() -> Self {
        let snapshot = SnapshotCapacity { calls: 100, bytes: 1024 * 1024 };
        Self { max_behind: 10_000, page: 200, snapshot }
    }
}

impl Default for LogCapacity {
    fn default() -> Self {
        Self {
            streams: Concurrency { all: 32, per_key: 16 },
            requests: Concurrency { all: 16, per_key: 4 },
            tablets: Concurrency { all: 8, per_key: 4 },
        }
    }
}

impl Default for CatchUpCapacity {
    fn default() -> Self {
        Self { stores: 500, events: 500 }
    }
}

impl Default for PublisherCapacity {
    fn default() -> Self {
        Self { instances: 64, other_logs: 16 }
    }
}

#[cfg(test)]
mod tests {
    use ringpad_tests::{
        limit,
        limits::{Row, assert_documented, kib, mib, seconds},
    };

    use super::*;

    /// Figures that are not in [`Capacity`] are those of the modules that have them.
    fn expected() -> Vec<Row> {
        let Capacity { connections, requests, pairing, hub, streams, log, catch_up, publishers } =
            Capacity::default();
        let ConnectionCapacity { pads, admin } = connections;
        let RequestCapacity { bytes, concurrent, pad, store } = requests;
        let PairingCapacity { attempts, pause, counted } = pairing;
        let HubCapacity {
            streams_per_pad,
            store: StoreCapacity { recent_events, recent_bytes, ahead_events },
        } = hub;
        let StreamCapacity { max_behind, page, snapshot: SnapshotCapacity { calls, bytes: snapshot_bytes } } =
            streams;
        let CatchUpCapacity { stores, events } = catch_up;
        let PublisherCapacity { instances, other_logs } = publishers;
        vec![
            limit!("connections", pads.total, admin.total),
            limit!(
                "connections from one address, or over IPv6 from one network of 64 bits",
                pads.per_address,
                admin.per_address,
                pads.per_address
            ),
            limit!("the id of a pad (`sub` of its token)", "256 bytes"),
            limit!("streams of one pad", streams_per_pad),
            limit!("stores in memory"),
            limit!("a store's events in memory", recent_events, mib(recent_bytes), "2 min"),
            limit!("a store's events behind a gap", ahead_events, "50 ms"),
            limit!("instances of ingest-svc that are known", instances, "60 s"),
            limit!("other logs on our exchange that are known", other_logs),
            limit!("catch-up of held stores", stores, events, "1 MiB"),
            limit!(
                "pads that open a stream and ask the log, at a time",
                log.streams.all,
                log.streams.per_key
            ),
            limit!(
                "a pad's single requests (`ListCalls`, `ClaimCall`, `SaveNote` …), on each replica",
                concurrent,
                pad.per_second,
                pad.burst
            ),
            limit!("those of all pads of a store, on each replica", store.per_second, store.burst),
            limit!(
                "codes for tablets of one address, or over IPv6 of one network of 56 bits (`Begin`), and codes that the pads of one store try (`ApprovePairing`), on each replica",
                attempts,
                seconds(pause),
                counted
            ),
            limit!("those of all pads that wait for the log", log.requests.all, log.requests.per_key),
            limit!(
                "tablets that need a code or a token and wait for the log",
                log.tablets.all,
                log.tablets.per_key
            ),
            limit!("how far behind a pad may be", max_behind),
            limit!("calls in a pad's first message", calls, calls, mib(snapshot_bytes)),
            limit!("missed events read for one pad", page, "1 MiB"),
            limit!("what a pad has not read", "64 KiB", "16 KiB", "2 KiB"),
            limit!("what a pad may send", kib(bytes), "16 KiB", "5 s"),
        ]
    }

    #[test]
    fn docs_reference_md_has_exactly_these_limits() {
        assert_documented("push-svc", expected());
    }
}
