//! Many stores: how long their import takes, and whether a record costs more because of them.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use ringpad_tests::{
    rabbit::RabbitNode,
    services::{Shop, System, binary},
    wait::must,
};
use tokio::{process::Command, time::sleep};

use crate::{
    ROUNDS, SETTINGS,
    accepts::{IN_FLIGHT, over_stream},
    statistics::median,
    usage,
};

/// Stores of the import that is timed.
const IMPORT: usize = 50_000;
/// Stores of the two systems whose records are compared.
const FEW_AND_MANY: [usize; 2] = [100, 100_000];
/// Stores that calls go to, in both.
const CALLED: usize = 100;
/// How often the write-ahead log is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// A prime number above all of the above: numbers scattered by it come in no order, and none twice.
const PRIME: usize = 100_003;

/// Prints the import's time and size, and the cost of an accept with few and with many stores.
pub(crate) async fn measure(node: &RabbitNode) {
    let system = System::start_with(&node.url(), 0, &SETTINGS).await;
    for (what, renamed) in [("new stores", ""), ("the same file again", ""), ("all renamed", " 2호점")] {
        let (seconds, wal) = import(&system, IMPORT, renamed).await;
        println!(
            "stores import of {IMPORT} stores, {what}: {seconds:.1} s, write-ahead log {:.0} MiB at most",
            wal as f64 / 1024.0 / 1024.0
        );
    }
    drop(system);

    let mut systems = Vec::new();
    for stores in FEW_AND_MANY {
        let system = System::start_with(&node.url(), 1, &SETTINGS).await;
        import(&system, stores, "").await;
        systems.push((stores, system));
    }
    let shops = std::sync::Arc::new((0..CALLED).map(shop).collect::<Vec<_>>());
    for in_flight in [1, IN_FLIGHT] {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for ((_, system), costs) in systems.iter().zip(&mut costs) {
                let spent = || usage::of(system.ingest.running().pid());
                let before = spent();
                let accepted = over_stream(system.ingest_at.grpc, &shops, in_flight).await;
                costs.push((spent() - before).as_secs_f64() * 1e6 / f64::from(accepted));
            }
        }
        let [few, many] = costs.map(|costs| median(&costs));
        println!(
            "CPU µs of ingest-svc for an accept, {in_flight} in flight: {few:.0} with {} stores, {many:.0} with {} ({:+.0} %)",
            FEW_AND_MANY[0],
            FEW_AND_MANY[1],
            (many / few - 1.0) * 100.0
        );
    }
}

/// A store of the file: its numbers are in another order than the stores.
fn shop(index: usize) -> Shop {
    let (dialled, line) = (index * 7_919 % PRIME, index * 31_337 % PRIME);
    Shop {
        id: format!("store-{index:06}"),
        virtual_number: format!("0507-{:04}-{:04}", 1_000 + dialled / 10_000, dialled % 10_000),
        line: format!("02-{:04}-{:04}", 2_000 + line / 10_000, line % 10_000),
    }
}

/// Imports so many stores; seconds, and the largest size of the write-ahead log meanwhile.
async fn import(system: &System, stores: usize, renamed: &str) -> (f64, u64) {
    let mut text = "store_id,name,virtual_number,line\n".to_owned();
    for index in 0..stores {
        let Shop { id, virtual_number, line } = shop(index);
        must("a row", writeln!(text, "{id},행복 세차 {index}{renamed},{virtual_number},{line}"));
    }
    let file = system.directory.path().join("stores.csv");
    must("the file", fs::write(&file, text));
    let begun = Instant::now();
    let mut command = Command::new(binary("ringpad"));
    command.args(["stores", "import"]).arg(&file);
    command.arg("--ingest-url").arg(format!("http://{}", system.ingest_at.grpc));
    let mut running = must("ringpad stores import", command.stdout(Stdio::null()).spawn());
    let (wal, mut largest) = (system.directory.path().join("ringpad.db-wal"), 0);
    let status = loop {
        tokio::select! {
            status = running.wait() => break must("its end", status),
            () = sleep(LOOK) => largest = largest.max(bytes(&wal)),
        }
    };
    assert!(status.success(), "{status}");
    (begun.elapsed().as_secs_f64(), largest.max(bytes(&wal)))
}

fn bytes(file: &PathBuf) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}
