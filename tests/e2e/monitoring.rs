//! The shipped alerts and dashboard name only metrics that the services have.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use ringpad_tests::{
    cdr::{self, answered, hours_ago, ring, ring_at},
    http::{Client, channel, metrics},
    nginx::{shipped, shipped_text},
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};
use serde::Deserialize;
use serde_json::Value;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::deployment::compose;

/// The words of PromQL that our queries use, and the labels that Prometheus adds to every target.
const PROMETHEUS: [&str; 14] = [
    "abs",
    "by",
    "histogram_quantile",
    "increase",
    "instance",
    "job",
    "le",
    "offset",
    "or",
    "rate",
    "sum",
    "time",
    "unless",
    "up",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the name is only here so that other keys are refused")]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "not part of the contract")]
struct Alert {
    alert: String,
    expr: String,
    r#for: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    action: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the intervals are only here so that other keys are refused")]
struct Prometheus {
    global: BTreeMap<String, String>,
    rule_files: Vec<String>,
    scrape_configs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    job_name: String,
    static_configs: Vec<Targets>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Targets {
    targets: Vec<String>,
}

/// Every query of the alerts and the dashboard, and every label in their texts.
fn queries() -> (Vec<String>, BTreeSet<String>) {
    let alerts: Alerts = must("alerts.yml", serde_saphyr::from_str(&shipped_text("deploy/alerts.yml")));
    let (mut queries, mut shown) = (Vec::new(), Vec::new());
    for alert in alerts.groups.into_iter().flat_map(|group| group.rules) {
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("page" | "ticket")), "{}", alert.alert);
        assert!(!alert.annotations.action.is_empty(), "{}: what is to be done?", alert.alert);
        queries.push(alert.expr);
        shown.push(alert.annotations.summary.replace("$labels.", "").replace("$value", "job"));
    }
    let dashboard =
        must("a dashboard", serde_json::from_str(&shipped_text("deploy/grafana/dashboards/ringpad.json")));
    texts(&dashboard, "expr", &mut queries);
    texts(&dashboard, "legendFormat", &mut shown);
    assert!(queries.len() > 20, "{queries:?}");
    let labels = shown.iter().flat_map(|text| text.split("{{").skip(1));
    let labels = labels.filter_map(|rest| Some(rest.split_once("}}")?.0.trim().to_owned()));
    (queries, labels.collect())
}

/// All texts under `key`, at any depth.
fn texts(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

/// The names in a query: of metrics, labels and functions, without text in quotes.
fn names(query: &str) -> BTreeSet<String> {
    let outside: Vec<_> = query.split('"').step_by(2).collect();
    let bare = outside.join(" ").replace("$__rate_interval", "");
    let words = bare.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .map(str::to_owned)
        .collect()
}

/// The names of the metrics that a `/metrics` shows, as queries write them, and of all their labels.
fn measured(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let endings: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            names.extend(endings.iter().map(|ending| format!("{name}{ending}")));
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split(['{', ',']).filter_map(|label| label.split_once('='));
            names.extend(labels.map(|(label, _)| label.to_owned()));
        }
    }
    names
}

#[tokio::test]
async fn every_metric_of_the_alerts_and_the_dashboard_is_measured() {
    let (queries, labels) = queries();
    let mut wanted: BTreeSet<_> = queries.iter().flat_map(|query| names(query)).chain(labels).collect();
    for query in &queries {
        let ours = names(query).iter().any(|name| name.starts_with("ringpad_") || name == "up");
        assert!(ours, "{query} asks for nothing of ours");
    }
    wanted.retain(|name| !PROMETHEUS.contains(&name.as_str()));

    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    // A label exists from its first event on, so everything that happens in a quiet hour must have happened.
    let mut pads = system.pads(&store.id).await;
    let record = store.ring();
    let mut provider = system.provider();
    let late = ring_at(&hours_ago(1), &store.virtual_number, &cdr::caller());
    for record in [&record, &record, &answered(&record), &ring(&cdr::virtual_number(), &cdr::caller()), &late]
    {
        provider.deliver(record).await;
    }
    for pad in &mut pads {
        pad.until_position(2).await;
    }
    system.ring_over_the_bus(&store).await;
    drop(pads);
    let mut missing = BTreeSet::new();
    until("all metrics are there", SOON, async || {
        let mut found = BTreeSet::new();
        for admin in [system.ingest_at.admin, system.push_at[0].admin] {
            found.extend(measured(&metrics(admin).await));
        }
        let now: BTreeSet<_> = wanted.difference(&found).cloned().collect();
        if now != missing {
            eprintln!("not measured: {now:?}");
            missing = now;
        }
        missing.is_empty().then_some(())
    })
    .await;
}

