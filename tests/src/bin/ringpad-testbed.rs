//! The real services behind the shipped nginx, controlled by tests in other languages: those of the pad page, in Chromium.
//!
//! ```text
//! ringpad-testbed [NAME=VALUE …]        settings for both services; STORE=postgres: with the log in PostgreSQL
//!
//! stdout: {"url":"http://127.0.0.1:…"}                  once all is ready: nginx
//! stdin:  {"do":"store","id":"gangnam"}                 one command a line …
//! stdout: {"virtual_number":"0507-1300-0001"}           … and one answer: its result, or {"error":"…"}
//! ```
//!
//! When its standard input ends, it ends with everything that it started; its exit code is not 0 if a log showed a secret.
#![expect(clippy::print_stdout, reason = "answers are for the test that started it")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, io::stdin, process::Stdio, time::Duration};

use futures_util::future::join_all;
use ringpad_tests::{
    http::Client,
    link::Link,
    nginx::{Nginx, Upstreams},
    postgres::PostgresServer,
    rabbit::RabbitNode,
    services::{Service, System, binary},
    token::Claims,
    wait::{SOON, must, within},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process, task::spawn_blocking, time::sleep};

/// As many as nginx's shipped configuration has.
const REPLICAS: usize = 3;

/// A command of a test.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// Makes a store; answers its `virtual_number`.
    Store { id: String },
    /// Creates and signs a pad's token for so many seconds; answers the `token`.
    Token { store: String, pad: String, name: String, seconds: u64 },
    /// Runs `ringpad` against ingest-svc, with this standard input; answers its exit `code`, `stdout` and `stderr`.
    Ringpad { arguments: Vec<String>, input: String },
    /// Numbers that the test has sent or typed: no log may show them whole.
    Secrets { numbers: Vec<String> },
    /// Makes a link to nginx, whose network the test can change; answers its `url`.
    Link { name: String },
    /// Nothing passes the link any more, and no connection ends.
    BlackHole { link: String },
    /// Ends a black hole.
    Heal { link: String },
    /// How many pads each replica has; `null` for one that does not answer.
    Pads,
    /// `kill -9`.
    Kill { replica: usize },
    /// Starts a replica again, and waits until it is ready.
    Start { replica: usize },
    /// Replaces all replicas, and waits until all are ready again; answers their codes of `exit`.
    RollOut { pace: Pace },
}

/// How fast replicas are replaced.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Pace {
    /// Each is replaced when the one before is ready.
    OneByOne,
    /// Each is replaced a second after the one before, which may not be ready yet.
    ASecondApart,
    /// All drain at the same time, after three others are ready at other addresses and nginx uses those.
    AllAtOnce,
}

/// Everything that was started.
struct Testbed {
    system: System,
    nginx: Nginx,
    links: BTreeMap<String, Link>,
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut settings: Vec<_> = arguments.iter().filter_map(|argument| argument.split_once('=')).collect();
    assert_eq!(settings.len(), arguments.len(), "usage: ringpad-testbed [NAME=VALUE …]");
    let node = RabbitNode::start().await;
    let store = settings.iter().position(|(name, _)| *name == "STORE").map(|place| settings.remove(place).1);
    let database = match store {
        Some("postgres") => {
            let server = PostgresServer::shared().await;
            Some(server.url(&server.create_database().await))
        }
        Some("sqlite") | None => None,
        Some(other) => panic!("STORE={other}: sqlite or postgres is expected"),
    };
    settings.extend(database.as_deref().map(|url| ("DATABASE_URL", url)));
    let system = System::start_with(&node.url(), REPLICAS, &settings).await;
    let has_file = system.directory.path().join("ringpad.db").exists();
    assert_eq!(has_file, database.is_none(), "the log is not in the database that was asked for");
    let nginx = Nginx::start(&system).await;
    println!("{}", json!({ "url": format!("http://{}", nginx.at) }));
    let mut testbed = Testbed { system, nginx, links: BTreeMap::new() };
    let next = || spawn_blocking(|| stdin().lines().next());
    while let Some(line) = must("the reader of commands", next().await) {
        let line = must("a command", line);
        let answer = match serde_json::from_str(&line) {
            Ok(command) => testbed.run(command).await,
            Err(error) => Err(format!("{line}: {error}")),
        };
        println!("{}", answer.unwrap_or_else(|error| json!({ "error": error })));
    }
}

