//! `make chaos STORE=… SEED=… MINUTES=…`: a run with many faults on real binaries, a private RabbitMQ node and, with STORE=postgres,
//! private PostgreSQL servers. It prints the result, and exits 1 if a promise of the product was not kept. See `ringpad_tests::chaos`.
#![expect(clippy::print_stdout, reason = "the figures are for the terminal")]

use std::{process::ExitCode, str::FromStr, time::Duration};

use ringpad_tests::{
    chaos::{Broker, Plan, fault::Store, schedule::schedule},
    nginx::shipped,
    rabbit::RabbitNode,
};

/// Stores, each with three pads, and one that comes late.
const STORES: usize = 25;
/// Calls a second, all stores together.
const CALLS_A_SECOND: u32 = 10;

/// How long everything may take to settle after the last fault.
const SETTLING: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(store), Some(seed), Some(minutes), None) = (
        parsed::<Store>(arguments.next()),
        parsed(arguments.next()),
        parsed::<u64>(arguments.next()),
        arguments.next(),
    ) else {
        println!("usage: ringpad-chaos sqlite|postgres SEED MINUTES");
        return ExitCode::from(2);
    };
    let length = Duration::from_secs(60 * minutes);
    let planned_faults = schedule(store, seed, length);
    println!(
        "log in {store:?}, seed {seed}, {minutes} min, {} faults, {STORES} stores with 3 pads each and one that comes late, {CALLS_A_SECOND} calls/s",
        planned_faults.len()
    );
    for planned in &planned_faults {
        println!(
            "{:6.1} s  {}, for {:.1} s",
            planned.at.as_secs_f64(),
            planned.fault,
            planned.lasts.as_secs_f64()
        );
    }
    let plan = Plan {
        store,
        length,
        planned_faults,
        stores: STORES,
        calls_a_second: CALLS_A_SECOND,
        settling: SETTLING,
        npm_package: Some(shipped("pad/scripts/in_node.mjs")),
        tampering: None,
    };
    let verdict = plan.run(Broker::Own(RabbitNode::start().await)).await;
    println!("{verdict}");
    // Without a request while the broker, or one of several ingest-svc, was down the run proves nothing.
    let met_both =
        verdict.without_broker.0 > 0 && (store == Store::Sqlite || verdict.without_an_ingest.0 > 0);
    let is_meaningful = met_both || verdict.faults.is_empty();
    if verdict.is_clean() && is_meaningful { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parsed<T: FromStr>(argument: Option<String>) -> Option<T> {
    argument?.parse().ok()
}
