//! The shipped nginx configuration, in a real nginx in front of three replicas and ingest-svc.

use std::{fs, net::Ipv4Addr};

use http::StatusCode;
use ringpad_proto::v1::Cdr;
use ringpad_tests::{
    cdr::urlencoded,
    http::Client,
    nginx::Nginx,
    pads::{Pad, StreamEnd, Subscription, Transport},
    provider::{FORM, Provider, cdr_answer},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};
use tokio::task::JoinSet;

/// The transports of browsers. Native gRPC has its own port.
pub(crate) const BROWSERS: [Transport; 2] = [Transport::GrpcWeb, Transport::WebSocket];

/// The path of a pad's request for calls.
const LIST_CALLS: &str = "/ringpad.v1.PadService/ListCalls";

/// One source that accepts every request, one with a secret, one that trusts only nginx as a proxy.
const SOURCES: &str = r#"
[[source]]
name = "bizcall"
open = true

[[source]]
name = "hidden"
secret = "a-path-of-its-own"

[[source]]
name = "proxied"
allow = ["127.0.0.2/32"]
trusted_proxies = ["127.0.0.1/32"]
"#;

/// Three replicas and [`SOURCES`] behind nginx.
pub(crate) async fn balanced(settings: &[(&str, &str)]) -> (System, Nginx) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ingest.toml");
    fs::write(&file, SOURCES).expect("a file");
    let mut all = vec![("INGEST_CONFIG", file.to_str().expect("a path in UTF-8"))];
    all.extend_from_slice(settings);
    let system = System::start_with(&RabbitNode::shared().await.url(), 3, &all).await;
    let nginx = Nginx::start(&system).await;
    (system, nginx)
}

#[tokio::test]
async fn webhooks_and_pads_pass_nginx() {
    let (system, nginx) = balanced(&[]).await;
    let store = system.store("gangnam").await;
    let mut pads = Vec::new();
    for transport in BROWSERS {
        // A page of the load balancer's host: a replica can only check that if nginx passes the host.
        let origin = Some(format!("http://{}", nginx.at));
        let asked = Subscription { origin, ..system.subscription(&store.id) };
        pads.push(Pad::open(transport, nginx.at, &asked).await);
    }
    pads.push(Pad::open(Transport::Grpc, nginx.grpc_at, &system.subscription(&store.id)).await);
    let mut client = Client::new(nginx.at);
    let record = || urlencoded(&system.noted_ring(&store));
    let by_get = client.get(&format!("/v1/cdr/bizcall?{}", record())).await;
    let by_post = client.send("POST", "/v1/cdr/bizcall", &[("content-type", FORM)], record()).await;
    for answer in [must("GET", by_get), must("POST", by_post)] {
        let id = cdr_answer(&answer).call_id;
        for pad in &mut pads {
            assert_eq!(
                pad.update().await.call.map(|call| call.id).as_ref(),
                Some(&id),
                "{:?}",
                pad.transport
            );
        }
    }
    // A stream with only heartbeats is neither ended nor delayed.
    for pad in &mut pads {
        pad.until_heartbeats(pad.heartbeats + 2).await;
    }
    let page = must("the pad page", client.get("/").await);
    assert!(page.status.is_success() && page.text().contains("<html"), "{}", page.text());
    let long = Cdr { memo: "x".repeat(40 * 1024), ..store.ring() };
    system.secrets.note(&long);
    cdr_answer(&must("a long query", client.get(&format!("/v1/cdr/bizcall?{}", urlencoded(&long))).await));
    for pad in &mut pads {
        pad.update().await;
    }
    let large =
        client.send("POST", "/v1/cdr/bizcall", &[("content-type", FORM)], "x".repeat(70 * 1024)).await;
    let large = must("the answer to a large record", large);
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(large.text().contains("64 KiB"), "the text of ingest-svc: {}", large.text());
}

