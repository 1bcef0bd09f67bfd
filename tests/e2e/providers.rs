//! The answers to a number provider over HTTP.

use std::fs;

use http::StatusCode;
use ringpad_proto::v1::Cdr;
use ringpad_tests::{
    cdr::{self, parameters, percent, ring, urlencoded},
    http::{Answer, Client},
    pads::Transport,
    provider::{FORM, cdr_answer},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};
use serde_json::json;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Reads the faults of a 422, by field.
fn faults(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
    let kind = answer.headers.get("content-type").map(http::HeaderValue::as_bytes);
    assert_eq!(kind, Some(&b"application/problem+json"[..]));
    let body = answer.json();
    assert_eq!(body["status"], json!(422));
    let errors = body["errors"].as_array().expect("errors");
    assert!(errors.iter().all(|error| error["message"].as_str().is_some_and(|message| !message.is_empty())));
    let mut fields: Vec<_> =
        errors.iter().filter_map(|error| error["field"].as_str().map(str::to_owned)).collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn a_record_is_read_from_a_query_a_form_and_json() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::WebSocket, 0, &store.id).await;
    let mut client = Client::new(system.ingest_at.http);
    let path = "/v1/cdr/bizcall";
    let record = || {
        let record =
            Cdr { memo: "100% 세차 & 왁스".to_owned(), ..ring(&store.virtual_number, &cdr::caller()) };
        system.secrets.note(&record);
        record
    };

    let query = format!("{path}?{}", urlencoded(&record()));
    let by_get = must("GET", client.get(&query).await);
    let by_query =
        must("POST", client.send("POST", &format!("{path}?{}", urlencoded(&record())), &[], "").await);
    let form = client.send("POST", path, &[("content-type", FORM)], urlencoded(&record())).await;
    let body = record();
    let object: serde_json::Map<_, _> =
        parameters(&body).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let kind = [("content-type", "application/json; charset=utf-8")];
    let in_json = client.send("POST", path, &kind, serde_json::Value::Object(object).to_string()).await;
    for answer in [by_get, by_query, must("a form", form), must("JSON", in_json)] {
        let taken = cdr_answer(&answer);
        assert_eq!(taken.status, "accepted");
        let call = pad.update().await.call.expect("an update has a call");
        assert_eq!((call.id, call.memo.as_str()), (taken.call_id, "100% 세차 & 왁스"));
    }

    // 세차, in CP949.
    let old = Cdr { memo: String::new(), ..record() };
    let old = format!("{path}?{}&memo={}", urlencoded(&old), percent(&[0xbc, 0xbc, 0xc2, 0xf7]));
    cdr_answer(&must("CP949", client.get(&old).await));
    assert_eq!(pad.update().await.call.map(|call| call.memo), Some("세차".to_owned()));
}

#[tokio::test]
async fn all_faults_of_a_record_are_reported_at_once() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut client = Client::new(system.ingest_at.http);
    let nothing = must("an answer", client.get("/v1/cdr/bizcall").await);
    assert_eq!(faults(&nothing), ["sdt", "seq", "vn"]);
    let wrong = Cdr {
        seq: "x".repeat(65),
        sdt: "20261301000000".to_owned(),
        edt: "yesterday".to_owned(),
        ..ring(&cdr::virtual_number(), &cdr::caller())
    };
    let mut provider = system.provider();
    assert_eq!(faults(&must("an answer", provider.post(&wrong).await)), ["edt", "sdt", "seq"]);
    let backwards = ring(&cdr::virtual_number(), &cdr::caller());
    let backwards = Cdr { edt: cdr::later(&backwards.sdt, -1), ..backwards };
    assert_eq!(faults(&must("an answer", provider.post(&backwards).await)), ["edt"]);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_type_is_refused() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut client = Client::new(system.ingest_at.http);
    let large = format!("memo={}", "x".repeat(70 * 1024));
    let answer = client.send("POST", "/v1/cdr/bizcall", &[("content-type", FORM)], large).await;
    assert_eq!(must("the answer to a large body", answer).status, StatusCode::PAYLOAD_TOO_LARGE);
    // The connection that a large body was refused on may be closed.
    let mut client = Client::new(system.ingest_at.http);
    let answer = client.send("POST", "/v1/cdr/bizcall", &[("content-type", "text/xml")], "<seq/>").await;
    assert_eq!(must("an answer", answer).status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for unknown in ["/v1/cdr/nobody", "/v1/cdr/bizcall/a-secret-it-does-not-have"] {
        let answer = client.send("POST", unknown, &[("content-type", FORM)], "seq=1").await;
        assert_eq!(must("an answer", answer).status, StatusCode::NOT_FOUND, "{unknown}");
    }
}

