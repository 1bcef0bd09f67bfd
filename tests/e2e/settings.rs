//! A wrong setting ends the start with exit code 2 and one line, a port in use with 1.

use std::{fs, net::TcpListener, path::Path};

use lapin::{ExchangeKind, options::ExchangeDeclareOptions};
use ringpad_tests::{
    guard::Program,
    pads::Transport,
    port::free_port,
    rabbit::{NO_BROKER, RabbitNode},
    secrets::TOKEN_SECRET,
    services::{System, binary},
    wait::{SOON, must},
};
use tonic::{Code, metadata::MetadataValue};

/// Runs a program to its end; returns its exit code and output.
async fn run_to_end(program: Program) -> (i32, String) {
    let log = program.log.clone();
    let code = program.spawn().exit(SOON).await;
    (code, fs::read_to_string(log).expect("its output"))
}

/// A program on loopback and free ports, with valid settings.
pub(crate) fn valid(name: &str, directory: &Path) -> Program {
    let address = || format!("127.0.0.1:{}", free_port());
    let log = directory.join(format!("{name}-{}.log", free_port()));
    let program = Program::new(binary(name), log).set("AMQP_URL", NO_BROKER);
    match name {
        "ingest-svc" => program
            .set("INGEST_HTTP_ADDR", address())
            .set("INGEST_GRPC_ADDR", address())
            .set("INGEST_ADMIN_ADDR", address())
            .set("DATABASE_URL", format!("sqlite://{}/ringpad.db", directory.display())),
        _ => program
            .set("PUSH_ADDR", address())
            .set("PUSH_ADMIN_ADDR", address())
            .set("PAD_TOKEN_SECRET", TOKEN_SECRET),
    }
}

/// Starts `program` and expects one line with all these words, which it returns.
pub(crate) async fn refused(program: Program, words: &[&str]) -> String {
    let (code, said) = run_to_end(program).await;
    assert_eq!(code, 2, "{said}");
    assert_eq!(said.lines().filter(|line| !line.trim().is_empty()).count(), 1, "one line: {said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    said
}

#[tokio::test]
async fn a_wrong_setting_is_reported_in_one_line_with_its_name_and_value() {
    let directory = tempfile::tempdir().expect("a directory");
    let ingest = [
        ("POPUP_TTL", "soon"),
        ("INGEST_HTTP_ADDR", "nowhere"),
        ("INGEST_GRPC_ADDR", "127.0.0.1"),
        ("RETENTION", "for ever"),
        ("LOG_FORMAT", "xml"),
        ("AMQP_CA_FILE", "/nowhere/ca.pem"),
        ("INGEST_CONFIG", "/nowhere/ingest.toml"),
    ];
    for (name, value) in ingest {
        refused(valid("ingest-svc", directory.path()).set(name, value), &[name, value]).await;
    }
    let push = [
        ("PUSH_ADDR", "8081"),
        ("HEARTBEAT_INTERVAL", "0s"),
        ("DRAIN_WINDOW", "ten"),
        ("INGEST_URL", "not a url"),
        ("RETRY_MAX_INTERVAL", "30"),
        ("RUST_LOG", "push_svc=loud"),
    ];
    for (name, value) in push {
        refused(valid("push-svc", directory.path()).set(name, value), &[name, value]).await;
    }
    for name in ["ingest-svc", "push-svc"] {
        refused(valid(name, directory.path()).argument("--amqp-ulr=x"), &["--amqp-ulr"]).await;
    }
}

#[tokio::test]
async fn a_secret_setting_is_named_and_not_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let short = valid("push-svc", directory.path()).set("PAD_TOKEN_SECRET", "hunter2");
    let url = |name| valid(name, directory.path()).set("AMQP_URL", "http://guest:hunter2@127.0.0.1");
    let cases = [(short, "PAD_TOKEN_SECRET"), (url("push-svc"), "AMQP_URL"), (url("ingest-svc"), "AMQP_URL")];
    for (program, name) in cases {
        let (code, said) = run_to_end(program).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
    }
    let mut without = valid("push-svc", directory.path());
    without.environment.retain(|(name, _)| name != "PAD_TOKEN_SECRET");
    refused(without, &["PAD_TOKEN_SECRET"]).await;

    for name in ["ingest-svc", "push-svc"] {
        let program = valid(name, directory.path()).argument("--help").set("INTERNAL_TOKEN", "hunter2");
        let (code, said) = run_to_end(program).await;
        assert_eq!(code, 0);
        for setting in
            ["AMQP_URL", "AMQP_EXCHANGE", "ringpad-exchange", "RETRY_MAX_INTERVAL", "30s", "LOG_FORMAT"]
        {
            assert!(said.contains(setting), "no {setting} in {name} --help");
        }
        assert!(
            !said.contains("hunter2")
                && !said.contains(TOKEN_SECRET)
                && !said.contains("guest:guest@127.0.0.1:9")
        );
    }
}

#[tokio::test]
async fn an_unknown_or_faulty_key_of_the_sources_file_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let cases = [
        ("[[source]]\nname = \"bizcall\"\nopne = true\n", "opne"),
        ("[[source]]\nname = \"bizcall\"\n", "bizcall"),
        ("[[source]]\nname = \"bizcall\"\nallow = [\"210.109.108.0/99\"]\n", "210.109.108.0/99"),
        ("[[source]]\nname = \"bizcall\"\nopen = true\ntimezone = \"Asia/Soul\"\n", "Asia/Soul"),
    ];
    for (index, (text, word)) in cases.into_iter().enumerate() {
        let file = directory.path().join(format!("{index}.toml"));
        fs::write(&file, text).expect("a file");
        let program = valid("ingest-svc", directory.path()).set("INGEST_CONFIG", file.display().to_string());
        refused(program, &["INGEST_CONFIG", word]).await;
    }
}

