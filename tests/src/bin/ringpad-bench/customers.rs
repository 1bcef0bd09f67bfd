//! Many customers: how long their import takes, and whether a record costs more because its store has them.

use std::{
    fmt::Write,
    fs,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use ringpad_tests::{
    rabbit::RabbitNode,
    services::{Shop, binary},
    wait::must,
};
use tokio::process::Command;

use crate::{
    ROUNDS,
    accepts::{CALLERS, IN_FLIGHT, over_stream},
    installation::{self, Installation},
    statistics::median,
    usage::{Part, Usage},
};

/// Customers of the store: each caller, and many that do not call.
const CUSTOMERS: u32 = 100_000;

/// An installation with one store, and what its records have cost so far.
struct Measured<'a> {
    installation: Installation<'a>,
    shops: Arc<Vec<Shop>>,
    costs: Vec<f64>,
    rates: Vec<f64>,
}

/// Prints the import's time, and the cost of an accept with and without customers, on each database, taken in turns.
pub(crate) async fn measure(node: &RabbitNode) {
    let server = installation::server().await;
    let pairs = [
        [Installation::on_sqlite(node, 1).await, Installation::on_sqlite(node, 1).await],
        [
            Installation::on_postgres(node, &server, 1, 1).await,
            Installation::on_postgres(node, &server, 1, 1).await,
        ],
    ];
    for [without, with] in pairs {
        let mut pair = [prepared(without).await, prepared(with).await];
        let name = pair[0].installation.name;
        let took = import(&pair[1]).await;
        println!(
            "{name}: customers import of {CUSTOMERS} customers: {:.1} s, the same file again {:.1} s",
            took.as_secs_f64(),
            import(&pair[1]).await.as_secs_f64()
        );
        for in_flight in [1, IN_FLIGHT] {
            for _ in 0..ROUNDS {
                for measured in &mut pair {
                    round(measured, node, in_flight).await;
                }
            }
            let [without, with] = &mut pair;
            let ratios: Vec<_> =
                with.costs.iter().zip(&without.costs).map(|(with, without)| with / without).collect();
            println!(
                "{name}: CPU µs of ingest-svc and the database for an accept, {in_flight} in flight: {:.0} without customers, {:.0} with {CUSTOMERS} ({:+.0} %); {:.0}/s and {:.0}/s",
                median(&without.costs),
                median(&with.costs),
                (median(&ratios) - 1.0) * 100.0,
                median(&without.rates),
                median(&with.rates),
            );
            for measured in &mut pair {
                measured.costs.clear();
                measured.rates.clear();
            }
        }
    }
}

async fn prepared(installation: Installation<'_>) -> Measured<'_> {
    let shops = Arc::new(vec![installation.system.store("shop").await]);
    Measured { installation, shops, costs: Vec::new(), rates: Vec::new() }
}

async fn round(measured: &mut Measured<'_>, node: &RabbitNode, in_flight: usize) {
    let mut usage = Usage::default();
    usage.begin(&measured.installation, node);
    let begun = Instant::now();
    let accepted = over_stream(measured.installation.system.ingest_at.grpc, &measured.shops, in_flight).await;
    let took = begun.elapsed();
    usage.end(&measured.installation, node);
    measured.costs.push(usage.each(Part::Ingest, accepted) + usage.each(Part::Postgres, accepted));
    measured.rates.push(f64::from(accepted) / took.as_secs_f64());
}

/// Imports the customers; how long that took.
async fn import(measured: &Measured<'_>) -> Duration {
    let system = &measured.installation.system;
    let mut text = "id,name,number,car_number,note\n".to_owned();
    for index in 0..CUSTOMERS {
        // The callers of `over_stream` come first; scattered, as ids and numbers of people are.
        let number = index * 7_919 % CUSTOMERS;
        let number = if number < CALLERS { 30_000_000 + number } else { 40_000_000 + number };
        let number = format!("010-{:04}-{:04}", number / 10_000, number % 10_000);
        must(
            "a row",
            writeln!(text, "c{index:06},김민수 {index},{number},12가 {:04},하부 세차를 원함", index % 10_000),
        );
    }
    let file = system.directory.path().join("customers.csv");
    must("the file", fs::write(&file, text));
    let begun = Instant::now();
    let mut command = Command::new(binary("ringpad"));
    command.args(["customers", "import", "--store", "shop"]).arg(&file);
    command.arg("--ingest-url").arg(format!("http://{}", system.ingest_at.grpc));
    let status = must("ringpad customers import", command.stdout(Stdio::null()).status().await);
    assert!(status.success(), "{status}");
    begun.elapsed()
}