/// Sources of every kind.
const SOURCES: &str = r#"
[[source]]
name = "elsewhere"
allow = ["210.109.108.0/24"]

[[source]]
name = "proxied"
allow = ["210.109.108.0/24", "2001:db8::/32"]
trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]

[[source]]
name = "secret"
secret = "a-path-of-its-own"

[[source]]
name = "slow"
open = true
rate = 1
"#;

#[tokio::test]
async fn a_source_accepts_only_the_addresses_that_it_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ingest.toml");
    fs::write(&file, SOURCES).expect("a file");
    let settings = [("INGEST_CONFIG", file.to_str().expect("a path in UTF-8"))];
    let system = System::start_with(&RabbitNode::shared().await.url(), 0, &settings).await;
    let store = system.store("gangnam").await;
    let mut client = Client::new(system.ingest_at.http);
    let record = || {
        let record = ring(&store.virtual_number, &cdr::caller());
        system.secrets.note(&record);
        urlencoded(&record)
    };
    let forwarded = [
        ("elsewhere", "", StatusCode::FORBIDDEN),
        // No untrusted proxy can name the sender.
        ("elsewhere", "210.109.108.7", StatusCode::FORBIDDEN),
        ("proxied", "", StatusCode::FORBIDDEN),
        ("proxied", "210.109.108.7", StatusCode::OK),
        ("proxied", "210.109.108.7:4711, 10.1.2.3", StatusCode::OK),
        ("proxied", "[2001:db8::7]:4711", StatusCode::OK),
        // Entries to the left of the client's address are written by the client.
        ("proxied", "210.109.108.7, 198.51.100.1", StatusCode::FORBIDDEN),
        ("secret/a-path-of-its-own", "", StatusCode::OK),
        ("secret/another-path", "", StatusCode::NOT_FOUND),
        ("secret", "", StatusCode::NOT_FOUND),
        ("slow", "", StatusCode::OK),
    ];
    for (path, from, status) in forwarded {
        let headers = [("content-type", FORM), ("x-forwarded-for", from)];
        let headers = &headers[..if from.is_empty() { 1 } else { 2 }];
        let answer =
            must("an answer", client.send("POST", &format!("/v1/cdr/{path}"), headers, record()).await);
        assert_eq!(answer.status, status, "{path} from {from:?}: {}", answer.text());
    }
    let mut slowed = None;
    for _ in 0..50 {
        let answer = client.send("POST", "/v1/cdr/slow", &[("content-type", FORM)], record()).await;
        slowed =
            Some(must("an answer", answer)).filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
        if slowed.is_some() {
            break;
        }
    }
    let slowed = slowed.expect("one request a second is the rate");
    assert!(slowed.headers.contains_key("retry-after"));
    assert!(!system.ingest.logged().contains("a-path-of-its-own"), "a source's secret is in the log");
}

#[tokio::test]
async fn every_port_answers_livez_and_metrics_show_no_number() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    system.provider().deliver(&ring(&cdr::virtual_number(), &cdr::caller())).await;
    pad.update().await;
    for port in
        [system.ingest_at.http, system.ingest_at.admin, system.push_at[0].pads, system.push_at[0].admin]
    {
        for path in ["/livez", "/readyz"] {
            assert_eq!(
                must("an answer", Client::new(port).get(path).await).status,
                StatusCode::OK,
                "{port}{path}"
            );
        }
    }
    for port in [system.ingest_at.grpc, system.push_at[0].pads] {
        let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{port}")));
        let mut health = HealthClient::new(must("a connection", endpoint.connect().await));
        until(&format!("grpc.health.v1 on {port} says SERVING"), SOON, async || {
            let answer =
                must("grpc.health.v1", health.check(HealthCheckRequest::default()).await).into_inner();
            (answer.status() == ServingStatus::Serving).then_some(())
        })
        .await;
    }
    for port in [system.ingest_at.admin, system.push_at[0].admin] {
        let metrics = must("metrics", Client::new(port).get("/metrics").await);
        assert_eq!(metrics.status, StatusCode::OK);
        assert!(metrics.text().contains("# TYPE"), "{}", metrics.text());
        system.secrets.assert_none_in("/metrics", &metrics.text());
    }
    let page = must("the pad page", Client::new(system.push_at[0].pads).get("/").await);
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("<html"), "{}", page.text());
}
