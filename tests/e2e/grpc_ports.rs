//! What both gRPC ports offer besides their services, for the tools of other teams: reflection, health by name, an answer
//! to unknown methods, compressed requests, a bearer token in any case.

use std::{collections::BTreeSet, net::SocketAddr};

use futures_util::{StreamExt, stream};
use http::StatusCode;
use prost::Message;
use prost_types::FileDescriptorProto;
use ringpad_proto::v1::{
    ClaimCallRequest, DeleteStoreRequest, IngestCallRequest, IngestCallStreamRequest, ListStoresRequest,
    Store, UpsertStoreRequest, ingest_service_client::IngestServiceClient,
    pad_service_client::PadServiceClient, store_service_client::StoreServiceClient,
};
use ringpad_tests::{
    http::{Client, channel},
    rabbit::RabbitNode,
    services::System,
    token::Claims,
    wait::{SOON, must, within},
};
use tonic::{Code, Request, Status, codec::CompressionEncoding, metadata::MetadataValue};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

const SHARED: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Both ports, and the services of each besides health and reflection.
fn ports(system: &System) -> [(SocketAddr, &'static [&'static str]); 2] {
    [
        (
            system.ingest_at.grpc,
            &[
                "ringpad.v1.CustomerService",
                "ringpad.v1.IngestService",
                "ringpad.v1.PairingService",
                "ringpad.v1.StoreService",
            ],
        ),
        (system.push_at[0].pads, &["ringpad.v1.PadService", "ringpad.v1.PairingService"]),
    ]
}

/// Sends one request to reflection v1.
async fn reflected(
    port: SocketAddr,
    wanted: v1::server_reflection_request::MessageRequest,
) -> Result<v1::server_reflection_response::MessageResponse, Status> {
    let ask = v1::ServerReflectionRequest { message_request: Some(wanted), ..Default::default() };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel(port).await)
        .send_compressed(CompressionEncoding::Gzip);
    let mut answers = client.server_reflection_info(stream::iter([ask])).await?.into_inner();
    let answer = within("an answer", SOON, answers.next()).await.expect("one answer")?;
    Ok(answer.message_response.expect("an answer has a message"))
}

/// The names that reflection v1alpha lists.
async fn listed_by_v1alpha(port: SocketAddr) -> Vec<String> {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut client = ServerReflectionClient::new(channel(port).await);
    let mut answers = must("v1alpha", client.server_reflection_info(stream::iter([ask])).await).into_inner();
    let answer = within("an answer", SOON, answers.next()).await.expect("one answer");
    match must("an answer", answer).message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            list.service.into_iter().map(|one| one.name).collect()
        }
        other => panic!("{port} does not list its services: {other:?}"),
    }
}

#[tokio::test]
async fn both_ports_describe_what_they_serve_and_nothing_else() {
    use v1::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    for (port, own) in ports(&system) {
        let served: BTreeSet<_> = own.iter().chain(&SHARED).map(|name| (*name).to_owned()).collect();
        let listed = match must("v1", reflected(port, MessageRequest::ListServices(String::new())).await) {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|one| one.name).collect()
            }
            other => panic!("{port} does not list its services: {other:?}"),
        };
        assert_eq!(served, listed, "{port}, v1");
        assert_eq!(served, listed_by_v1alpha(port).await.into_iter().collect(), "{port}, v1alpha");
        // The listed services and the details of a status can be read with these descriptions alone.
        let details = [
            "google.rpc.BadRequest",
            "google.rpc.PreconditionFailure",
            "google.rpc.RetryInfo",
            "ringpad.v1.Claim",
        ];
        let mut wanted: Vec<_> = served.into_iter().chain(details.map(str::to_owned)).collect();
        wanted.reverse();
        let mut files = Vec::new();
        let mut known = BTreeSet::new();
        while !wanted.is_empty() || !files.is_empty() {
            let ask = match (files.pop(), wanted.pop()) {
                (Some(file), symbol) => {
                    wanted.extend(symbol);
                    MessageRequest::FileByFilename(file)
                }
                (None, symbol) => MessageRequest::FileContainingSymbol(symbol.unwrap_or_default()),
            };
            let what = format!("{port}: {ask:?}");
            let MessageResponse::FileDescriptorResponse(found) = must(&what, reflected(port, ask).await)
            else {
                panic!("{what}: no file");
            };
            for file in found.file_descriptor_proto {
                let file = must(&what, FileDescriptorProto::decode(file.as_slice()));
                if known.insert(file.name().to_owned()) {
                    files.extend(file.dependency);
                }
            }
        }
        for file in ["ringpad/v1/call.proto", "error_details.proto", "google/protobuf/timestamp.proto"] {
            assert!(known.iter().any(|known| known.ends_with(file)), "{file}: {known:?}");
        }
    }
}

