//! `make bench`: real binaries on a private RabbitMQ node, all on loopback, all on the cores of this machine, the load
//! generator and the broker too. It prints and asserts nothing. `ringpad-bench quiet` runs one part.
//!
//! * `quiet`: one ring at a time, with the log in SQLite and in PostgreSQL: when it passes which point on its way, by the packets of the
//!   loopback interface; and what it costs, split by threads. A timer that is awaited on the way is a step of a millisecond.
//! * `accepts`: records a second that are durably logged, over HTTP and over gRPC streams, with a fixed number in
//!   flight: in SQLite, in PostgreSQL, and in PostgreSQL by two ingest-svc, which share the records; and what each record costs.
//! * `latency`: from a ring that is due to the pad that shows it, open loop, with 2,000 pads on two replicas, with the log in SQLite and
//!   in PostgreSQL, and a bare publish → consume on the same node at the same rate, one after the other; and what a call costs.
//! * `fan_out`: what an event costs a replica without a pad for it, and the broker, with 1 to 8 replicas.
//! * `memory`: what an idle pad costs a replica.
//! * `stampede`: a replica with 5,000 pads is killed; how soon they are back, and how late others' popups are meanwhile.
//! * `abuse`: how long a source waits for its answers while others behave badly.
//! * `stores`: the import of 50,000 stores, and what a record costs with 100 and with 100,000 stores.
//! * `customers`: the import of 100,000 customers of one store, and what a record costs without them, with them, and if each
//!   caller is one of them.
#![expect(clippy::print_stdout, reason = "a benchmark's result is for the terminal")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot measure ends")]

mod abuse;
mod accepts;
mod bare_hop;
mod capture;
mod customers;
mod fan_out;
mod installation;
mod latency;
mod memory;
mod open_loop;
mod quiet;
mod stampede;
mod statistics;
mod stores;
mod usage;

use ringpad_tests::rabbit::RabbitNode;

/// Rounds of each measurement; what is printed is their median.
const ROUNDS: usize = 5;

/// Settings of every service under load: the log as in production.
const SETTINGS: [(&str, &str); 3] =
    [("RUST_LOG", "warn"), ("HEARTBEAT_INTERVAL", "5s"), ("RETRY_MAX_INTERVAL", "30s")];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let parts: Vec<_> = std::env::args().skip(1).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|name| name == part);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{cores} cores, shared by the services, RabbitMQ and the load generator; medians of {ROUNDS} rounds"
    );
    let node = RabbitNode::start().await;
    if wanted("quiet") {
        quiet::measure(&node).await;
    }
    if wanted("accepts") {
        accepts::measure(&node).await;
    }
    if wanted("latency") {
        latency::measure(&node).await;
    }
    if wanted("fan_out") {
        fan_out::measure(&node).await;
    }
    if wanted("memory") {
        memory::measure(&node).await;
    }
    if wanted("stampede") {
        stampede::measure(&node).await;
    }
    if wanted("abuse") {
        abuse::measure(&node).await;
    }
    if wanted("stores") {
        stores::measure(&node).await;
    }
    if wanted("customers") {
        customers::measure(&node).await;
    }
}
