//! The shipped alerts, evaluated by promtool on the metrics of real services.
//!
//! Rules look back over minutes and hours, for which no test can wait. So the services are asked a few times, and each answer is
//! repeated for a while:
//!
//! ```text
//! quiet          before        after ──► continued
//! 0 … 20 min     20 min        20 min + 10 s …
//! ```
//!
//! [`Timeline::judge`] tells which alerts fire at the end of the quiet time, and which at any time after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use tokio::{process::Command, time::timeout};

use crate::{
    http::Client,
    nginx::{shipped, shipped_text},
    services::System,
    wait::must,
};

/// Seconds between two samples, as in prometheus.yml.
const STEP: u64 = 10;
/// Samples of the quiet time: longer than any rule looks back with `offset`, except the one of an hour.
const QUIET: u64 = 120;
/// Samples after it: longer than any rule's `for` and a window of 5 minutes.
const AFTER: u64 = 66;

/// How long Prometheus waits for an answer by default.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// The metrics of one program at a moment; empty if it did not answer.
type Samples = BTreeMap<String, Value>;

/// A metric's value.
#[derive(Debug, Clone, Copy)]
enum Value {
    /// As it was measured.
    Number(f64),
    /// An instant, so many seconds before.
    Ago(f64),
}

/// The metrics of the services over time, as Prometheus sees them.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Job, instance, and the address of its metrics.
    targets: Vec<(&'static str, String, SocketAddr)>,
    moments: Vec<(Instant, Vec<Option<Samples>>)>,
}

/// What comes after the last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// Nothing more happens.
    Idle,
    /// Counters grow at the same rates as between the last two moments.
    SameRates,
}

/// The alerts that fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringAlerts {
    /// At the end of the quiet time.
    pub quiet: BTreeSet<String>,
    /// At any time after that.
    pub end: BTreeSet<String>,
}

impl Timeline {
    /// Begins with the quiet time, with the metrics of now.
    pub async fn begin(system: &System) -> Self {
        let ingest = [("ingest-svc", "ingest-svc:9464".to_owned(), system.ingest_at.admin)];
        let push = system.push_at.iter().enumerate();
        let push = push.map(|(index, at)| ("push-svc", format!("push-{}:9465", index + 1), at.admin));
        let mut timeline = Self { targets: ingest.into_iter().chain(push).collect(), moments: Vec::new() };
        timeline.sample().await;
        timeline
    }

    /// Adds the metrics of now.
    pub async fn sample(&mut self) {
        let mut seen = Vec::new();
        for (_, _, address) in &self.targets {
            let mut client = Client::new(*address);
            let answer = timeout(SCRAPE_TIMEOUT, client.get("/metrics")).await;
            seen.push(answer.ok().and_then(Result::ok).map(|answer| samples(&answer.text())));
        }
        self.moments.push((Instant::now(), seen));
    }

    /// A metric as it was last seen, over all services and labels.
    ///
    /// # Panics
    /// There is no sample yet.
    pub fn value(&self, name: &str) -> f64 {
        let (_, last) = self.moments.last().expect("there is a sample");
        let series = last.iter().flatten().flatten().filter(|(series, _)| series.starts_with(name));
        series.map(|(_, Value::Number(value) | Value::Ago(value))| value).sum()
    }

    /// Evaluates all alerts.
    ///
    /// # Panics
    /// promtool is not installed, or refuses its input.
    pub async fn judge(&self, continuation: Continuation) -> FiringAlerts {
        let names = names();
        let begun = QUIET * STEP;
        let minutes = 1..=AFTER * STEP / 60;
        let after = minutes.map(|minute| begun + self.moments.len() as u64 * STEP + minute * 60);
        let times: Vec<_> = std::iter::once(begun - STEP).chain(after).collect();
        let asked = times.iter().flat_map(|at| names.iter().map(|name| (*at, name))).collect();
        let (quiet, end): (Vec<_>, Vec<_>) =
            self.firing(continuation, asked).await.into_iter().partition(|(at, _)| *at < begun);
        let only_names =
            |fired: Vec<(u64, &String)>| fired.into_iter().map(|(_, name)| name.clone()).collect();
        FiringAlerts { quiet: only_names(quiet), end: only_names(end) }
    }

    /// Which of these alerts fire at these times, in seconds. promtool is given the expectation that none fires, and prints those
    /// that do.
    async fn firing<'a>(
        &self,
        continuation: Continuation,
        asked: Vec<(u64, &'a String)>,
    ) -> BTreeSet<(u64, &'a String)> {
        let mut text = format!(
            "rule_files: [{}]\nevaluation_interval: {STEP}s\ntests:\n- interval: {STEP}s\n  input_series:\n",
            shipped("deploy/alerts.yml").display()
        );
        for (series, values) in self.series(continuation) {
            must("a line", writeln!(text, "  - series: '{series}'\n    values: '{values}'"));
        }
        text.push_str("  promql_expr_test:\n");
        for (at, name) in &asked {
            let query = query(*at, name);
            must("a line", writeln!(text, "  - expr: {query}\n    eval_time: {at}s\n    exp_samples: []"));
        }
        let directory = must("a directory", tempfile::tempdir());
        let file = directory.path().join("alerts.test.yml");
        must("a file", std::fs::write(&file, text));
        let output =
            must("promtool", Command::new("promtool").args(["test", "rules"]).arg(&file).output().await);
        let printed =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let fires: BTreeSet<_> =
            asked.into_iter().filter(|(at, name)| printed.contains(&query(*at, name))).collect();
        assert_eq!(output.status.success(), fires.is_empty(), "promtool: {printed}");
        fires
    }