#[tokio::test]
async fn health_is_known_by_each_services_name_and_a_watch_sees_the_end() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let mut watches = Vec::new();
    for (port, own) in ports(&system) {
        let mut health = HealthClient::new(channel(port).await).send_compressed(CompressionEncoding::Gzip);
        for name in own.iter().chain(&SHARED).chain(&[""]) {
            let asked = HealthCheckRequest { service: (*name).to_owned() };
            let answer = must(name, health.check(asked.clone()).await).into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{port}: {name:?}");
            let mut watch = must(name, health.watch(asked).await).into_inner();
            let first = must(name, within("a status", SOON, watch.message()).await).expect("a status");
            assert_eq!(first.status(), ServingStatus::Serving, "{port}: {name:?}");
            watches.push((watch, ServingStatus::NotServing));
        }
        for name in ["ringpad.v1.Nothing", "PadService", "ringpad.v1.PadService/Subscribe", "/"] {
            let asked = HealthCheckRequest { service: name.to_owned() };
            let status = health.check(asked.clone()).await.expect_err("no such service");
            assert_eq!(status.code(), Code::NotFound, "{port}: {name:?}");
            // By the protocol a watch stays open, since the service may be added later.
            let mut watch = must(name, health.watch(asked).await).into_inner();
            let first = must(name, within("a status", SOON, watch.message()).await).expect("a status");
            assert_eq!(first.status(), ServingStatus::ServiceUnknown, "{port}: {name:?}");
            watches.push((watch, ServingStatus::ServiceUnknown));
        }
    }
    system.push[0].terminate();
    system.ingest.terminate();
    for (mut watch, last) in watches {
        if last == ServingStatus::NotServing {
            let change = must("a change", within("a change", SOON, watch.message()).await).expect("a change");
            assert_eq!(change.status(), last);
        }
        let ended = within("the end", SOON, watch.message()).await.expect_err("it ends with a reason");
        assert_eq!(ended.code(), Code::Unavailable);
    }
    // No watch had to be aborted.
    assert_eq!((system.push[0].exit().await, system.ingest.exit().await), (0, 0));
    assert!(!system.ingest.logged().contains("did not end in time"), "{}", system.ingest.logged());
    assert!(!system.push[0].logged().contains("did not end in time"), "{}", system.push[0].logged());
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_over_grpc_and_grpc_web_and_404_over_http() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let [(ingest, _), (push, _)] = ports(&system);
    let pads = PadServiceClient::new(channel(ingest).await).claim_call(ClaimCallRequest::default()).await;
    assert_eq!(pads.expect_err("not served here").code(), Code::Unimplemented);
    let stores = StoreServiceClient::new(channel(push).await).list_stores(ListStoresRequest::default()).await;
    assert_eq!(stores.expect_err("not served here").code(), Code::Unimplemented);
    for port in [ingest, push] {
        let mut browser = Client::new(port);
        for path in
            ["/ringpad.v1.IngestService/Nothing", "/no.Such/Service", "/ringpad.v1.PadService/Nothing", "/"]
        {
            let kind =
                [("content-type", "application/grpc-web+proto"), ("accept", "application/grpc-web+proto")];
            let answer = must("an answer", browser.send("POST", path, &kind, &b"\0\0\0\0\0"[..]).await);
            assert_eq!(
                (answer.status, answer.headers["grpc-status"].as_bytes()),
                (StatusCode::OK, &b"12"[..]),
                "{path}"
            );
            assert_eq!(answer.headers["content-type"], "application/grpc-web+proto", "{path}");
        }
        assert_eq!(must("an answer", browser.get("/no.Such/Service").await).status, StatusCode::NOT_FOUND);
    }
    let mut browser = Client::new(ingest);
    // As plain gRPC it would get an answer whose status a browser cannot see.
    let kind = [("content-type", "application/grpc-web")];
    let list = "/ringpad.v1.StoreService/ListStores";
    let answer = must("an answer", browser.send("POST", list, &kind, &b"\0\0\0\0\0"[..]).await);
    assert_eq!((answer.status, answer.headers["grpc-status"].as_bytes()), (StatusCode::OK, &b"12"[..]));
    for (port, path) in
        [(ingest, list), (push, "/ringpad.v1.PadService/Subscribe"), (push, "/grpc.health.v1.Health/Check")]
    {
        let answer = must("an answer", Client::new(port).get(path).await);
        assert_eq!(
            (answer.status, answer.headers["allow"].as_bytes()),
            (StatusCode::METHOD_NOT_ALLOWED, &b"POST"[..])
        );
    }
    for (port, path, allowed) in [
        (system.ingest_at.http, "/v1/cdr/bizcall", "GET, POST"),
        (system.ingest_at.http, "/livez", "GET,HEAD"),
        (system.ingest_at.admin, "/metrics", "GET,HEAD"),
    ] {
        let answer = must("an answer", Client::new(port).send("DELETE", path, &[], "").await);
        assert_eq!(
            (answer.status, answer.headers["allow"].as_bytes()),
            (StatusCode::METHOD_NOT_ALLOWED, allowed.as_bytes())
        );
    }
}

