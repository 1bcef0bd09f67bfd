//! docs/reference.md has exactly the settings, ports, answers, RPCs, commands and metrics that the programs have, and
//! docs/operate.md quotes log lines that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use prost::Message;
use prost_types::FileDescriptorSet;
use ringpad_tests::{
    http::metrics,
    nginx::shipped_text,
    rabbit::RabbitNode,
    services::{System, binary},
    wait::{SOON, must, until},
};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    deployment::{run, settings},
    settings::{refused, valid},
};

/// The cells of all table rows between a heading and the next one. An empty first cell repeats the one above it.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let document = shipped_text("docs/reference.md");
    let (_, text) = document.split_once(&format!("\n{heading}\n")).expect(heading);
    let section = text.lines().take_while(|line| !line.starts_with('#'));
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in section.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')) {
        let mut cells: Vec<_> = line.split(" | ").map(|cell| cell.trim().to_owned()).collect();
        if cells[0].is_empty() {
            cells[0] = rows.last().expect("a row above")[0].clone();
        }
        rows.push(cells);
    }
    // The header and the line below it.
    let rows: Vec<_> = rows.into_iter().filter(|row| row.iter().any(|cell| cell.contains('`'))).collect();
    assert!(!rows.is_empty(), "no table in {heading}");
    rows
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn first_quoted(cell: &str) -> String {
    quoted(cell).next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_settings_and_their_defaults_are_those_of_the_programs() {
    for program in ["ingest-svc", "push-svc"] {
        let tables =
            [rows("### Settings of both services"), rows(&format!("### Settings of {program}"))].concat();
        let documented: BTreeMap<_, _> =
            tables.iter().map(|row| (first_quoted(&row[0]), first_quoted(&row[1]))).collect();
        assert_eq!(documented, settings(program).await, "{program}");
    }
}

#[tokio::test]
async fn the_keys_of_a_source_are_those_that_ingest_svc_knows() {
    let documented: BTreeSet<_> =
        rows("### Sources (`INGEST_CONFIG`)").iter().map(|row| first_quoted(&row[0])).collect();
    let directory = must("a directory", tempfile::tempdir());
    let file = directory.path().join("ingest.toml");
    must("a file", fs::write(&file, "[[source]]\nunknown = 1\n"));
    let program = valid("ingest-svc", directory.path()).set("INGEST_CONFIG", file.display().to_string());
    let said = refused(program, &["unknown field"]).await;
    let (_, known) = said.split_once("expected one of").expect("the keys that it knows");
    assert_eq!(documented, quoted(known).map(str::to_owned).collect());
}

#[tokio::test]
async fn the_ports_are_those_of_the_settings() {
    let table = rows("## Programs and ports").into_iter().filter(|row| row.len() > 3);
    let documented: BTreeMap<_, _> =
        table.map(|row| (first_quoted(&row[2]), first_quoted(&row[3]))).collect();
    let mut known = settings("ingest-svc").await;
    known.extend(settings("push-svc").await);
    known.retain(|name, _| name.ends_with("_ADDR"));
    assert_eq!(documented, known);
}

#[test]
fn the_answers_to_providers_are_those_of_openapi_json() {
    let documented: BTreeSet<_> =
        rows("## HTTP for number providers").iter().map(|row| first_quoted(&row[0])).collect();
    let document: Value = must("openapi.json", serde_json::from_str(&shipped_text("docs/openapi.json")));
    let operations = document["paths"]["/v1/cdr/{source}"].as_object().expect("the path");
    let answers = operations.values().filter_map(|operation| operation["responses"].as_object());
    assert_eq!(documented, answers.flat_map(|answers| answers.keys().cloned()).collect());
}

#[test]
fn the_rpcs_are_those_of_the_contract() {
    let table = rows("## gRPC").into_iter().filter(|row| row[2].contains('→'));
    let documented: BTreeSet<_> =
        table.map(|row| (first_quoted(&row[0]), first_quoted(&row[1]), row[2].clone())).collect();
    let files = must("descriptors", FileDescriptorSet::decode(ringpad_proto::FILE_DESCRIPTOR_SET)).file;
    let how = |streams: bool| if streams { "stream" } else { "one" };
    let mut defined = BTreeSet::new();
    for service in files.iter().filter(|file| file.package() == "ringpad.v1").flat_map(|file| &file.service) {
        for rpc in &service.method {
            let kind = format!("{} → {}", how(rpc.client_streaming()), how(rpc.server_streaming()));
            defined.insert((service.name().to_owned(), rpc.name().to_owned(), kind));
        }
    }
    assert_eq!(documented, defined);
}

/// The words of each command that has no commands of its own, and its `--help`.
async fn commands(words: &str) -> Vec<(String, String)> {
    let help = run(Command::new(binary("ringpad")).args(words.split_whitespace()).arg("--help")).await;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let Some((_, below)) = help.split_once("\nCommands:\n") else {
        return vec![(words.to_owned(), help)];
    };
    let mut found = Vec::new();
    for name in below.lines().map_while(|line| line.split_whitespace().next()).filter(|name| *name != "help")
    {
        found.extend(Box::pin(commands(format!("{words} {name}").trim())).await);
    }
    found
}

#[tokio::test]
async fn the_commands_and_their_arguments_are_those_of_ringpad() {
    // Every command has these.
    const OF_ALL: [&str; 4] = ["--help", "--version", "--log-format", "--rust-log"];
    let is_argument = |word: &&str| {
        let flag = word
            .strip_prefix("--")
            .is_some_and(|name| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-')));
        flag || word.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    let documented: BTreeMap<_, BTreeSet<_>> = rows("## The command line")
        .iter()
        .map(|row| (first_quoted(&row[0]), quoted(&row[1]).filter(is_argument).map(str::to_owned).collect()))
        .collect();
    let mut known = BTreeMap::new();
    for (words, help) in commands("").await {
        // An argument stands in a line of its own; explanations are indented by more.
        let lines = help.lines().filter(|line| line.starts_with("  ") && !line.starts_with("       "));
        let first = |line: &'_ str| {
            let mut words = line.split_whitespace();
            words.find(|word| word.starts_with("--") || word.starts_with(['<', '['])).map(str::to_owned)
        };
        let arguments = lines
            .filter_map(first)
            .map(|word| word.trim_end_matches('.').trim_matches(['<', '>', '[', ']']).to_owned());
        known.insert(words, arguments.filter(|word| !OF_ALL.contains(&word.as_str())).collect());
    }
    assert_eq!(documented, known);
}

/// A metric's type and its labels.
type Kind = (String, BTreeSet<String>);

/// The metrics that a `/metrics` in the text format 0.0.4 shows, named as in queries.
fn exposed(text: &str) -> BTreeMap<String, Kind> {
    let mut found: BTreeMap<String, Kind> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            current = name.to_owned();
            found.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            let known = found.get_mut(&current).expect("a TYPE line comes first");
            known.1.extend(labels.filter(|label| label != "le"));
        }
    }
    found
}