#[tokio::test]
async fn nginx_logs_no_query_strings_and_no_path_secrets_even_without_an_upstream() {
    let (mut system, nginx) = balanced(&[]).await;
    let store = system.store("gangnam").await;
    let mut client = Client::new(nginx.at);
    let query = || {
        let record = system.noted_ring(&store);
        urlencoded(&Cdr { memo: "for-the-shop-alone".to_owned(), ..record })
    };
    let hidden = format!("/v1/cdr/hidden/a-path-of-its-own?{}", query());
    cdr_answer(&must("a record on a secret path", client.get(&hidden).await));
    let wrong = [
        format!("/V1/cdr/hidden/a-path-of-its-own?{}", query()),
        format!("/v1/cdr//hidden//a-path-of-its-own?{}", query()),
        format!("/cdr/hidden/a-path-of-its-own?{}", query()),
        format!("/a-path-of-its-own?{}", query()),
    ];
    for target in &wrong {
        assert_eq!(must("an answer", client.get(target).await).status, StatusCode::NOT_FOUND, "{target}");
    }
    // An error is logged with its request.
    for service in std::iter::once(&mut system.ingest).chain(&mut system.push) {
        service.kill().await;
    }
    for target in [&hidden, &wrong[0]] {
        let away = must("nginx's own answer", client.get(target).await);
        assert_eq!(away.status, StatusCode::BAD_GATEWAY, "{target}");
    }

    // A line is written after its answer. With the sentinel's line all earlier ones are there, since they came on one connection.
    must("a sentinel", client.get("/livez").await);
    let routes = until("the access log is complete", SOON, async || {
        let routes: Vec<_> = nginx.accesses().iter().map(|line| line["route"].clone()).collect();
        routes.contains(&"/livez".into()).then_some(routes)
    })
    .await;
    let hidden = "/v1/cdr/hidden";
    assert_eq!(routes, [hidden, "other", hidden, "other", "other", hidden, "other", "/livez"]);
    assert_eq!(nginx.accesses()[5]["upstream_status"], "502");
    let logged = nginx.logged();
    for secret in ["a-path-of-its-own", "for-the-shop-alone", "seq="] {
        assert!(!logged.contains(secret), "{secret} is in nginx's log:\n{logged}");
    }
    system.secrets.assert_none_in("nginx's log", &logged);
    assert!(
        !system.ingest.logged().contains("a-path-of-its-own"),
        "a source's secret is in the log of ingest-svc"
    );

    // A native gRPC client gets a gRPC status if there is no upstream.
    let asked = system.subscription(&store.id);
    let end = Pad::try_open(Transport::Grpc, nginx.grpc_at, &asked).await.expect_err("no upstream");
    assert_eq!(end, StreamEnd::Unavailable);
}

#[tokio::test]
async fn the_adopters_back_end_is_asked_for_a_pads_next_token() {
    let (system, nginx) = balanced(&[]).await;
    let mut client = Client::new(nginx.at);
    // The tests' nginx has ingest-svc in place of the back end; ingest-svc has no such path.
    let answer = must("an answer", client.get("/pad-token?tablet=a-secret-of-the-shop").await);
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let line = until("a line of the access log", SOON, async || {
        nginx.accesses().pop_if(|line| line["route"] == "/pad-token")
    })
    .await;
    assert_eq!(line["upstream"], system.ingest_at.http.to_string());
    assert!(!nginx.logged().contains("a-secret-of-the-shop"), "{}", nginx.logged());
}

#[tokio::test]
async fn the_sender_of_a_record_is_the_address_that_nginx_saw_and_not_one_that_a_header_names() {
    let (system, nginx) = balanced(&[]).await;
    let store = system.store("gangnam").await;
    let (allowed, other) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let cases = [
        (allowed, None, StatusCode::OK),
        (allowed, Some("198.51.100.1"), StatusCode::OK),
        (other, None, StatusCode::FORBIDDEN),
        (other, Some("127.0.0.2"), StatusCode::FORBIDDEN),
    ];
    for (from, claimed, status) in cases {
        let record = system.noted_ring(&store);
        let mut headers = vec![("content-type", FORM)];
        headers.extend(claimed.map(|claimed| ("x-forwarded-for", claimed)));
        let mut client = Client::new(nginx.at).own(from);
        let answer = client.send("POST", "/v1/cdr/proxied", &headers, urlencoded(&record)).await;
        let answer = must("an answer", answer);
        assert_eq!(answer.status, status, "{from} that claims {claimed:?}: {}", answer.text());
    }
}

/// Asks for lists without a token until nginx refuses; returns whether it did.
async fn flood(mut client: Client) -> bool {
    for _ in 0..2_000 {
        let asked =
            client.send("POST", LIST_CALLS, &[("content-type", "application/grpc-web+proto")], "").await;
        if asked.is_ok_and(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn an_address_that_floods_is_refused_and_no_other_address_and_no_other_path() {
    let (system, nginx) = balanced(&[]).await;
    let store = system.store("gangnam").await;
    let floods: JoinSet<_> = (0..16).map(|_| flood(Client::new(nginx.at))).collect();
    let refused = floods.join_all().await;
    assert!(refused.iter().all(|refused| *refused), "none of 32,000 requests of one address was refused");

    let mut neighbour = Client::new(nginx.at).own(Ipv4Addr::new(127, 0, 0, 2));
    let answer =
        neighbour.send("POST", LIST_CALLS, &[("content-type", "application/grpc-web+proto")], "").await;
    assert_eq!(must("an answer", answer).status, StatusCode::OK);
    // The same address still gets the page, its streams and its calls.
    let page = must("a page", Client::new(nginx.at).get("/").await);
    assert_eq!(page.status, StatusCode::OK);
    let mut pad = Pad::open(Transport::GrpcWeb, nginx.at, &system.subscription(&store.id)).await;
    let record = store.ring();
    let call = Provider::new(nginx.at, system.secrets.clone()).deliver(&record).await;
    assert_eq!(pad.update().await.call.unwrap_or_default().id, call.call_id);
}