    /// Every series and its values, as promtool writes them.
    fn series(&self, continuation: Continuation) -> BTreeMap<String, String> {
        let mut series = BTreeMap::new();
        for (index, (job, instance, _)) in self.targets.iter().enumerate() {
            let target = format!("job=\"{job}\",instance=\"{instance}\"");
            let seen: Vec<_> = self.moments.iter().map(|(_, seen)| seen[index].as_ref()).collect();
            let up = |seen: &Option<&Samples>| Some(Value::Number(f64::from(u8::from(seen.is_some()))));
            let up: Vec<_> = seen.iter().map(up).collect();
            series.insert(format!("up{{{target}}}"), self.values(&up, Continuation::Idle));
            let names: BTreeSet<_> =
                seen.iter().flat_map(|seen| seen.iter().flat_map(|seen| seen.keys())).collect();
            for name in names {
                let values: Vec<_> = seen.iter().map(|seen| (*seen)?.get(name).copied()).collect();
                let labelled = match name.split_once('{') {
                    Some((name, labels)) => format!("{name}{{{target},{labels}"),
                    None => format!("{name}{{{target}}}"),
                };
                let counts = ["_total", "_bucket", "_sum", "_count"]
                    .iter()
                    .any(|ending| name.split('{').next().is_some_and(|name| name.ends_with(ending)));
                series.insert(
                    labelled,
                    self.values(&values, if counts { continuation } else { Continuation::Idle }),
                );
            }
        }
        series
    }

    /// The values of one series.
    fn values(&self, seen: &[Option<Value>], continuation: Continuation) -> String {
        let [.., (before, _), (after, _)] = &self.moments[..] else { panic!("at least two moments") };
        let between = after.duration_since(*before).as_secs_f64();
        let [.., last_but_one, last] = seen else { panic!("at least two moments") };
        // Each moment is a step after the one before; the first is the last sample of the quiet time.
        let at = |moment: u64| (QUIET - 1 + moment) * STEP;
        let mut values = vec![line(seen[0], at(0), QUIET, Some(STEP as f64))];
        values.extend((1..).zip(&seen[1..]).map(|(moment, value)| line(*value, at(moment), 1, None)));
        let end = at(seen.len() as u64 - 1);
        let each = match (last_but_one, last) {
            // If the instant has changed meanwhile, it continues to change.
            (Some(Value::Ago(first)), Some(Value::Ago(last))) => {
                (*last < first + between / 2.0).then_some(STEP as f64)
            }
            (Some(Value::Number(first)), Some(Value::Number(last)))
                if continuation == Continuation::SameRates =>
            {
                Some((last - first) * STEP as f64 / between)
            }
            _ => None,
        };
        values.push(match (last, each) {
            (Some(Value::Number(value)), Some(each)) => format!("{}+{each}x{}", value + each, AFTER - 1),
            (Some(Value::Ago(_)), None) => {
                // The same instant, longer and longer ago.
                line(*last, end, AFTER, None)
            }
            _ => line(*last, end + AFTER * STEP, AFTER, each),
        });
        values.join(" ")
    }
}

/// `count` samples, of which the last is at `end`. `each` is how far an instant moves from one sample to the next.
fn line(value: Option<Value>, end: u64, count: u64, each: Option<f64>) -> String {
    match value {
        None => format!("_x{count}"),
        Some(Value::Number(value)) => format!("{value}+0x{}", count - 1),
        Some(Value::Ago(ago)) => {
            let each = each.unwrap_or_default();
            format!("{}+{each}x{}", end as f64 - ago - each * (count - 1) as f64, count - 1)
        }
    }
}

/// Has an answer if the alert fires.
fn query(at: u64, name: &str) -> String {
    format!("count(ALERTS{{alertname='{name}',alertstate='firing'}}) * 0 + {at}")
}

/// The names of all shipped alerts.
///
/// # Panics
/// They cannot be read.
pub fn names() -> Vec<String> {
    #[derive(Deserialize)]
    struct File {
        groups: Vec<Group>,
    }
    #[derive(Deserialize)]
    struct Group {
        rules: Vec<Rule>,
    }
    #[derive(Deserialize)]
    struct Rule {
        alert: String,
    }
    let file: File = must("alerts.yml", serde_saphyr::from_str(&shipped_text("deploy/alerts.yml")));
    file.groups.into_iter().flat_map(|group| group.rules).map(|rule| rule.alert).collect()
}

/// The samples of an answer of `/metrics`.
fn samples(text: &str) -> Samples {
    let now = must("the time", SystemTime::now().duration_since(UNIX_EPOCH)).as_secs_f64();
    let mut samples = Samples::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let end = line.find('}').map_or_else(|| line.find(' '), |at| Some(at + 1)).expect("a value");
        let (name, value) = line.split_at(end);
        let value: f64 = must(line, value.split_whitespace().next().expect("a value").parse());
        let instant = name.contains("_timestamp_seconds");
        samples.insert(name.to_owned(), if instant { Value::Ago(now - value) } else { Value::Number(value) });
    }
    samples
}
