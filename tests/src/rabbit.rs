//! Private RabbitMQ nodes.
//!
//! A node has its own name, ports, directories and port mapper, so it does not meet another node of this machine, and it always
//! ends with the test process (see [`crate::guard`]). Starting one takes 6–10 s: tests without faults of the broker use
//! [`RabbitNode::shared`], each with its own exchange name ([`unique`]); tests that stop, kill or freeze it start their own.
//!
//! ```text
//! let node = RabbitNode::shared().await;          // or RabbitNode::start().await
//! let connection = node.connect().await;          // a bare lapin connection
//! let queues = node.queues().await;               // as the broker itself sees them
//! ```

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use lapin::{Connection, ConnectionProperties};
use rustix::process::{Pid, Signal};
use tokio::{process::Command, sync::OnceCell, time::timeout};

use crate::{
    guard::{Program, Running, freeze, send},
    port::free_port,
    wait::{must, until, within},
};

/// The URL of a broker that does not exist: nothing listens there.
pub const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:9/%2f";

/// The directory of RabbitMQ's own scripts on Debian; those in `/usr/sbin` require a certain user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// How long a node may take to start, with both cores busy.
const START: Duration = Duration::from_secs(90);
/// How long one attempt to connect to a starting node may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(60);
/// How long one `rabbitmqctl` may take.
const CTL: Duration = Duration::from_secs(60);

/// The share of the machine's memory above which it takes no more messages.
const WATERMARK: &str = "0.8";
/// The free disk space below which it takes no more messages.
const DISK_FREE: &str = "50MB";

/// How long a test waits for a state that it queries with `rabbitmqctl`: one query takes 2–3 s.
pub const QUERIES: Duration = Duration::from_secs(60);

static SHARED: OnceCell<RabbitNode> = OnceCell::const_new();

/// A name that no other test uses, e.g. for an exchange.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One private node, listening on 127.0.0.1.
#[derive(Debug)]
pub struct RabbitNode {
    name: String,
    port: u16,
    // `None` while it is stopped.
    running: Option<Running>,
    // Ends last, and then its guard removes the directory, also if the node is never dropped.
    _port_mapper: Running,
    directory: PathBuf,
    environment: Vec<(String, String)>,
}

/// A queue as the broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    pub kind: String,
    /// It is deleted with its connection.
    pub exclusive: bool,
    /// It is deleted with its last consumer.
    pub auto_delete: bool,
    /// It survives a restart.
    pub durable: bool,
    /// Its arguments, in Erlang's notation.
    pub arguments: String,
    /// Messages in it, ready and unacknowledged.
    pub messages: u64,
}

impl RabbitNode {
    /// The node that all tests of this process share; no test may stop it or inject a fault.
    ///
    /// # Panics
    /// See [`RabbitNode::start`].
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// Starts a new node and waits until it accepts connections.
    ///
    /// # Panics
    /// RabbitMQ is not installed, or the node does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a node with more lines in its `rabbitmq.conf`, e.g. `listeners.ssl.1 = 127.0.0.1:<free_port()>`.
    ///
    /// # Panics
    /// See [`RabbitNode::start`].
    pub async fn start_with(configuration: &str) -> Self {
        assert!(
            Path::new(SCRIPTS).join("rabbitmq-server").exists(),
            "these tests need RabbitMQ: apt-get install rabbitmq-server"
        );
        let made = tempfile::Builder::new().prefix("ringpad-rabbit-").tempdir();
        let directory = must("a directory for RabbitMQ", made).keep();
        let path = directory.as_path();
        let name = format!("{}@localhost", unique("ringpad"));
        let port = free_port();
        must("rabbitmq.conf", fs::write(path.join("rabbitmq.conf"), configuration_file(configuration)));
        must("enabled_plugins", fs::write(path.join("enabled_plugins"), "[].\n"));
        let environment = environment(path, &name, port);
        let mut mapper = with(Program::new("epmd", path.join("epmd.log")), &environment);
        mapper.remove = Some(directory.clone());
        let mapper = mapper.spawn();
        let mut node = Self { name, port, running: None, _port_mapper: mapper, directory, environment };
        node.resume().await;
        node
    }

