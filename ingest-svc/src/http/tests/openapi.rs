//! `docs/openapi.json` is correct: the edge gives every documented answer and no other one, each has the documented form, and the
//! documented parameters are those of the parser.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
};

use futures_util::{StreamExt, stream};
use ringpad_runtime::{CancellationToken, serve};

use super::*;
use crate::cdr::Field;

const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// Three kinds of checks, each with a secret and without.
const GUARDED: &str = r#"
[[source]]
name = "any"
open = true
[[source]]
name = "office"
allow = ["210.109.108.0/24"]
[[source]]
name = "slow"
open = true
rate = 1
[[source]]
name = "any-secret"
secret = "s3cret"
[[source]]
name = "office-secret"
secret = "s3cret"
allow = ["210.109.108.0/24"]
[[source]]
name = "slow-secret"
secret = "s3cret"
rate = 1
"#;

/// An answer as it was received: status, headers and body.
type Produced = (StatusCode, HeaderMap, Vec<u8>);

/// One operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: Method,
    answers: &'a Value,
}

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Follows references within the document.
fn resolved<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    while let Some(reference) = value.get("$ref") {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        value = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is in the document"));
    }
    value
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

impl Operation<'_> {
    fn uri(&self, source: &str, query: &str) -> String {
        let source = if self.path.ends_with("{secret}") { &format!("{source}-secret") } else { source };
        format!("{}?{query}", self.path.replace("{source}", source).replace("{secret}", "s3cret"))
    }

    fn request(&self, source: &str, query: &str) -> axum::http::request::Builder {
        Request::builder().method(&self.method).uri(self.uri(source, query))
    }
}

