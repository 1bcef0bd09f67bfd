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
    accepts::{CALLERS, IN_FLIGHT, Way},
    installation::{self, Installation},
    statistics::median,
    usage::{Part, Usage},
};

/// Customers of a store that has any.
const CUSTOMERS: u32 = 100_000;

/// How the records are sent.
const WAYS: [Way; 3] = [Way::Stream(1), Way::Http, Way::Stream(IN_FLIGHT)];

/// Whose calls are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calling {
    /// The store has no customers.
    NoCustomers,
    /// None of the store's customers calls: what it costs to look for them.
    Others,
    /// Each caller is a customer: in addition, what it costs to keep and to send who calls.
    Customers,
}

/// An installation with one store, and what its records have cost so far.
struct Measured<'a> {
    calling: Calling,
    installation: Installation<'a>,
    shops: Arc<Vec<Shop>>,
    costs: Vec<f64>,
    rates: Vec<f64>,
}

/// Prints the import's time, and the cost of an accept with and without customers, on each database, taken in turns.
pub(crate) async fn measure(node: &RabbitNode) {
    let server = installation::server().await;
    for on_postgres in [false, true] {
        let mut all = Vec::new();
        for calling in [Calling::NoCustomers, Calling::Others, Calling::Customers] {
            let installation = if on_postgres {
                Installation::on_postgres(node, &server, 1, 1).await
            } else {
                Installation::on_sqlite(node, 1).await
            };
            all.push(prepared(installation, calling).await);
        }
        for way in WAYS {
            for _ in 0..ROUNDS {
                for measured in &mut all {
                    round(measured, node, way).await;
                }
            }
            report(&mut all, way);
        }
    }
}

/// Prints the medians, and those of what each costs more than without customers in the same turn.
fn report(all: &mut [Measured<'_>], way: Way) {
    let floor = all.first().map(|first| first.costs.clone()).unwrap_or_default();
    println!("CPU µs of ingest-svc and the database for an accept, {way}");
    for measured in all {
        let ratios: Vec<_> = measured.costs.iter().zip(&floor).map(|(cost, floor)| cost / floor).collect();
        let words = match measured.calling {
            Calling::NoCustomers => "without customers".to_owned(),
            Calling::Others => format!("with {CUSTOMERS} customers, who do not call"),
            Calling::Customers => format!("with {CUSTOMERS} customers, who call"),
        };
        println!(
            "  {}, {words}: {:.0} ({:+.0} %), {:.0}/s",
            measured.installation.name,
            median(&measured.costs),
            (median(&ratios) - 1.0) * 100.0,
            median(&measured.rates),
        );
        measured.costs.clear();
        measured.rates.clear();
    }
}

async fn prepared(installation: Installation<'_>, calling: Calling) -> Measured<'_> {
    let shops = Arc::new(vec![installation.system.store("shop").await]);
    let measured = Measured { calling, installation, shops, costs: Vec::new(), rates: Vec::new() };
    if calling != Calling::NoCustomers {
        let (first, again) = (import(&measured).await, import(&measured).await);
        println!(
            "{}: customers import of {CUSTOMERS} customers: {:.1} s, the same file again {:.1} s",
            measured.installation.name,
            first.as_secs_f64(),
            again.as_secs_f64()
        );
    }
    measured
}

async fn round(measured: &mut Measured<'_>, node: &RabbitNode, way: Way) {
    let mut usage = Usage::default();
    usage.begin(&measured.installation, node);
    let begun = Instant::now();
    let accepted = way.send(&measured.installation, &measured.shops).await;
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
        // Scattered, as ids and numbers of people are. The first ones are the callers of the records.
        let number = index * 7_919 % CUSTOMERS;
        let calls = number < CALLERS && measured.calling == Calling::Customers;
        let number = if calls { 30_000_000 + number } else { 40_000_000 + number };
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
