//! What services say of themselves: reflection on the gRPC ports, and log lines for machines.

use std::fs;

use futures_util::{StreamExt, stream};
use ringpad_tests::{
    cdr::{self, ring},
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, within},
};
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[tokio::test]
async fn both_grpc_ports_describe_their_services() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let ports = [
        (system.ingest_at.grpc, &["ringpad.v1.IngestService", "ringpad.v1.StoreService"][..]),
        (system.push_at[0].pads, &["ringpad.v1.PadService"][..]),
    ];
    for (port, expected) in ports {
        let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{port}")));
        let mut client = ServerReflectionClient::new(must("a connection", endpoint.connect().await));
        let ask = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let asked = client.server_reflection_info(stream::iter([ask])).await;
        let mut answers = must("reflection", asked).into_inner();
        let answer = within("an answer", SOON, answers.next()).await.expect("one answer");
        let Some(MessageResponse::ListServicesResponse(listed)) = must("an answer", answer).message_response
        else {
            panic!("{port} does not list its services");
        };
        let names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
        for service in expected.iter().chain(&["grpc.health.v1.Health"]) {
            assert!(names.iter().any(|name| name == service), "{port} describes {names:?}");
        }
    }
}

#[tokio::test]
async fn log_lines_for_machines_are_one_json_object_each() {
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &[("LOG_FORMAT", "json")]).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::WebSocket, 0, &store.id).await;
    system.provider().take(&ring(&store.virtual_number, &cdr::caller())).await;
    pad.update().await;
    for log in ["ingest.log", "push-0.log"] {
        let text = must("a log", fs::read_to_string(system.directory.path().join(log)));
        // The last line may be half-written still.
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
