//! Calls on the pads' port that open no stream: of unknown services, without a token, compressed.

use http::Request;
use ringpad_proto::v1::{
    ClaimCallRequest, ListStoresRequest, SaveNoteRequest, pad_service_client::PadServiceClient,
    store_service_client::StoreServiceClient,
};
use tonic::{
    Code,
    codec::CompressionEncoding,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::harness::*;

async fn channel(replica: &Replica) -> Channel {
    Endpoint::try_from(format!("http://{}", replica.pads)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_service_that_is_not_served_is_unimplemented() {
    let world = World::new().await;
    let replica = world.replica_with(&["--pad-allowed-origins=https://shop.example"]).await;
    let mut stores = StoreServiceClient::new(channel(&replica).await);
    assert_eq!(
        stores.list_stores(ListStoresRequest::default()).await.unwrap_err().code(),
        Code::Unimplemented
    );
    let paths = [
        "/ringpad.v1.StoreService/ListStores",
        "/ringpad.v1.PadService/Nothing",
        "/no.Such/Service",
        "/odd",
        "/",
    ];
    for path in paths {
        for kind in ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"] {
            let call = Request::post(path)
                .header("content-type", kind)
                .header("accept", kind)
                .header("x-grpc-web", "1")
                .header("origin", "https://shop.example");
            let (status, head, _) =
                http_request(replica.pads, call.body("\0\0\0\0\0".to_owned()).unwrap()).await;
            assert_eq!((status, head["grpc-status"].to_str().unwrap()), (200, "12"), "{path} {kind}");
            assert!(head["content-type"].to_str().unwrap().starts_with(kind), "{head:?}");
            // Without this, the script of a page only sees that something failed.
            assert_eq!(head["access-control-allow-origin"], "https://shop.example");
            assert!(head["access-control-expose-headers"].to_str().unwrap().contains("grpc-status"));
        }
        let preflight = Request::options(path)
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST");
        let (status, head, _) = http_request(replica.pads, preflight.body(String::new()).unwrap()).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(head["access-control-allow-origin"], "https://shop.example", "{path}");
    }
}

#[tokio::test]
async fn other_requests_than_grpc_are_refused_in_http() {
    let world = World::new().await;
    let replica = world.replica().await;
    assert_eq!(http_get(replica.pads, "/no.Such/Service").await.0, 404);
    assert_eq!(http_get(replica.pads, "/ringpad.v1.PadService/Subscribe").await.0, 405);
    let call = |path, kind| Request::post(path).header("content-type", kind).body("{}".to_owned()).unwrap();
    let subscribe = "/ringpad.v1.PadService/Subscribe";
    assert_eq!(http_request(replica.pads, call(subscribe, "application/json")).await.0, 415);
    assert_eq!(http_request(replica.pads, call(subscribe, "application/grpc")).await.0, 505);
    assert_eq!(http_request(replica.pads, call("/no.Such/Service", "application/json")).await.0, 405);
}

#[tokio::test]
async fn an_action_is_answered_with_the_fault_of_its_token() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pads = PadServiceClient::new(channel(&replica).await);
    let mut asked = async |authorization: Option<String>| {
        let mut request = tonic::Request::new(ClaimCallRequest::default());
        if let Some(authorization) = authorization {
            request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        }
        pads.claim_call(request).await.unwrap_err()
    };
    for (authorization, said) in [
        (None, "a token is required"),
        (Some("Basic x".to_owned()), "a token is required"),
        (Some("Bearer hunter2".to_owned()), "the token is not a JWT"),
        (
            Some(format!("Bearer {}", signed(&serde_json::json!({"sub": "p", "aud": "hunter2"})))),
            "the token is faulty: store is missing, name is missing, exp is missing, aud is not \"ringpad\"",
        ),
    ] {
        let status = asked(authorization).await;
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, said));
    }
    for scheme in ["Bearer", "bearer", "BEARER ", "bEaReR   "] {
        let status = asked(Some(format!("{scheme} {}", token("p", "a")))).await;
        assert_ne!(status.code(), Code::Unauthenticated, "{scheme}: {status}");
    }
}

#[tokio::test]
async fn requests_may_be_compressed_and_are_bounded_decompressed() {
    let world = World::new().await;
    let replica = world.replica().await;
    let channel = channel(&replica).await;
    let authorization = format!("Bearer {}", token("p", "a"));
    let mut plain = PadServiceClient::new(channel.clone());
    let mut pads = PadServiceClient::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
    let with_token = |note: String| {
        let mut request = tonic::Request::new(SaveNoteRequest { note, ..SaveNoteRequest::default() });
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        request
    };
    let answer = plain.save_note(with_token("x".to_owned())).await.map_err(|status| status.code());
    let compressed = pads.save_note(with_token("x".to_owned())).await.map_err(|status| status.code());
    assert_eq!(compressed.map(|_| ()), answer.map(|_| ()), "it was decompressed");
    // Compressed to a thousandth. Without a token none of it is read.
    let long = "x".repeat(10 << 20);
    assert_eq!(pads.save_note(with_token(long.clone())).await.unwrap_err().code(), Code::ResourceExhausted);
    let no_token = SaveNoteRequest { note: long, ..SaveNoteRequest::default() };
    assert_eq!(pads.save_note(no_token).await.unwrap_err().code(), Code::Unauthenticated);
    let mut health = HealthClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    let asked = HealthCheckRequest { service: "ringpad.v1.PadService".to_owned() };
    assert_eq!(health.check(asked).await.unwrap().into_inner().status(), ServingStatus::Serving);
    let long = HealthCheckRequest { service: "x".repeat(1 << 20) };
    assert_eq!(health.check(long).await.unwrap_err().code(), Code::ResourceExhausted);
}
