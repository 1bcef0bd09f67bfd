//! `make chaos SEED=… MINUTES=…`: a run with many faults on real binaries and a private RabbitMQ node. It prints the result, and
//! exits 1 if a promise of the product was not kept. See `ringpad_tests::chaos`.
#![expect(clippy::print_stdout, reason = "the figures are for the terminal")]

use std::{process::ExitCode, str::FromStr, time::Duration};

use ringpad_tests::{
    chaos::{Broker, Plan, schedule::schedule},
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
    let (Some(seed), Some(minutes), None) =
        (number(arguments.next()), number::<u64>(arguments.next()), arguments.next())
    else {
        println!("usage: ringpad-chaos SEED MINUTES");
        return ExitCode::from(2);
    };
    let length = Duration::from_secs(60 * minutes);
    let planned_faults = schedule(seed, length);
    println!(
        "seed {seed}, {minutes} min, {} faults, {STORES} stores with 3 pads each and one that comes late, {CALLS_A_SECOND} calls/s",
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
    // Without a request while the broker was down the run proves nothing.
    let is_meaningful = verdict.without_broker.0 > 0 || verdict.faults.is_empty();
    if verdict.is_clean() && is_meaningful { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number<T: FromStr>(argument: Option<String>) -> Option<T> {
    argument?.parse().ok()
}