    /// Its URL for a service; guest's password is not a secret.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The URL through a proxy at `address`.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("amqp://guest:guest@{address}/%2f")
    }

    /// Its address for AMQP connections, which stays the same over a restart.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A bare AMQP connection.
    ///
    /// # Panics
    /// The node does not accept it.
    pub async fn connect(&self) -> Connection {
        must(
            "a connection to RabbitMQ",
            within("a connection to RabbitMQ", START, connect(&self.url())).await,
        )
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), with the same ports and data.
    ///
    /// # Panics
    /// It does not come up.
    pub async fn resume(&mut self) {
        let begun = Instant::now();
        let program = with(Program::new(script("rabbitmq-server"), self.log()), &self.environment);
        let mut running = program.spawn();
        let url = self.url();
        let log = self.log();
        until(&format!("RabbitMQ accepts connections, see {}", log.display()), START, async || {
            assert!(running.status().is_none(), "RabbitMQ ended at its start:\n{}", tail(&log));
            // A starting node may never answer an attempt, and lapin has no timeout.
            timeout(ATTEMPT, connect(&url)).await.ok()?.ok()
        })
        .await;
        self.running = Some(running);
        eprintln!("RabbitMQ node {} is up after {:.1} s", self.name, begun.elapsed().as_secs_f64());
    }

    /// Stops it with SIGTERM, as for maintenance.
    ///
    /// # Panics
    /// It does not end.
    pub async fn stop(&mut self) {
        send(self.pid(), Signal::TERM);
        if let Some(mut running) = self.running.take() {
            running.exit(STOP).await;
        }
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().await;
        }
    }

    /// Stops it (`SIGSTOP`), and returns when none of its threads runs any more; its connections stay open.
    ///
    /// # Panics
    /// It does not stop.
    pub fn freeze(&self) {
        freeze(self.pid());
    }

    /// Continues it after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        send(self.pid(), Signal::CONT);
    }

    /// The broker's own process, which is not the script that started it.
    ///
    /// # Panics
    /// It is not running.
    pub fn pid(&self) -> Pid {
        let file = self.directory.join("pid");
        let text = must("RabbitMQ's pid file", fs::read_to_string(&file));
        text.trim().parse().ok().and_then(Pid::from_raw).expect("RabbitMQ writes its process id")
    }

    /// The node's output.
    pub fn log(&self) -> PathBuf {
        self.directory.join("node.log")
    }

    /// Runs one `rabbitmqctl` command (2–3 s) and returns what it printed.
    ///
    /// # Panics
    /// It fails.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(script("rabbitmqctl"));
        command.args(["--quiet", "--node", &self.name]).args(arguments).kill_on_drop(true);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = must("rabbitmqctl", within("rabbitmqctl ends", CTL, command.output()).await);
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes it take no more messages, as if it had no memory left.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn raise_memory_alarm(&self) {
        self.ctl(&["set_vm_memory_high_watermark", "absolute", "1"]).await;
    }

    /// Makes it take messages again.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn end_memory_alarm(&self) {
        self.ctl(&["set_vm_memory_high_watermark", WATERMARK]).await;
    }

    /// Makes it take no more messages, as if its disk were full.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn raise_disk_alarm(&self) {
        self.ctl(&["set_disk_free_limit", "1000000000000000"]).await;
    }

    /// Makes it take messages again.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn end_disk_alarm(&self) {
        self.ctl(&["set_disk_free_limit", DISK_FREE]).await;
    }

    /// Deletes a queue, also one that is in use or exclusive. That there is no such queue is not an error.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn delete_queue(&self, name: &str) {
        let deletion = format!(
            "case rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{name}\">>)) of \
             {{ok, Q}} -> rabbit_amqqueue:delete(Q, false, false, <<\"test\">>); \
             {{error, not_found}} -> gone end."
        );
        self.ctl(&["eval", &deletion]).await;
    }

    /// Deletes an exchange, also one that is in use.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn delete_exchange(&self, name: &str) {
        let exchange = format!("rabbit_misc:r(<<\"/\">>, exchange, <<\"{name}\">>)");
        self.ctl(&["eval", &format!("rabbit_exchange:delete({exchange}, false, <<\"test\">>).")]).await;
    }

    /// Waits until the node blocks a connection that publishes, because of an alarm.
    ///
    /// # Panics
    /// It does not.
    pub async fn until_blocked(&self) {
        until("the publisher is blocked", QUERIES, async || {
            self.ctl(&["list_connections", "state"]).await.lines().any(|line| line == "blocked").then_some(())
        })
        .await;
    }

    /// All queues of the node, as the broker itself sees them.
    ///
    /// # Panics
    /// `rabbitmqctl` fails.
    pub async fn queues(&self) -> Vec<Queue> {
        let columns = ["name", "type", "exclusive", "auto_delete", "durable", "arguments", "messages"];
        let listed = self.ctl(&[&["list_queues", "--no-table-headers"][..], &columns[..]].concat()).await;
        listed.lines().filter(|line| !line.trim().is_empty()).map(queue).collect()
    }
}

fn queue(line: &str) -> Queue {
    let fields: Vec<_> = line.split('\t').map(str::trim).collect();
    let [name, kind, exclusive, auto_delete, durable, arguments, messages] = fields[..] else {
        panic!("rabbitmqctl list_queues printed {line:?}");
    };
    Queue {
        name: name.to_owned(),
        kind: kind.trim_start_matches("rabbit_").trim_end_matches("_queue").to_owned(),
        exclusive: exclusive == "true",
        auto_delete: auto_delete == "true",
        durable: durable == "true",
        arguments: arguments.to_owned(),
        messages: must("a number of messages", messages.parse()),
    }
}

async fn connect(url: &str) -> lapin::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await
}

fn configuration_file(more: &str) -> String {
    // The watermark is a share of the whole machine's memory, which other processes use too.
    format!(
        "vm_memory_high_watermark.relative = {WATERMARK}\ndisk_free_limit.absolute = {DISK_FREE}\nlog.console = true\nlog.file = false\n{more}\n"
    )
}

fn environment(directory: &Path, name: &str, port: u16) -> Vec<(String, String)> {
    let at = |file: &str| directory.join(file).display().to_string();
    let ports = [free_port(), free_port()].map(|port| port.to_string());
    let settings = [
        ("RABBITMQ_NODENAME", name.to_owned()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", ports[0].clone()),
        ("ERL_EPMD_PORT", ports[1].clone()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_MNESIA_BASE", at("mnesia")),
        ("RABBITMQ_LOG_BASE", at("log")),
        ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", at("rabbitmq-env.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
        ("RABBITMQ_PID_FILE", at("pid")),
        // Not in the directory of the tests, i.e. the repository.
        ("ERL_CRASH_DUMP", at("erl_crash.dump")),
        ("HOME", directory.display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PATH", std::env::var("PATH").unwrap_or_default()),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn with(mut program: Program, environment: &[(String, String)]) -> Program {
    program.environment = environment.to_vec();
    program
}

fn script(name: &str) -> PathBuf {
    Path::new(SCRIPTS).join(name)
}

/// The last lines of a log, for the message of a failed test.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