impl Testbed {
    async fn run(&mut self, command: Command) -> Result<Value, String> {
        match command {
            Command::Store { id } => {
                let shop = self.system.store(&id).await;
                Ok(json!({ "virtual_number": shop.virtual_number }))
            }
            Command::Token { store, pad, name, seconds } => {
                let claims = Claims { name, ..Claims::new(&store, &pad) };
                Ok(json!({ "token": claims.lasting(Duration::from_secs(seconds)).token() }))
            }
            Command::Ringpad { arguments, input } => Ok(self.ringpad(&arguments, &input).await),
            Command::Secrets { numbers } => {
                numbers.iter().for_each(|number| self.system.secrets.note_number(number));
                Ok(json!({}))
            }
            Command::Link { name } => {
                let link = Link::to(self.nginx.at).await;
                let url = format!("http://{}", link.at);
                self.links.insert(name, link);
                Ok(json!({ "url": url }))
            }
            Command::BlackHole { link } => self.link(&link).map(Link::black_hole).map(done),
            Command::Heal { link } => self.link(&link).map(Link::heal).map(done),
            Command::Pads => {
                let mut pads = Vec::new();
                for at in &self.system.push_at {
                    pads.push(pads_of(&mut Client::new(at.admin)).await);
                }
                Ok(json!({ "pads": pads }))
            }
            Command::Kill { replica } => {
                self.replica(replica)?.kill().await;
                Ok(json!({}))
            }
            Command::Start { replica } => {
                self.replica(replica)?.start().await;
                Ok(json!({}))
            }
            Command::RollOut { pace } => Ok(json!({ "exit": self.roll_out(pace).await })),
        }
    }

    async fn ringpad(&self, arguments: &[String], input: &str) -> Value {
        let mut command = process::Command::new(binary("ringpad"));
        command.args(arguments).env("INGEST_URL", format!("http://{}", self.system.ingest_at.grpc));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut running = must("ringpad", command.spawn());
        let mut stdin = running.stdin.take().expect("it is piped");
        must("its input", stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        let output = must("its output", within("ringpad", SOON, running.wait_with_output()).await);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        json!({ "code": output.status.code(), "stdout": text(&output.stdout), "stderr": text(&output.stderr) })
    }

    /// Replaces all replicas; returns their exit codes.
    async fn roll_out(&mut self, pace: Pace) -> Vec<i32> {
        match pace {
            Pace::OneByOne => {
                let mut codes = Vec::new();
                for replica in &mut self.system.push {
                    codes.push(restart(replica).await);
                }
                codes
            }
            Pace::ASecondApart => {
                let restarts = self.system.push.iter_mut().zip(0..).map(async |(replica, seconds)| {
                    sleep(Duration::from_secs(seconds)).await;
                    restart(replica).await
                });
                join_all(restarts).await
            }
            Pace::AllAtOnce => self.replace_all().await,
        }
    }

    async fn replace_all(&mut self) -> Vec<i32> {
        let mut old = Vec::new();
        for replica in 0..REPLICAS {
            old.push(self.system.successor(replica).await);
        }
        self.nginx.use_upstreams(Upstreams::of(&self.system)).await;
        old.iter().for_each(Service::terminate);
        join_all(old.iter_mut().map(Service::exit)).await
    }

    fn link(&self, name: &str) -> Result<&Link, String> {
        self.links.get(name).ok_or_else(|| format!("there is no link {name}"))
    }

    fn replica(&mut self, index: usize) -> Result<&mut Service, String> {
        self.system.push.get_mut(index).ok_or_else(|| format!("there are {REPLICAS} replicas, from 0 on"))
    }
}

/// Sends a replica SIGTERM, as a deployment does, and starts it again after its end; returns its exit code.
async fn restart(replica: &mut Service) -> i32 {
    replica.terminate();
    let code = replica.exit().await;
    replica.start().await;
    code
}

fn done(_: ()) -> Value {
    json!({})
}

/// `ringpad_push_pads` of all transports.
async fn pads_of(admin: &mut Client) -> Option<u64> {
    let answer = admin.get("/metrics").await.ok()?.text();
    let gauges = answer.lines().filter_map(|line| line.strip_prefix("ringpad_push_pads{")?.rsplit_once(' '));
    Some(gauges.filter_map(|(_, value)| value.parse::<u64>().ok()).sum())
}