#[tokio::test]
async fn the_internal_grpc_beyond_loopback_needs_a_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let everywhere = format!("0.0.0.0:{}", free_port());
    let program = valid("ingest-svc", directory.path()).set("INGEST_GRPC_ADDR", everywhere);
    refused(program, &["INTERNAL_TOKEN"]).await;

    let settings = [("INTERNAL_TOKEN", "an-internal-token-for-tests")];
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let mut stores = system.stores().await;
    let list = || tonic::Request::new(ringpad_proto::v1::ListStoresRequest::default());
    assert_eq!(stores.list_stores(list()).await.expect_err("no token").code(), Code::Unauthenticated);
    let mut with_token = list();
    with_token
        .metadata_mut()
        .insert("authorization", MetadataValue::from_static("Bearer an-internal-token-for-tests"));
    assert!(stores.list_stores(with_token).await.is_ok());
    assert!(!system.ingest.logged().contains("an-internal-token-for-tests"));
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_ends_the_start_with_exit_code_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a-file");
    fs::write(&file, "not a database, and far too long to be an empty one").expect("a file");
    let nowhere = format!("{}/beneath/ringpad.db", file.display());
    for path in [nowhere, file.display().to_string()] {
        let program = valid("ingest-svc", directory.path()).set("DATABASE_URL", format!("sqlite://{path}"));
        let (code, said) = run_to_end(program).await;
        assert_eq!(code, 1, "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains("DATABASE_URL") && last.contains(&path), "{last}");
    }
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_exit_code_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let cases = [
        ("ingest-svc", "INGEST_HTTP_ADDR"),
        ("ingest-svc", "INGEST_GRPC_ADDR"),
        ("ingest-svc", "INGEST_ADMIN_ADDR"),
        ("push-svc", "PUSH_ADDR"),
        ("push-svc", "PUSH_ADMIN_ADDR"),
    ];
    for (name, setting) in cases {
        let (code, said) = run_to_end(valid(name, directory.path()).set(setting, address.clone())).await;
        assert_eq!(code, 1, "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains(setting) && last.contains(&address), "{last}");
    }
}

#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let optional = [
        "INGEST_CONFIG",
        "INTERNAL_TOKEN",
        "POPUP_TTL",
        "RETENTION",
        "AMQP_CA_FILE",
        "AMQP_EXCHANGE",
        "AMQP_QUEUE_PREFIX",
        "AMQP_DEAD_LETTER_EXCHANGE",
        "RETRY_INITIAL_INTERVAL",
        "RETRY_MAX_INTERVAL",
        "LOG_FORMAT",
        "RUST_LOG",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "PAD_TOKEN_URL",
        "PAD_ALLOWED_ORIGINS",
        "HEARTBEAT_INTERVAL",
        "DRAIN_WINDOW",
    ];
    let settings = optional.map(|name| (name, ""));
    let system = System::start_with(&RabbitNode::start().await.url(), 1, &settings).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    system.ring(&store).await;
    assert!(pad.update().await.pop_until.is_some());

    // Where one is required, or has another meaning, it counts as missing.
    let directory = tempfile::tempdir().expect("a directory");
    let without_key = valid("push-svc", directory.path()).set("PAD_TOKEN_SECRET", "");
    refused(without_key, &["PAD_TOKEN_SECRET", "required, but not set"]).await;
    let everywhere = format!("0.0.0.0:{}", free_port());
    let without_token =
        valid("ingest-svc", directory.path()).set("INGEST_GRPC_ADDR", everywhere).set("INTERNAL_TOKEN", "");
    refused(without_token, &["INTERNAL_TOKEN", "required"]).await;
    // An empty flag is a value.
    let flag = valid("ingest-svc", directory.path()).argument("--popup-ttl=");
    refused(flag, &["POPUP_TTL", "\"\" is wrong"]).await;

    // The command line reads its settings from subcommands.
    let list = Program::new(binary("ringpad"), directory.path().join("ringpad.log"));
    let list = list.argument("stores").argument("list").set("INTERNAL_TOKEN", "").set("RUST_LOG", "");
    let list = list.set("INGEST_URL", format!("http://{}", system.ingest_at.grpc));
    let (code, said) = run_to_end(list).await;
    assert!(code == 0 && said.contains(&store.id), "{code}: {said}");
}

#[tokio::test]
async fn an_exchange_of_another_type_ends_the_start_with_the_command_that_repairs_it() {
    let node = RabbitNode::shared().await;
    let mut system = System::prepare(&node.url(), 1, &[]);
    let channel = must("a channel", node.connect().await.create_channel().await);
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let name = system.exchange.clone();
    must(
        "an exchange",
        channel.exchange_declare(name.as_str().into(), ExchangeKind::Topic, options, <_>::default()).await,
    );
    for service in [&mut system.ingest, &mut system.push[0]] {
        service.spawn();
        assert_eq!(service.exit().await, 2);
        let logged = service.logged();
        let last = logged.lines().last().unwrap_or_default();
        for word in [name.as_str(), "topic", "fanout", "delete"] {
            assert!(last.contains(word), "no {word:?} in the last line: {last}");
        }
    }
}