async fn produced(router: &Router, request: Request) -> Produced {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

/// Every answer of an operation on call records.
async fn all_answers(operation: &Operation<'_>) -> Vec<Produced> {
    let edge = Edge::of(GUARDED).await;
    let broken = Body::from_stream(stream::iter([Ok("a"), Err(std::io::Error::other("gone"))]));
    let silent = Body::from_stream(stream::pending::<std::io::Result<&str>>());
    // As the port does.
    let silent = Body::new(serve::InTime::new(silent, Duration::from_millis(50)));
    let long = "a".repeat(RECORD.request_bytes + 1);
    let unknown = "seq=2&sdt=20261123142530&vn=0507";
    let other_type = operation.request("any", RING).header(CONTENT_TYPE, "text/plain");
    let requests = [
        (operation.request("any", RING), Body::empty()),
        (operation.request("any", RING), Body::empty()),
        (operation.request("any", unknown), Body::empty()),
        (operation.request("any", ""), broken),
        (operation.request("office", RING), Body::empty()),
        (operation.request("nobody", RING), Body::empty()),
        (operation.request("any", ""), silent),
        (operation.request("any", ""), Body::from(long)),
        (other_type, Body::from("a")),
        (operation.request("any", "edt=x"), Body::empty()),
    ];
    let mut answers = Vec::new();
    for (request, body) in requests {
        answers.push(produced(&edge.router, request.body(body).unwrap()).await);
    }
    // One a second is admitted: even on a slow machine there are two of these within some second.
    for _ in 0..100 {
        let request = operation.request("slow", RING).body(Body::empty()).unwrap();
        answers.push(produced(&edge.router, request).await);
        if answers.last().is_some_and(|(status, ..)| *status == StatusCode::TOO_MANY_REQUESTS) {
            break;
        }
    }
    answers.extend(unreadable(&edge.router, operation).await);
    let other = OtherProgram::open(&edge.directory.path().join("log.db"));
    other.execute("ALTER TABLE calls RENAME TO gone");
    answers.push(produced(&edge.router, operation.request("any", RING).body(Body::empty()).unwrap()).await);
    answers
}

/// The answers to requests that do not reach the router unchanged: with a target or a head that is too long.
async fn unreadable(router: &Router, operation: &Operation<'_>) -> [Produced; 2] {
    let listener = serve::bind("a test", ([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let limits = serve::Limits {
        head: HttpCapacity::default().head,
        heads: serve::Heads::Lenient,
        ..serve::Limits::new(serve::ConnectionLimits { total: 16, per_address: 16 }, serve::Clients::Public)
    };
    let metrics = serve::ServeMetrics::default().port("test");
    let serving = serve::serve(listener, router.clone(), limits, metrics, stop.clone(), Duration::ZERO);
    let serving = tokio::spawn(serving);
    let long_uri = operation.uri("any", &format!("memo={}", "a".repeat(RECORD.request_bytes)));
    let long_uri = format!("{} {long_uri} HTTP/1.1\r\nHost: x\r\n\r\n", operation.method);
    let line = format!("{} {} HTTP/1.1\r\nX: ", operation.method, operation.uri("any", RING));
    // Exactly the bytes that are read, so that no reset arrives before the answer.
    let long_head = format!("{line}{}", "a".repeat(HttpCapacity::default().head - line.len()));
    let answers = tokio::task::spawn_blocking(move || {
        [long_uri, long_head].map(|request| {
            let mut connection = std::net::TcpStream::connect(address).unwrap();
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            connection.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let mut lines = head.split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let header = |line: &str| {
                let (name, value) = line.split_once(": ")?;
                Some((name.parse::<header::HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
            };
            (status, lines.filter_map(header).collect(), body.as_bytes().to_vec())
        })
    });
    let answers = answers.await.unwrap();
    stop.cancel();
    serving.await.unwrap();
    answers
}

/// Checks that the answers are all documented ones, and have the documented form.
fn check(document: &Value, operation: &Operation<'_>, answers: &[Produced]) {
    let place = format!("{} {}", operation.method, operation.path);
    let mut statuses = BTreeSet::new();
    for (status, headers, body) in answers {
        let status = status.as_u16().to_string();
        let answer = operation.answers.get(&status);
        let answer = answer.unwrap_or_else(|| panic!("{place} answers {status}, which is not documented"));
        let answer = resolved(document, answer);
        for header in [header::RETRY_AFTER, header::ALLOW] {
            let documented =
                names(&answer["headers"]).iter().any(|name| name.eq_ignore_ascii_case(header.as_str()));
            assert_eq!(headers.contains_key(&header), documented, "{place} {status}: {header}");
        }
        check_body(document, &answer["content"], headers, body, &format!("{place} {status}"));
        statuses.insert(status);
    }
    let documented: BTreeSet<_> = names(operation.answers).into_iter().map(str::to_owned).collect();
    assert_eq!(statuses, documented, "{place}");
}

fn check_body(document: &Value, content: &Value, headers: &HeaderMap, body: &[u8], place: &str) {
    let Some((media_type, content)) = content.as_object().and_then(|content| content.iter().next()) else {
        return assert!(body.is_empty(), "{place}: no body is documented");
    };
    let sent = headers[CONTENT_TYPE].to_str().unwrap();
    assert_eq!(sent.split(';').next(), Some(media_type.as_str()), "{place}");
    if media_type.ends_with("json") {
        let body = serde_json::from_slice(body).unwrap();
        assert!(conforms(document, &content["schema"], &body), "{place}: {body}");
    }
}

/// Whether a value matches its schema, for the few keywords of JSON Schema that the document uses for answers.
fn conforms(document: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(document, schema);
    if let Some(allowed) = schema["enum"].as_array() {
        return allowed.contains(value);
    }
    match schema["type"].as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "array" => value.as_array().is_some_and(|values| {
            !values.is_empty() && values.iter().all(|value| conforms(document, &schema["items"], value))
        }),
        "object" => {
            let required = schema["required"].as_array().unwrap();
            value.as_object().is_some_and(|members| {
                required.iter().all(|name| members.contains_key(name.as_str().unwrap()))
                    && members.iter().all(|(name, value)| {
                        schema["properties"].get(name).is_some_and(|schema| conforms(document, schema, value))
                    })
            })
        }
        other => panic!("{other} is a type the test knows"),
    }
}

#[tokio::test]
async fn every_documented_answer_is_produced_and_no_other_one() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let mut seen = 0;
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/v1/cdr/")) {
        for method in [Method::GET, Method::POST] {
            let answers = &item[method.as_str().to_lowercase()]["responses"];
            let operation = Operation { path, method, answers };
            check(&document, &operation, &all_answers(&operation).await);
            seen += 1;
        }
        let edge = Edge::of(GUARDED).await;
        let answers = &item["x-any-other-method"]["responses"];
        let methods = stream::iter(["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]);
        let operation = |method: &str| Operation { path, method: method.parse().unwrap(), answers };
        let answers: Vec<_> = methods
            .then(|method| {
                produced(&edge.router, operation(method).request("any", RING).body(Body::empty()).unwrap())
            })
            .collect()
            .await;
        check(&document, &operation("PUT"), &answers);
    }
    assert_eq!(seen, 4, "two paths, two methods");
}

#[tokio::test]
async fn health_answers_as_documented() {
    let document = document();
    let Edge { router, readiness, .. } = &Edge::open().await;
    for path in ["/livez", "/readyz"] {
        let operation =
            Operation { path, method: Method::GET, answers: &document["paths"][path]["get"]["responses"] };
        let mut answers = Vec::new();
        for held in [false, true] {
            if held {
                readiness.hold("log", "disk full");
            }
            answers.push(produced(router, Request::get(path).body(Body::empty()).unwrap()).await);
        }
        readiness.release("log");
        answers.extend(unreadable(router, &operation).await);
        check(&document, &operation, &answers);
    }
}

#[test]
fn the_documented_parameters_are_the_parsers() {
    let document = document();
    let fields: BTreeSet<_> = Field::ALL.into_iter().map(Field::name).collect();
    let of = |item: &Value| -> Vec<Value> {
        let parameters = item["parameters"].as_array().into_iter().flatten();
        parameters.map(|parameter| resolved(&document, parameter).clone()).collect()
    };
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/v1/cdr/")) {
        let in_path = of(item);
        let name = |parameter: &Value| parameter["name"].as_str().unwrap().to_owned();
        assert!(in_path.iter().all(|parameter| path.contains(&format!("{{{}}}", name(parameter)))), "{path}");
        assert_eq!(in_path.len(), path.matches('{').count(), "{path}");
        // One object, with a property for each parameter.
        let [record] = of(&item["get"]).try_into().unwrap();
        assert_eq!(
            (&record["in"], &record["style"], &record["explode"]),
            (&"query".into(), &"form".into(), &true.into())
        );
        assert_eq!(names(&resolved(&document, &record["schema"])["properties"]), fields, "{path}");
    }
    for schema in ["Cdr", "CdrForm"] {
        assert_eq!(names(&document["components"]["schemas"][schema]["properties"]), fields);
    }
}

/// The documented required parameters are those that the parser requires, and the examples are records.
#[tokio::test]
async fn the_documented_examples_are_records() {
    let document = document();
    let edge = Edge::open().await;
    let missing = edge.get("/v1/cdr/bizcall").await;
    for schema in ["Cdr", "CdrForm"] {
        let required = document["components"]["schemas"][schema]["required"].as_array().unwrap();
        let required: Vec<_> = required.iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(missing.is_problem(422).fields(), [required, vec!["vn"]].concat());
    }

    let parameters = document["components"]["schemas"]["CdrForm"]["properties"].as_object().unwrap();
    let query: Vec<_> = parameters
        .iter()
        .map(|(name, parameter)| {
            let example = parameter["examples"][0].as_str().unwrap();
            format!("{name}={}", utf8_percent_encode(example, NON_ALPHANUMERIC))
        })
        .collect();
    edge.get(&format!("/v1/cdr/bizcall?{}", query.join("&"))).await.is("accepted");
    let content = &document["components"]["requestBodies"]["Cdr"]["content"];
    let ring = &content[JSON]["examples"]["ring"]["value"];
    // The ring belongs to the call above, and comes after its end.
    edge.post("/v1/cdr/bizcall", JSON, ring.to_string()).await.is("accepted");
    let last = &content[JSON]["examples"]["final"]["value"];
    edge.post("/v1/cdr/bizcall", JSON, last.to_string()).await.is("duplicate");
    assert_eq!(&content[FORM]["examples"]["ring"]["value"], ring);
}
