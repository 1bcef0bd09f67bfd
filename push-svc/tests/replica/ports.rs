//! Page, health, metrics, CORS, and refusals of the two ports.

use http::Request;
use ringpad_proto::v1::SubscribeRequest;

use crate::{harness::*, pads::*};

#[tokio::test]
async fn the_pad_page_and_its_files() {
    let world = World::new().await;
    let replica = world.replica_with(&["--pad-token-url=https://shop.example/token?a=1&b=2"]).await;
    let (status, head, body) = http_get(replica.pads, "/").await;
    assert_eq!(status, 200);
    assert_eq!(head["content-type"], "text/html; charset=utf-8");
    assert!(body.contains(r#"content="https://shop.example/token?a=1&amp;b=2""#), "{body}");
    let policy = head["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("connect-src 'self' https://shop.example"), "{policy}");
    // Unchanged, made strong by a proxy, one of several, any.
    let tag = head["etag"].to_str().unwrap();
    let strong = tag.trim_start_matches("W/");
    for known in [tag.to_owned(), strong.to_owned(), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = Request::get("/").header("if-none-match", &known).body(String::new()).unwrap();
        assert_eq!(http_request(replica.pads, again).await.0, 304, "{known}");
    }
    let zipped = Request::get("/").header("accept-encoding", "br, gzip").body(String::new()).unwrap();
    let (status, zipped_head, zipped) = http_request(replica.pads, zipped).await;
    assert_eq!(status, 200);
    assert_eq!(zipped_head["content-encoding"], "gzip");
    assert_eq!(zipped_head["etag"], head["etag"]);
    assert_eq!(zipped_head["vary"], "accept-encoding");
    assert!(zipped.len() < body.len(), "{} of {} bytes", zipped.len(), body.len());
    let other = Request::get("/").header("if-none-match", "\"other\"").body(String::new()).unwrap();
    assert_eq!(http_request(replica.pads, other).await.0, 200);
    assert_eq!(http_get(replica.pads, "/nowhere.js").await.0, 404);
    assert_eq!(http_get(replica.pads, "/../Cargo.toml").await.0, 404);
    // Every file that the page names is there.
    let named = body.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css"));
    for path in named {
        assert_eq!(
            http_get(replica.pads, &format!("/{}", path.trim_start_matches('/'))).await.0,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn health_on_both_ports_and_metrics_on_one() {
    let world = World::new().await;
    let replica = world.replica().await;
    for address in [replica.pads, replica.admin] {
        assert_eq!(http_get(address, "/livez").await.0, 200);
        assert_eq!(http_get(address, "/readyz").await.0, 200);
    }
    let mut pad = replica.pad(Transport::WebSocket, "a", SubscribeRequest::default()).await;
    pad.begin().await;
    // Until the replica knows that the bus is alive, it may read an event in the log before it comes over the bus.
    wait_for("an event over the bus", async || {
        let position = world.ring("a").await;
        pad.updates_to(position).await;
        let (_, _, metrics) = http_get(replica.admin, "/metrics").await;
        assert!(metrics.contains(r#"ringpad_push_pads{transport="websocket"} 1"#), "{metrics}");
        metrics.contains(r#"ringpad_push_events_total{outcome="live"}"#)
    })
    .await;
    drop(pad);
    wait_for("the pad to be gone", async || {
        let (_, _, metrics) = http_get(replica.admin, "/metrics").await;
        metrics.contains(r#"ringpad_push_pads{transport="websocket"} 0"#)
            && metrics.contains(r#"ringpad_push_stream_ends_total{transport="websocket",reason="client"} 1"#)
    })
    .await;
    assert_ne!(http_get(replica.pads, "/metrics").await.0, 200);
}

#[tokio::test]
async fn preflight_requests_are_answered() {
    let world = World::new().await;
    let replica = world.replica_with(&["--pad-allowed-origins=https://shop.example"]).await;
    let preflight = async |origin: &str| {
        let request = Request::options("/ringpad.v1.PadService/Subscribe")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,x-grpc-web,grpc-timeout")
            .body(String::new());
        http_request(replica.pads, request.unwrap()).await.1
    };
    let allowed = preflight("https://shop.example").await;
    assert_eq!(allowed["access-control-allow-origin"], "https://shop.example");
    let headers = allowed["access-control-allow-headers"].to_str().unwrap();
    assert!(headers.contains("authorization") && headers.contains("x-grpc-web"), "{headers}");
    assert!(!preflight("https://evil.example").await.contains_key("access-control-allow-origin"));

    let token = token("p", "a");
    let pad = TestPad::connect(
        Transport::GrpcWeb,
        replica.pads,
        &token,
        SubscribeRequest::default(),
        Some("https://shop.example"),
    );
    let headers = pad.await.headers;
    assert_eq!(headers["x-accel-buffering"], "no");
    let exposed = headers["access-control-expose-headers"].to_str().unwrap();
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[tokio::test]
async fn a_request_without_a_websocket_handshake_is_answered_with_426() {
    let world = World::new().await;
    let replica = world.replica().await;
    let handshake = |version: Option<&str>| {
        let request = Request::get("/v1/subscribe")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        version.into_iter().fold(request, |request, version| request.header("sec-websocket-version", version))
    };
    let not_asked = Request::get("/v1/subscribe");
    let half_asked = Request::get("/v1/subscribe").header("upgrade", "websocket");
    let versions = [None, Some("8"), Some("14"), Some("x")].map(handshake);
    for request in [not_asked, half_asked].into_iter().chain(versions) {
        let (status, head, _) = http_request(replica.pads, request.body(String::new()).unwrap()).await;
        assert_eq!(status, 426);
        assert_eq!(head["upgrade"], "websocket");
        assert_eq!(head["connection"].to_str().unwrap().to_ascii_lowercase(), "upgrade");
        assert_eq!(head["sec-websocket-version"], "13");
    }
}

#[tokio::test]
async fn a_405_lists_the_allowed_methods() {
    let world = World::new().await;
    let replica = world.replica().await;
    let on_both = ["/livez", "/readyz"].map(|path| (replica.admin, path, "GET,HEAD"));
    let paths = [
        (replica.pads, "/v1/subscribe", "GET"),
        (replica.pads, "/", "GET,HEAD"),
        (replica.pads, "/index.html", "GET,HEAD"),
        (replica.pads, "/nowhere", "GET,HEAD"),
        (replica.pads, "/livez", "GET,HEAD"),
        (replica.pads, "/ringpad.v1.PadService/Subscribe", "POST"),
        (replica.pads, "/grpc.health.v1.Health/Check", "POST"),
        (replica.admin, "/metrics", "GET,HEAD"),
    ];
    for (address, path, allowed) in paths.into_iter().chain(on_both) {
        for method in ["DELETE", "PUT", "PATCH", "TRACE"] {
            let request = Request::builder().method(method).uri(path);
            let (status, head, _) = http_request(address, request.body(String::new()).unwrap()).await;
            assert_eq!(status, 405, "{method} {path}");
            assert_eq!(head["allow"].to_str().unwrap().replace(' ', ""), allowed, "{method} {path}");
        }
    }
}
