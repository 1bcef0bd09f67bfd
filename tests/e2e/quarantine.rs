//! A request that is not a CDR is kept, shown masked, and can be logged after the cause is repaired.

use std::{fs, process::Output};

use http::StatusCode;
use ringpad_tests::{
    cdr,
    http::Client,
    pads::Transport,
    provider::FORM,
    rabbit::RabbitNode,
    services::{System, binary},
    wait::{SOON, must, within},
};
use tokio::process::Command;

/// `02:30` of that day does not exist in New York, where clocks go from 02:00 to 03:00; in Seoul it does.
const SDT: &str = "20260308023000";

pub(crate) async fn ringpad(system: &System, arguments: &[&str]) -> Output {
    let run = Command::new(binary("ringpad"))
        .args(arguments)
        .env("INGEST_URL", format!("http://{}", system.ingest_at.grpc))
        .kill_on_drop(true)
        .output();
    must("ringpad", within("ringpad", SOON, run).await)
}

pub(crate) fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_request_that_was_not_a_cdr_can_be_replayed_after_the_cause_is_repaired() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    let config = system.directory.path().join("sources.toml");
    let source =
        |timezone: &str| format!("[[source]]\nname = \"bizcall\"\nopen = true\ntimezone = \"{timezone}\"\n");
    must("a file", fs::write(&config, source("America/New_York")));
    system.ingest.set("INGEST_CONFIG", &config.display().to_string());
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;

    let caller = cdr::caller();
    system.secrets.note_number(&caller);
    let body = format!("seq=q1&sdt={SDT}&fromn={caller}&vn={}", store.virtual_number);
    let json = format!(r#"{{"seq":"q2","sdt":"never","fromn":"{caller}","vn":"{}"}}"#, store.virtual_number);
    let mut client = Client::new(system.ingest_at.http);
    for (kind, body) in [(FORM, body), ("application/json", json)] {
        let answer = client.send("POST", "/v1/cdr/bizcall", &[("content-type", kind)], body).await;
        assert_eq!(must("an answer", answer).status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    let listed = text(&ringpad(&system, &["quarantine", "list"]).await);
    assert!(listed.contains("seq=q1") && listed.contains("seq=q2") && listed.contains("sdt: "), "{listed}");
    assert!(listed.find("seq=q2") < listed.find("seq=q1"), "the newest first: {listed}");
    system.secrets.assert_none_in("ringpad quarantine list", &listed);
    let replayed = text(&ringpad(&system, &["quarantine", "replay"]).await);
    assert!(replayed.contains("0 logged, 2 still faulty"), "{replayed}");

    must("a file", fs::write(&config, source("Asia/Seoul")));
    system.ingest.stop().await;
    system.ingest.start().await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    let replayed = text(&ringpad(&system, &["quarantine", "replay"]).await);
    assert!(replayed.contains("1 logged, 1 still faulty"), "{replayed}");
    let update = pad.update().await;
    assert!(update.pop_until.is_none(), "a ring of long ago does not pop");
    let listed = text(&ringpad(&system, &["quarantine", "list"]).await);
    assert!(!listed.contains("seq=q1") && listed.contains("seq=q2"), "{listed}");
    let unknown = ringpad(&system, &["quarantine", "replay", "4711"]).await;
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("4711"), "{said}");
}
