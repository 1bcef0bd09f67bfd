//! The programs in docs/integrate.md that call the internal API, copied from there: they are started before ingest-svc,
//! which is killed while they send, and bring every record into the log.
//!
//! What they need is installed by `make clients`, in the versions that `tests/clients` names.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use ringpad_tests::{
    cdr::{self, ring},
    guard::Program,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until, within},
};
use tokio::net::TcpListener;

const TOKEN: &str = "an-internal-token-for-tests";
/// The number of the store that the programs create.
const VIRTUAL_NUMBER: &str = "0507-1234-5678";
const RECORDS: usize = 5_000;
const ACCEPTED: &str = "ringpad_records_total{source=\"bizcall\",status=\"accepted\"}";
/// ingest-svc is killed when it has accepted so many.
const BEFORE_KILL: f64 = 500.0;

/// A language's program, and the commands that run it.
struct Example {
    commands: String,
    program: String,
}

impl Example {
    /// Reads the section of that name: the last block of commands, and the one block of code.
    fn of(section: &str, language: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/integrate.md");
        let document = must("docs/integrate.md", fs::read_to_string(file));
        let (_, text) = document.split_once(&format!("\n### {section}\n")).expect("the section is there");
        let (text, _) = text.split_once("\n##").expect("another section follows");
        let blocks = |language: &str| {
            let opening = format!("```{language}\n");
            let blocks = text.split(&opening).skip(1).filter_map(|block| block.split_once("\n```"));
            blocks.map(|(block, _)| block.to_owned()).collect::<Vec<_>>()
        };
        let commands = blocks("sh").pop().expect("commands");
        let [program] = must("one block of code", blocks(language).try_into());
        Self { commands, program }
    }
}

fn installed(what: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(what);
    assert!(path.exists(), "{} is not there: run `make clients`", path.display());
    path
}

/// A directory with the program and all that its commands name.
fn set_up(directory: &Path, file: &str, example: &Example) -> PathBuf {
    let client = directory.join("client");
    must("a directory", fs::create_dir(&client));
    must("the program", fs::write(client.join(file), &example.program));
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    must("the .proto files", symlink(must("proto", proto.canonicalize()), client.join("proto")));
    client
}

/// Records of the programs' store, the eighth of them faulty.
fn write_records(system: &System, file: &Path) {
    let caller = cdr::caller();
    let mut text = String::new();
    for index in 0..RECORDS {
        let mut record = ring(VIRTUAL_NUMBER, &caller);
        system.secrets.note(&record);
        if index == 7 {
            record.sdt = "soon".to_owned();
        }
        text += &must("JSON", serde_json::to_string(&record));
        text.push('\n');
    }
    must("the records", fs::write(file, text));
}

/// How many records got each status, as the program counted them.
fn counted(output: &Path) -> BTreeMap<String, usize> {
    let text = must("the program's output", fs::read_to_string(output));
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let counts = lines.filter(|(name, _)| name.starts_with("INGEST_STATUS_"));
    counts.map(|(name, count)| (name.to_owned(), must(name, count.parse()))).collect()
}

async fn brings_every_record_into_the_log(
    example: &Example,
    file: &str,
    prepare: impl Fn(&Path) -> Option<PathBuf>,
) {
    let settings = [("INTERNAL_TOKEN", TOKEN), ("RUST_LOG", "info")];
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &settings);
    let client = set_up(system.directory.path(), file, example);
    write_records(&system, &client.join("records.jsonl"));
    let run = |output: &str| {
        let script = format!("cd \"$CLIENT\"\n{}", example.commands);
        let path = must("PATH", std::env::var("PATH"));
        let path = prepare(&client).map_or(path.clone(), |first| format!("{}:{path}", first.display()));
        Program::new("bash", client.join(output))
            .argument("-euc")
            .argument(script)
            .set("PATH", path)
            .set("CLIENT", client.display().to_string())
            .set("INGEST", system.ingest_at.grpc.to_string())
            .set("INTERNAL_TOKEN", TOKEN)
            .spawn()
    };
    // A client that connects now finds no process.
    let placeholder = must("a listener", TcpListener::bind(system.ingest_at.grpc).await);
    let mut running = run("first");
    must("the program connects", within("a connection", 3 * SOON, placeholder.accept()).await);
    drop(placeholder);
    system.ingest.start().await;
    until("it sends", SOON, async || (system.metric(ACCEPTED).await > BEFORE_KILL).then_some(())).await;
    system.ingest.kill().await;
    system.ingest.start().await;
    let output = || fs::read_to_string(client.join("first")).unwrap_or_default();
    assert_eq!(running.exit(6 * SOON).await, 0, "{}", output());
    let counts = counted(&client.join("first"));
    assert_eq!(counts.values().sum::<usize>(), RECORDS, "{}", output());
    assert_eq!(counts.get("INGEST_STATUS_UNSPECIFIED"), Some(&1), "{}", output());
    assert_eq!(counts.get("INGEST_STATUS_UNROUTED"), None, "{}", output());
    assert!(output().contains("not a call record"), "the faulty one is named: {}", output());
    // Each of them is in the log.
    assert_eq!(run("second").exit(6 * SOON).await, 0);
    let again = counted(&client.join("second"));
    assert_eq!(again.get("INGEST_STATUS_DUPLICATE"), Some(&(RECORDS - 1)), "{again:?}");
}

#[tokio::test]
async fn the_python_program_brings_every_record_into_the_log() {
    let example = Example::of("Python", "python");
    assert!(example.commands.contains("grpc_tools.protoc"), "{}", example.commands);
    let bin = installed(".venv/bin");
    brings_every_record_into_the_log(&example, "backfill.py", |_| Some(bin.clone())).await;
}

#[tokio::test]
async fn the_node_program_brings_every_record_into_the_log() {
    let example = Example::of("Node", "js");
    let modules = installed("node_modules");
    brings_every_record_into_the_log(&example, "backfill.mjs", |client| {
        let link = client.join("node_modules");
        if !link.exists() {
            must("the packages", symlink(&modules, link));
        }
        None
    })
    .await;
}
