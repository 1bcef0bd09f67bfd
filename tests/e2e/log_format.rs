//! `LOG_FORMAT=json`.

use std::fs;

use ringpad_tests::{
    cdr::{self, ring},
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::must,
};

#[tokio::test]
async fn log_lines_in_json_are_one_object_each() {
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &[("LOG_FORMAT", "json")]).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::WebSocket, 0, &store.id).await;
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.update().await;
    for log in ["ingest.log", "push-0.log"] {
        let text = must("a log", fs::read_to_string(system.directory.path().join(log)));
        // The last line may be incomplete.
        let (whole, _) = text.rsplit_once('\n').expect("a line");
        assert!(whole.lines().count() > 3, "{whole}");
        for line in whole.lines() {
            let line: serde_json::Value = must(line, serde_json::from_str(line));
            for member in ["timestamp", "level", "target", "message"] {
                assert!(line.get(member).is_some_and(serde_json::Value::is_string), "no {member}: {line}");
            }
        }
    }
}
