//! The log lines of the services.

use std::fs;

use ringpad_tests::{
    pads::{Pad, StreamEnd, Subscription, Transport},
    rabbit::RabbitNode,
    services::System,
    token::{Claims, in_seconds},
    wait::must,
};

#[tokio::test]
async fn log_lines_in_json_are_one_object_each() {
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &[("LOG_FORMAT", "json")]).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::WebSocket, 0, &store.id).await;
    system.ring(&store).await;
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

#[tokio::test]
async fn the_reason_for_a_refused_token_is_logged_with_its_pad_and_without_its_content() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let tokens = [
        (
            Claims { exp: in_seconds(-1), ..Claims::new("gangnam", "expired-pad") },
            "the token has expired (exp)",
        ),
        (
            Claims {
                aud: "elsewhere".to_owned(),
                name: "김민수".to_owned(),
                ..Claims::new("", "faulty-pad")
            },
            "the token is faulty: store is not a store's id, aud is not \"ringpad\"",
        ),
    ];
    for (claims, said) in tokens {
        for transport in Transport::ALL {
            let asked = Subscription::new(&claims.token());
            let end = Pad::try_open(transport, system.push_at[0].pads, &asked).await.expect_err("no stream");
            assert_eq!(end, StreamEnd::Unauthenticated, "{transport:?}");
        }
        let log = system.push[0].logged();
        let lines = log.lines().filter(|line| line.contains(said));
        let of_the_pad = lines.filter(|line| line.contains("DEBUG") && line.contains(&claims.sub));
        assert_eq!(of_the_pad.count(), Transport::ALL.len(), "{log}");
        assert!(!log.contains("elsewhere") && !log.contains("김민수"), "{log}");
    }
}
