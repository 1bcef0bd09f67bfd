//! ingest-svc does what docs/openapi.json says: Schemathesis makes valid and invalid requests from the document, and
//! checks the answers. `make clients` installs it, in the version that `tests/clients/openapi` names.

use std::{fs, path::Path};

use ringpad_tests::{
    guard::Program,
    http::metrics,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must},
};

/// The sources that `schemathesis.toml` names.
const SOURCES: &str =
    "[[source]]\nname = \"open\"\nopen = true\n[[source]]\nname = \"guarded\"\nsecret = \"s3cret\"\n";
/// The least number of logged records: requests that reach no source prove little.
const RECORDS: f64 = 100.0;

#[tokio::test]
async fn requests_made_from_the_openapi_document_are_answered_as_it_says() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &[]);
    system.sources(SOURCES);
    system.ingest.start().await;

    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = tests.join("clients/.venv/bin/schemathesis");
    assert!(installed.exists(), "{} is not there: run `make clients`", installed.display());
    let said = system.directory.path().join("schemathesis.txt");
    // In a directory of its own, since it leaves files behind.
    let script =
        "cd \"$1\" && exec \"$2\" --config-file \"$3/schemathesis.toml\" run \"$4\" --url \"$5\" --no-color";
    let mut program = Program::new("/bin/sh", &said)
        .set("PYTHONPATH", tests.join("clients/openapi").display().to_string())
        .set("SCHEMATHESIS_HOOKS", "hooks")
        .set("PYTHONDONTWRITEBYTECODE", "1");
    program.arguments = ["-c", script, "sh"].map(str::to_owned).to_vec();
    program.arguments.extend([
        system.directory.path().display().to_string(),
        installed.display().to_string(),
        tests.join("clients/openapi").display().to_string(),
        tests.join("../docs/openapi.json").display().to_string(),
        format!("http://{}", system.ingest_at.http),
    ]);
    let code = program.spawn().exit(8 * SOON).await;
    assert_eq!(code, 0, "{}", must("its output", fs::read_to_string(&said)));

    let metrics = metrics(system.ingest_at.admin).await;
    let logged = metrics.lines().filter_map(|line| line.strip_prefix("ringpad_records_total{"));
    let logged: f64 = logged.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
    assert!(logged >= RECORDS, "only {logged} records were logged");
}