#[tokio::test]
async fn compressed_requests_are_read_and_bounded_by_what_they_decompress_to() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let channel = system.channel().await;
    let mut stores = StoreServiceClient::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
    let store = |id: &str, name: &str| UpsertStoreRequest {
        store: Some(Store { id: id.to_owned(), name: name.to_owned(), ..Store::default() }),
        ..UpsertStoreRequest::default()
    };
    must("a compressed request", stores.upsert_store(store("gangnam", "Gangnam")).await);
    let deleted = stores.delete_store(DeleteStoreRequest { store_id: "nowhere".to_owned() }).await;
    assert_eq!(deleted.expect_err("no such store").code(), Code::NotFound);
    let mut calls = IngestServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    let faulty = calls.ingest_call(IngestCallRequest::default()).await.expect_err("no such source");
    assert_eq!(faulty.code(), Code::NotFound);
    // Compressed it is a thousand times smaller.
    let bomb = "x".repeat(32 << 20);
    let refused = stores.upsert_store(store("gangnam", &bomb)).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let refused =
        calls.ingest_call(IngestCallRequest { source: bomb, cdr: None }).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let listed =
        must("the next request", stores.list_stores(ListStoresRequest::default()).await).into_inner();
    assert_eq!(listed.stores.len(), 1);
}

#[tokio::test]
async fn the_internal_token_is_a_bearer_token_in_any_case() {
    let token = "an-internal-token-for-tests";
    let system = System::start_with(&RabbitNode::shared().await.url(), 0, &[("INTERNAL_TOKEN", token)]).await;
    let mut stores = StoreServiceClient::new(system.channel().await);
    let mut asked = async |authorization: &str| {
        let mut request = Request::new(ListStoresRequest::default());
        let value: MetadataValue<_> = must(authorization, authorization.parse());
        request.metadata_mut().insert("authorization", value);
        stores.list_stores(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  ", "bEARER\t"] {
        assert_eq!(asked(&format!("{scheme} {token}")).await, Code::Ok, "{scheme:?}");
    }
    for other in [token, "Bearer", "Bearer another", "Basic an-internal-token-for-tests"] {
        assert_eq!(asked(other).await, Code::Unauthenticated, "{other:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_resource_exhausted() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let [(ingest, _), (push, _)] = ports(&system);
    let large = "x".repeat(5 << 20);
    let mut calls = IngestServiceClient::new(channel(ingest).await);
    let one = IngestCallRequest { source: large.clone(), cdr: None };
    let refused = calls.ingest_call(one).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("4194304"), "the limit is named: {refused}");
    let streamed = stream::iter([IngestCallStreamRequest { source: large.clone(), cdr: None }]);
    let mut answers = must("a stream", calls.ingest_call_stream(streamed).await).into_inner();
    let refused = within("an end", SOON, answers.message()).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");

    let mut pads = PadServiceClient::new(channel(push).await);
    let claim = ClaimCallRequest { call_id: large, request_id: String::new() };
    // Nothing of it is read before the token is checked.
    let refused = pads.claim_call(claim.clone()).await.expect_err("no token");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut claim = Request::new(claim);
    let token = Claims::new("gangnam", "counter").token();
    claim.metadata_mut().insert("authorization", must("a header", format!("Bearer {token}").parse()));
    let refused = pads.claim_call(claim).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}