/// The names in quotes in a program's source; of those, `metrics` are surely metrics.
#[derive(Default)]
struct Quoted {
    all: BTreeSet<String>,
    metrics: BTreeSet<String>,
}

impl Quoted {
    fn read(&mut self, directory: &Path) {
        for entry in must("a directory", fs::read_dir(directory)).flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                self.read(&path);
            } else if name.to_string_lossy().ends_with(".rs") && !name.to_string_lossy().contains("tests") {
                let text = must("a source", fs::read_to_string(&path));
                let pieces: Vec<_> = text.split('"').collect();
                for pair in pieces.windows(2) {
                    let (before, piece) = (pair[0].trim_end(), pair[1]);
                    if piece.is_empty()
                        || !piece.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
                    {
                        continue;
                    }
                    let is_registered =
                        before.ends_with("register(") || before.ends_with("register_with_unit(");
                    if is_registered || piece.starts_with("ringpad_") {
                        self.metrics.insert(piece.to_owned());
                    }
                    self.all.insert(piece.to_owned());
                }
            }
        }
    }
}

#[tokio::test]
async fn the_metrics_are_those_of_the_programs() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let _pads = system.pads(&store.id).await;
    system.ring_over_the_bus(&store).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (service, admin, seen) in [
        ("ingest-svc", system.ingest_at.admin, "ringpad_publish_confirm_seconds"),
        ("push-svc", system.push_at[0].admin, "ringpad_push_receipt_to_pad_seconds"),
    ] {
        let mut documented = BTreeMap::new();
        for row in [rows(&format!("### Metrics of {service}")), rows("### Metrics of both services")].concat()
        {
            let name = first_quoted(&row[0]);
            let (name, labels) = name.split_once('{').unwrap_or((&name, ""));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            documented.insert(name.to_owned(), (row[1].clone(), labels.map(str::to_owned).collect()));
        }
        let shown = until("the call is measured", SOON, async || {
            let shown = exposed(&metrics(admin).await);
            shown.contains_key(seen).then_some(shown)
        })
        .await;
        assert!(shown.len() > 10, "{shown:?}");
        for (name, kind) in &shown {
            assert_eq!(
                documented.get(name),
                Some(kind),
                "{service}: {name} in docs/reference.md, and as it is"
            );
        }
        // A metric with labels is shown only after its first event, and some events are rare.
        let mut quoted = Quoted::default();
        for directory in [service, "runtime"] {
            quoted.read(&root.join(directory).join("src"));
        }
        // The registry of push-svc has this prefix.
        quoted.metrics.remove("ringpad_push");
        let plain = |name: &str| {
            let name = name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(name);
            name.strip_prefix("ringpad_push_").unwrap_or(name).to_owned()
        };
        let without_unit = |name: &str| {
            name.strip_suffix("_seconds").or(name.strip_suffix("_bytes")).unwrap_or(name).to_owned()
        };
        let names: BTreeSet<_> = documented.keys().map(|name| plain(name)).collect();
        let short: BTreeSet<_> = names.iter().map(|name| without_unit(name)).collect();
        for name in quoted.metrics.iter().map(|name| plain(name)) {
            let is_documented = names.contains(&name) || short.contains(&name);
            assert!(is_documented, "{service}: {name} is not in docs/reference.md");
        }
        for name in documented.keys().filter(|name| !shown.contains_key(*name)) {
            let (name, short) = (plain(name), without_unit(&plain(name)));
            let is_named = [&name, &short].into_iter().any(|name| quoted.all.contains(name));
            assert!(is_named, "{service} has no metric {name}");
        }
    }
}

#[test]
fn the_log_lines_in_operate_md_are_those_of_push_svc() {
    let document = shipped_text("docs/operate.md");
    let (_, table) = document.split_once("| log line | look at |\n").expect("the table");
    let rows = table.lines().skip(1).map_while(|line| line.strip_prefix("| `"));
    let quotes: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(quotes.len(), 3, "{quotes:?}");
    let source = shipped_text("push-svc/src/subscription.rs");
    for quote in quotes {
        assert!(source.contains(quote), "push-svc does not log {quote:?}");
    }
}
