//! The figures in docs/reference.md.

use ringpad_runtime::{
    grpc::{MOST_REFLECTIONS, MOST_WATCHES, OPEN_REQUEST, REFLECTION},
    serve::{
        Clients, LATE_FRAMES, RESET_COST, RESET_CREDIT, SMALL_HEAD, STREAM_WINDOW, STREAMS, Timeouts,
        unread_frames,
    },
};
use ringpad_tests::{
    limit,
    limits::{Row, assert_documented, kib, mib, seconds},
};

use super::*;
use crate::customer::SHOWN;

/// What every port takes.
fn of_ports() -> Vec<Row> {
    let Timeouts { idle, first_head, body, write, unacknowledged: _, quiet: _ } = Timeouts::default();
    let frames = [Clients::Internal, Clients::Public].map(|clients| f64::from(unread_frames(clients)));
    // Each takes some 256 bytes in memory.
    let [internal, public] = frames.map(|frames| format!("{:.0} MB", frames * 256.0 / 1e6));
    let thousands = frames.map(|frames| format!("{:.0}000", frames / 1e3));
    vec![
        limit!("requests on one HTTP/2 connection", STREAMS),
        limit!("what was sent in a call over HTTP/2 and is not read yet", kib(STREAM_WINDOW as usize + 1)),
        limit!(
            "frames of less than 256 bytes that are not read yet",
            thousands[0],
            thousands[1],
            internal,
            public
        ),
        limit!(
            "calls that are cancelled over HTTP/2",
            Duration::from_secs(1).div_duration_f64(RESET_COST),
            RESET_CREDIT.div_duration_f64(RESET_COST)
        ),
        limit!("frames to calls that have ended", LATE_FRAMES),
        limit!(
            "a connection without a request, before the first one or between two",
            seconds(idle),
            seconds(first_head)
        ),
        limit!("time until a request's body is complete", seconds(body)),
        limit!("a client that reads nothing of its answer", seconds(write)),
        limit!("streams of gRPC reflection", MOST_REFLECTIONS, seconds(REFLECTION)),
        limit!("watches of gRPC health", MOST_WATCHES),
    ]
}

fn of_edges(connections: ConnectionCapacity, http: HttpCapacity, grpc: GrpcCapacity) -> Vec<Row> {
    let ConnectionCapacity { providers, internal } = connections;
    let HttpCapacity { head } = http;
    let GrpcCapacity { request_bytes, stream_records, lists: _, fault_bytes, import } = grpc;
    let ImportCapacity {
        stores,
        numbers,
        customers,
        bytes,
        next_message,
        all_messages,
        commit_rows,
        fault_bytes: import_fault_bytes,
    } = import;
    vec![
        limit!("connections", providers.total, internal.total),
        limit!(
            "connections from one address, or over IPv6 from one network of 64 bits",
            providers.per_address,
            internal.per_address,
            providers.per_address
        ),
        limit!("a request's head; its query or body", kib(head), kib(SMALL_HEAD), kib(RECORD.request_bytes)),
        limit!("a gRPC request", mib(request_bytes), kib(OPEN_REQUEST)),
        // By a source's settings.
        limit!("requests of a source"),
        limit!("records of one `IngestCallStream` without an answer", stream_records),
        limit!(
            "an import of stores (`ImportStores`)",
            stores,
            numbers,
            mib(bytes),
            seconds(next_message),
            format!("{} min", all_messages.as_secs() / 60)
        ),
        limit!(
            "an import of customers (`UpsertCustomers`)",
            customers,
            seconds(next_message),
            format!("{} min", all_messages.as_secs() / 60)
        ),
        limit!("an import's stores, or customers, and numbers in one commit", commit_rows),
        limit!("faults in the answer to an import; to an upsert", mib(import_fault_bytes), kib(fault_bytes)),
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
    let of_customer = CUSTOMER;
    vec![
        limit!("a record's texts", kib(memo), format!("{text} bytes")),
        limit!(
            "a record's unknown parameters",
            parameters,
            kib(parameter_bytes),
            format!("{parameter_name} bytes"),
            text
        ),
        // Follows from the others.
        limit!("what the log keeps of a call to merge its next record", "20 KiB"),
        limit!("records that a call remembers, to recognise a repeat", fingerprints),
        limit!("what a pad writes", note, customer_name, car_number, service),
        limit!("a store", id, name, numbers),
        limit!(
            "a customer",
            of_customer.id,
            of_customer.name,
            of_customer.car_number,
            of_customer.note,
            of_customer.numbers,
            of_customer.last_note
        ),
        limit!("customers that a call shows", SHOWN),
    ]
}

fn of_log(log: LogCapacity, lists: ListCapacity) -> Vec<Row> {
    let LogCapacity {
        jobs,
        batch_jobs,
        batch_bytes,
        quarantine_requests,
        quarantine_bytes,
        pairing_codes,
        outbox_commits,
        outbox_bytes,
        live_readers,
        pad_readers,
        search_readers,
        credential_readers,
        longest_read,
        wal_bytes,
        answer_bytes,
        page_looks,
    } = log;
    let ListCapacity {
        calls,
        events,
        events_of_stores,
        stores,
        customers,
        customer_bytes,
        quarantined,
        pads,
    } = lists;
    vec![
        limit!("requests that wait for the log's writer", jobs),
        limit!("one commit", batch_jobs, mib(batch_bytes)),
        limit!(
            "an answer to `ListCalls`, `ListCallEvents`",
            calls.most,
            events.most,
            mib(answer_bytes),
            // Follows from what is kept of a record and of what pads write.
            "32 KiB"
        ),
        limit!(
            "an answer to `ListStores`, `ListQuarantine`, `ListPads`, `ListCustomers`",
            stores.most,
            quarantined.most,
            pads.most,
            customers.most,
            mib(customer_bytes)
        ),
        limit!("stores in one `ListCallEvents`", events_of_stores),
        limit!("calls that one `ListCalls` looks at", page_looks),
        limit!(
            "reads of the log at a time",
            live_readers.all,
            pad_readers.all,
            pad_readers.per_key,
            search_readers.all,
            search_readers.per_key,
            credential_readers.all
        ),
        limit!("one read of the log", seconds(longest_read)),
        limit!("write-ahead log", mib(wal_bytes.try_into().unwrap())),
        // RETENTION
        limit!("calls and events in the log"),
        limit!("quarantine", quarantine_requests, mib(quarantine_bytes.try_into().unwrap())),
        limit!("tablets with a code that nobody has approved", pairing_codes, "10 min"),
        limit!("the name of a paired pad", PAD_NAME),
        limit!("commits passed to the relay in memory", outbox_commits, mib(outbox_bytes)),
    ]
}

fn of_relay(relay: RelayCapacity) -> Vec<Row> {
    let RelayCapacity { events, bytes, page_events, page_bytes, message_events, message_bytes, unconfirmed } =
        relay;
    vec![
        limit!("events in the relay's memory", events, mib(bytes), page_events, mib(page_bytes)),
        // POPUP_TTL
        limit!("age of events that are published"),
        limit!("one message", message_events, kib(message_bytes)),
        limit!("messages without a confirm", unconfirmed),
    ]
}

#[test]
fn docs_reference_md_has_exactly_these_limits() {
    let Capacity { connections, http, grpc, log, relay } = Capacity::default();
    let edges = of_edges(connections, http, grpc);
    let rows = [of_ports(), edges, of_contents(), of_log(log, grpc.lists), of_relay(relay)];
    assert_documented("ingest-svc", rows.concat());
}