#[test]
fn faults_of_clients_open_a_ticket_and_refusals_of_ours_page() {
    let alerts: Alerts = must("alerts.yml", serde_saphyr::from_str(&shipped_text("deploy/alerts.yml")));
    let alerts = alerts.groups.into_iter().flat_map(|group| group.rules);
    let severities: BTreeMap<_, _> =
        alerts.map(|alert| (alert.alert, alert.labels["severity"].clone())).collect();
    for (alert, severity) in [
        ("SenderRefused", "ticket"),
        ("Quarantined", "ticket"),
        ("CallsWithoutStore", "ticket"),
        ("RecordsRefused", "page"),
        ("LogRefusesRecords", "page"),
    ] {
        assert_eq!(severities.get(alert).map(String::as_str), Some(severity), "{alert}");
    }
}

#[tokio::test]
async fn every_scraper_gets_the_format_it_reads_with_the_process_and_its_build() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    system.ring(&store).await;
    let open_metrics =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    for (service, admin, counter) in [
        (&system.ingest, system.ingest_at.admin, "ringpad_http_answers"),
        (&system.push[0], system.push_at[0].admin, "ringpad_push_bus_messages"),
    ] {
        until("the counter exists", SOON, async || {
            let text = metrics(admin).await;
            text.contains(&format!("\n{counter}_total{{")).then_some(())
        })
        .await;
        for (accept, kind, name) in [
            (open_metrics, "application/openmetrics-text; version=1.0.0; charset=utf-8", counter.to_owned()),
            (
                "text/plain;version=0.0.4",
                "text/plain; version=0.0.4; charset=utf-8",
                format!("{counter}_total"),
            ),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8", format!("{counter}_total")),
        ] {
            let answer =
                Client::new(admin).send("GET", "/metrics", &[("accept", accept)], String::new()).await;
            let answer = must("/metrics", answer);
            let text = answer.text();
            assert_eq!(answer.headers["content-type"], kind);
            assert!(text.contains(&format!("\n# TYPE {name} counter\n")), "{accept}: {text}");
            assert_eq!(text.ends_with("# EOF\n"), kind.contains("openmetrics"), "{accept}");
            let build = format!("\nringpad_build_info{{version=\"{}\",", env!("CARGO_PKG_VERSION"));
            assert!(text.contains(&build), "{accept}: {text}");
            let value = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                must(name, line.unwrap_or("missing").parse::<f64>())
            };
            let pages = must(
                "statm",
                std::fs::read_to_string(format!("/proc/{}/statm", service.running().pid().as_raw_nonzero())),
            );
            let pages: f64 = must("a number", pages.split(' ').nth(1).unwrap_or_default().parse());
            let resident = value("process_resident_memory_bytes");
            assert!((0.5..2.0).contains(&(resident / (pages * 4_096.0))), "{resident}, {pages} pages");
            assert!(value("process_cpu_seconds_total") >= 0.0 && value("process_threads") >= 2.0);
            assert!(value("process_virtual_memory_bytes") >= resident);
            assert!((3.0..value("process_max_fds")).contains(&value("process_open_fds")));
            let now = must("a clock", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH));
            let age = now.as_secs_f64() - value("process_start_time_seconds");
            assert!((-2.0..600.0).contains(&age), "it began {age} s ago");
        }
    }
}

#[tokio::test]
async fn promtool_finds_no_fault_with_either_format() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    system.ring(&store).await;
    for admin in [system.ingest_at.admin, system.push_at[0].admin] {
        let text = metrics(admin).await;
        let file = must("a file", tempfile::NamedTempFile::new());
        must("written", std::fs::write(file.path(), &text));
        let mut promtool = tokio::process::Command::new("promtool");
        let input = must("the file", std::fs::File::open(file.path()));
        let output = must("promtool", promtool.args(["check", "metrics"]).stdin(input).output().await);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // 3: it would choose other names. 1: it cannot read the text.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{said}\n{text}");
    }
}

#[tokio::test]
async fn prometheus_asks_every_service_where_it_answers() {
    let prometheus: Prometheus =
        must("prometheus.yml", serde_saphyr::from_str(&shipped_text("deploy/prometheus.yml")));
    let compose = compose();
    let mut expected =
        BTreeMap::from([("rabbitmq".to_owned(), BTreeSet::from(["rabbitmq:15692".to_owned()]))]);
    for (name, program) in compose.running() {
        let setting = if program == "ingest-svc" { "INGEST_ADMIN_ADDR" } else { "PUSH_ADMIN_ADDR" };
        let target = format!("{name}:{}", compose.port(name, setting).await);
        expected.entry(program.to_owned()).or_default().insert(target);
    }
    let jobs = prometheus.scrape_configs.into_iter().map(|job| {
        let targets = job.static_configs.into_iter().flat_map(|targets| targets.targets);
        (job.job_name, targets.collect::<BTreeSet<_>>())
    });
    assert_eq!(jobs.collect::<BTreeMap<_, _>>(), expected);
    for rules in prometheus.rule_files {
        assert!(shipped("deploy").join(&rules).exists(), "{rules}");
    }
    let source = shipped_text("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("uid: prometheus\n"), "the dashboard's data source: {source}");
}

#[tokio::test]
async fn every_port_answers_livez_and_metrics_show_no_number() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    system.ring(&store).await;
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
        let mut health = HealthClient::new(channel(port).await);
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
