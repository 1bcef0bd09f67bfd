//! The figures in docs/reference.md.

use ringpad_runtime::{
    grpc::{MOST_REFLECTIONS, MOST_WATCHES, OPEN_REQUEST, REFLECTION},
    serve::{
        Clients, LATE_FRAMES, RESET_COST, RESET_CREDIT, SMALL_HEAD, STREAM_WINDOW, STREAMS, Timeouts,
        unread_frames,
    },
};
use ringpad_tests::limits::assert_documented;

use super::*;

type Row = (&'static str, Vec<String>);

/// A row, and the figures of its limit.
macro_rules! row {
    ($what:expr $(, $figure:expr)*) => { ($what, vec![$($figure.to_string()),*]) };
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / KIB)
}

fn mib(bytes: usize) -> String {
    format!("{} MiB", bytes / MIB)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// What every port takes.
fn of_ports() -> Vec<Row> {
    let Timeouts { idle, first_head, body, write, unacknowledged: _, quiet: _ } = Timeouts::default();
    let frames = [Clients::Internal, Clients::Public].map(|clients| f64::from(unread_frames(clients)));
    // Each takes some 256 bytes in memory.
    let [internal, public] = frames.map(|frames| format!("{:.0} MB", frames * 256.0 / 1e6));
    let thousands = frames.map(|frames| format!("{:.0}000", frames / 1e3));
    vec![
        row!("requests on one HTTP/2 connection", STREAMS),
        row!("what was sent in a call over HTTP/2 and is not read yet", kib(STREAM_WINDOW as usize + 1)),
        row!(
            "frames of less than 256 bytes that are not read yet",
            thousands[0],
            thousands[1],
            internal,
            public
        ),
        row!(
            "calls that are cancelled over HTTP/2",
            Duration::from_secs(1).div_duration_f64(RESET_COST),
            RESET_CREDIT.div_duration_f64(RESET_COST)
        ),
        row!("frames to calls that have ended", LATE_FRAMES),
        row!(
            "a connection without a request, before the first one or between two",
            seconds(idle),
            seconds(first_head)
        ),
        row!("time until a request's body is complete", seconds(body)),
        row!("a client that reads nothing of its answer", seconds(write)),
        row!("streams of gRPC reflection", MOST_REFLECTIONS, seconds(REFLECTION)),
        row!("watches of gRPC health", MOST_WATCHES),
    ]
}

fn of_edges(connections: ConnectionCapacity, http: HttpCapacity, grpc: GrpcCapacity) -> Vec<Row> {
    let ConnectionCapacity { providers, internal } = connections;
    let HttpCapacity { head } = http;
    let GrpcCapacity { request_bytes, stream_records, lists: _, fault_bytes, import } = grpc;
    let ImportCapacity {
        stores,
        numbers,
        bytes,
        next_message,
        all_messages,
        commit_rows,
        fault_bytes: import_fault_bytes,
    } = import;
    vec![
        row!("connections", providers.total, internal.total),
        row!(
            "connections from one address, or over IPv6 from one network of 64 bits",
            providers.per_address,
            internal.per_address,
            providers.per_address
        ),
        row!("a request's head; its query or body", kib(head), kib(SMALL_HEAD), kib(RECORD.request_bytes)),
        row!("a gRPC request", mib(request_bytes), kib(OPEN_REQUEST)),
        // By a source's settings.
        row!("requests of a source"),
        row!("records of one `IngestCallStream` without an answer", stream_records),
        row!(
            "an import of stores (`ImportStores`)",
            stores,
            numbers,
            mib(bytes),
            seconds(next_message),
            format!("{} min", all_messages.as_secs() / 60)
        ),
        row!("an import's stores and numbers in one commit", commit_rows),
        row!("faults in the answer to an import; to an upsert", mib(import_fault_bytes), kib(fault_bytes)),
    ]
}

fn of_contents() -> Vec<Row> {
    let RecordCapacity {
        request_bytes: _,
        memo,
        text,
        parameters,
        parameter_bytes,
        parameter_name,
        fingerprints,
    } = RECORD;
    let ActionCapacity { note, customer_name, car_number, service } = ACTION;
    let StoreCapacity { id, name, numbers } = STORE;
    vec![
        row!("a record's texts", kib(memo), format!("{text} bytes")),
        row!(
            "a record's unknown parameters",
            parameters,
            kib(parameter_bytes),
            format!("{parameter_name} bytes"),
            text
        ),
        // Follows from the others.
        row!("what the log keeps of a call to merge its next record", "20 KiB"),
        row!("records that a call remembers, to recognise a repeat", fingerprints),
        row!("what a pad writes", note, customer_name, car_number, service),
        row!("a store", id, name, numbers),
    ]
}

fn of_log(log: LogCapacity, lists: ListCapacity) -> Vec<Row> {
    let LogCapacity {
        jobs,
        batch_jobs,
        batch_bytes,
        quarantine_requests,
        quarantine_bytes,
        outbox_commits,
        outbox_bytes,
        live_readers,
        pad_readers,
        search_readers,
        longest_read,
        wal_bytes,
        answer_bytes,
        page_looks,
    } = log;
    let ListCapacity { calls, events, events_of_stores, stores, quarantined } = lists;
    vec![
        row!("requests that wait for the log's writer", jobs),
        row!("one commit", batch_jobs, mib(batch_bytes)),
        row!(
            "an answer to `ListCalls`, `ListCallEvents`",
            calls.most,
            events.most,
            mib(answer_bytes),
            // Follows from what is kept of a record and of what pads write.
            "24 KiB"
        ),
        row!("an answer to `ListStores`, `ListQuarantine`", stores.most, quarantined.most),
        row!("stores in one `ListCallEvents`", events_of_stores),
        row!("calls that one `ListCalls` looks at", page_looks),
        row!(
            "reads of the log at a time",
            live_readers.all,
            pad_readers.all,
            pad_readers.per_key,
            search_readers.all,
            search_readers.per_key
        ),
        row!("one read of the log", seconds(longest_read)),
        row!("write-ahead log", mib(wal_bytes.try_into().unwrap())),
        // RETENTION
        row!("calls and events in the log"),
        row!("quarantine", quarantine_requests, mib(quarantine_bytes.try_into().unwrap())),
        row!("commits passed to the relay in memory", outbox_commits, mib(outbox_bytes)),
    ]
}

fn of_relay(relay: RelayCapacity) -> Vec<Row> {
    let RelayCapacity { events, bytes, page_events, page_bytes, message_events, message_bytes, unconfirmed } =
        relay;
    vec![
        row!("events in the relay's memory", events, mib(bytes), page_events, mib(page_bytes)),
        // POPUP_TTL
        row!("age of events that are published"),
        row!("one message", message_events, kib(message_bytes)),
        row!("messages without a confirm", unconfirmed),
    ]
}

#[test]
fn docs_reference_md_has_exactly_these_limits() {
    let Capacity { connections, http, grpc, log, relay } = Capacity::default();
    let edges = of_edges(connections, http, grpc);
    let rows = [of_ports(), edges, of_contents(), of_log(log, grpc.lists), of_relay(relay)];
    assert_documented("ingest-svc", rows.concat());
}
