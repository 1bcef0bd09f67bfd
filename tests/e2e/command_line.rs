//! The command line with running services.

use std::fs;

use lapin::{BasicProperties, options::QueueDeclareOptions, types::FieldTable};
use ringpad_tests::{
    cdr::{self, ring},
    port::free_address,
    rabbit::RabbitNode,
    services::{System, binary},
    wait::{SOON, must, until, within},
};
use serde_json::Value;
use tokio::{net::TcpListener, process::Command};

const TOKEN: &str = "an-internal-token-for-tests";

/// The result of a command: exit code, standard output, standard error.
async fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = must("ringpad", within("ringpad", SOON, command.kill_on_drop(true).output()).await);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn ringpad(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("ringpad"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

#[tokio::test]
async fn the_internal_token_can_come_from_a_file() {
    let system = System::start_with(&RabbitNode::shared().await.url(), 0, &[("INTERNAL_TOKEN", TOKEN)]).await;
    let ingest = format!("http://{}", system.ingest_at.grpc);
    let file = system.directory.path().join("token");
    let path = file.display().to_string();
    for end in ["", "\n", "\r\n"] {
        must("a file", fs::write(&file, format!("{TOKEN}{end}")));
        for arguments in [
            &["stores", "list", "--token-file", &path][..],
            &["stores", "--token-file", &path, "list"],
            &["quarantine", "list", "--json", "--token-file", &path],
        ] {
            // The file has priority over the environment.
            let mut command = ringpad(arguments);
            let ended =
                run(command.env("INGEST_URL", &ingest).env("INTERNAL_TOKEN", "another-token-altogether"));
            let (code, _, said) = ended.await;
            assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?} {end:?}");
        }
    }
    let wrong = [("another", "hunter2\n"), ("empty", "\n"), ("two lines", "hunter2\nhunter2\n")];
    for (name, text) in wrong {
        let file = system.directory.path().join(name).display().to_string();
        must("a file", fs::write(&file, text));
        let (code, _, said) =
            run(ringpad(&["stores", "list", "--token-file", &file]).env("INGEST_URL", &ingest)).await;
        let expected = if name == "another" { 1 } else { 2 };
        assert_eq!((code, said.lines().count()), (Some(expected), 1), "{name}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_command_goes_to_the_first_instance_that_is_ready() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 0).await;
    system.store("gangnam").await;
    let closed = free_address();
    // Accepts connections and never answers, as a frozen process does.
    let listener = must("a listener", TcpListener::bind("127.0.0.1:0").await);
    let frozen = must("its address", listener.local_addr());
    let urls = [closed, frozen, system.ingest_at.grpc].map(|at| format!("http://{at}")).join(",");
    let (code, shown, said) = run(&mut ringpad(&["stores", "list", "--ingest-url", &urls])).await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(shown.contains("gangnam"), "{shown}");
    system.ingest.kill().await;
    let (code, _, said) = run(&mut ringpad(&["stores", "list", "--ingest-url", &urls])).await;
    assert_eq!(code, Some(1));
    for at in [closed, frozen, system.ingest_at.grpc] {
        assert!(said.contains(&at.to_string()), "{said}");
    }
    assert!(said.contains("no instance of ingest-svc is ready"), "{said}");
}

#[tokio::test]
async fn a_file_of_a_secret_that_cannot_be_read_or_is_empty_is_a_wrong_setting() {
    let directory = must("a directory", tempfile::tempdir());
    let (empty, none) = (directory.path().join("empty"), directory.path().join("none"));
    must("a file", fs::write(&empty, "\r\n"));
    let (empty, none) = (empty.display().to_string(), none.display().to_string());
    let commands: [(&[&str], &str); 6] = [
        (&["stores", "list"], "--internal-token"),
        (&["stores", "remove", "a"], "--internal-token"),
        (&["quarantine", "replay"], "--internal-token"),
        (&["pad"], "--token"),
        (&["ring", "--vn", "0507-1234-5678", "--from", "010-1234-5678"], "--secret"),
        (&["token", "--store", "a", "--pad", "b"], "--pad-token-secret"),
    ];
    for (command, flag) in commands {
        for (more, named) in [
            (&["--token-file", &empty][..], &empty),
            (&["--token-file", &none], &none),
            (&["--token-file", &empty, flag, "hunter2"], &empty),
        ] {
            let (code, _, said) = run(&mut ringpad(&[command, more].concat())).await;
            assert_eq!((code, said.lines().count()), (Some(2), 1), "{command:?} {more:?}: {said}");
            assert!(
                said.contains(named.as_str()) && !said.contains("hunter2"),
                "{command:?} {more:?}: {said}"
            );
        }
        must("a file", fs::write(directory.path().join("full"), "hunter2"));
        let full = directory.path().join("full").display().to_string();
        let both = [command, &["--token-file", &full, flag, "hunter2"]].concat();
        let (code, _, said) = run(&mut ringpad(&both)).await;
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{both:?}: {said}");
        assert!(said.contains(flag) && said.contains("--token-file") && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn dead_letters_are_listed_as_json_masked() {
    let node = RabbitNode::shared().await;
    let system = System::start(&node.url(), 1).await;
    let listed = async || {
        let mut command = ringpad(&["dead-letters", "list", "--json"]);
        let (code, out, said) =
            run(command.env("AMQP_URL", node.url()).env("AMQP_EXCHANGE", &system.exchange)).await;
        assert_eq!((code, said.as_str()), (Some(0), ""));
        out
    };
    assert_eq!(listed().await, "", "nothing at all");

    let store = system.store("gangnam").await;
    let channel = must("a channel", node.connect().await.create_channel().await);
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let tap = must("a queue", channel.queue_declare("".into(), exclusive, FieldTable::default()).await);
    let (tap, exchange, dead) =
        (tap.name().clone(), system.exchange.clone(), format!("{}.dead", system.exchange));
    must(
        "a binding",
        channel
            .queue_bind(tap.clone(), exchange.as_str().into(), "".into(), <_>::default(), <_>::default())
            .await,
    );
    let caller = cdr::caller();
    system.secrets.note_number(&caller);
    system.provider().deliver(&ring(&store.virtual_number, &caller)).await;
    let dead_letter = async |body: &[u8], properties: BasicProperties| {
        let sent =
            channel.basic_publish(dead.as_str().into(), "".into(), <_>::default(), body, properties).await;
        must("a publish", sent);
    };
    dead_letter(b"{}", BasicProperties::default().with_content_type("application/json".into())).await;
    let lines = until("a call among the dead letters", SOON, async || {
        while let Some(message) = must("basic.get", channel.basic_get(tap.clone(), <_>::default()).await) {
            dead_letter(&message.delivery.data, message.delivery.properties.clone()).await;
        }
        let out = listed().await;
        let lines: Vec<Value> = out.lines().map(|line| must(line, serde_json::from_str(line))).collect();
        system.secrets.assert_none_in("ringpad dead-letters list --json", &out);
        lines.iter().any(|line| line["events"][0]["caller"].is_string()).then_some(lines)
    })
    .await;
    let foreign = &lines[0];
    assert_eq!((&foreign["contentType"], &foreign["bytes"]), (&"application/json".into(), &2.into()));
    for key in ["when", "reason", "queue"] {
        assert!(foreign.get(key).is_some(), "no {key}: {foreign}");
    }
    assert!(foreign["events"].is_null(), "{foreign}");
    let events = lines.iter().filter_map(|line| line["events"].as_array()).flatten();
    let call = events.into_iter().find(|event| event["caller"].is_string());
    let call = call.expect("waited for");
    assert_eq!((&call["storeId"], &call["position"]), (&"gangnam".into(), &1.into()));
    assert_eq!(call["state"], "CALL_STATE_RINGING");
}

#[tokio::test]
async fn a_backup_has_a_file_with_a_name() {
    let directory = must("a directory", tempfile::tempdir());
    for command in ["backup", "restore"] {
        let (code, out, said) = run(ringpad(&[command, "-"]).current_dir(directory.path())).await;
        assert_eq!((code, out.as_str(), said.lines().count()), (Some(2), "", 1), "{command}: {said}");
        assert!(said.contains("standard"), "{said}");
    }
    assert_eq!(must("a directory", fs::read_dir(directory.path())).count(), 0);
}
