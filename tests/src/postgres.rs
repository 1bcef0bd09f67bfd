//! Private PostgreSQL servers.
//!
//! A server has its own port and directory, so it does not meet another server of this machine, and it always ends with the test
//! process (see [`crate::guard`]). Tests without faults of the database use [`PostgresServer::shared`], each with a database of its
//! own; tests that stop, kill or freeze it start their own server, which takes about 2 s.
//!
//! ```text
//! let server = PostgresServer::shared().await;               // or PostgresServer::start().await
//! let database = server.create_database().await;             // a fresh one
//! let client = server.connect(&database).await;              // a bare connection
//! let url = server.url(&database);                           // for a service
//! let standby = server.standby(Replication::Synchronous).await;
//! ```
//!
//! Its server refuses to run as root, so root becomes `postgres` first. A server that is killed leaves neither processes nor shared
//! memory behind: it runs in process and IPC namespaces of its own, which end with its first process.

mod directory;
mod pooler;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use tokio::{process::Command, sync::OnceCell};
use tokio_postgres::{Client, NoTls};

use crate::{
    guard::{Running, freeze, send},
    machine::Machine,
    port::free_port,
    rabbit::{tail, unique},
    wait::{SOON, must, until, within},
};
use directory::{Directory, binary, run};
pub use pooler::Pooler;

/// How long a server may take to start, with both cores busy; after a kill it reads its write-ahead log again.
const START: Duration = Duration::from_secs(60);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(30);

static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();

/// One private server, listening on 127.0.0.1. Any password is accepted.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    // `None` while it is stopped.
    running: Option<Running>,
    // Removed when the server has ended.
    directory: Directory,
}

/// Whether a commit of the primary waits for its standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// It does: what was committed is on both.
    Synchronous,
    /// It does not: what was committed last may be missing after a promotion.
    Asynchronous,
}

impl PostgresServer {
    /// The server that all tests of this process share; no test may stop it or inject a fault.
    ///
    /// # Panics
    /// See [`PostgresServer::start`].
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// Starts a new server and waits until it accepts connections.
    ///
    /// # Panics
    /// PostgreSQL is not installed, or the server does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a server with more lines in its `postgresql.conf`.
    ///
    /// # Panics
    /// See [`PostgresServer::start`].
    pub async fn start_with(configuration: &str) -> Self {
        Self::start_in(Directory::new().await, configuration).await
    }

    /// Starts a server with a [`machine`](Self::machine); its standbys have one, too.
    ///
    /// # Panics
    /// See [`PostgresServer::start`].
    pub async fn start_on_machine() -> Self {
        let mut directory = Directory::new().await;
        directory.add_machine();
        Self::start_in(directory, "").await
    }

    async fn start_in(directory: Directory, configuration: &str) -> Self {
        let port = free_port();
        let mut server = Self { port, running: None, directory };
        server.directory.make_cluster().await;
        server.directory.configure(&format!("port = {port}\n{configuration}"));
        server.resume().await;
        server
    }

    /// Starts a standby that streams from this server, and waits until it does. With [`Replication::Synchronous`] every commit of
    /// this server waits for it from then on, also while the standby is stopped.
    ///
    /// # Panics
    /// It does not start.
    pub async fn standby(&self, replication: Replication) -> Self {
        self.standby_through(self.address(), replication).await
    }

    /// The same, with a standby that connects to `address`, a proxy before this server.
    ///
    /// # Panics
    /// It does not start.
    pub async fn standby_through(&self, address: SocketAddr, replication: Replication) -> Self {
        let mut directory = Directory::new().await;
        if self.directory.machine().is_some() {
            directory.add_machine();
        }
        let mut standby = Self { port: free_port(), running: None, directory };
        standby.follow(self, address, replication).await;
        standby
    }

    /// Makes this server, which is stopped, a new standby of `primary`, which it reaches at `address`. What it had is deleted; its own
    /// address stays. See [`standby`](Self::standby).
    ///
    /// # Panics
    /// It does not start.
    pub async fn follow(&mut self, primary: &Self, address: SocketAddr, replication: Replication) {
        self.directory.copy_cluster(address).await;
        self.directory.configure(&format!("port = {}", self.port));
        self.resume().await;
        // Until it streams, no commit waits for it.
        primary.is_followed(Replication::Asynchronous).await;
        if replication == Replication::Synchronous {
            let client = primary.connect("postgres").await;
            for statement in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
                must(statement, client.batch_execute(statement).await);
            }
            primary.is_followed(Replication::Synchronous).await;
        }
    }

    /// Waits until a standby streams from this server; with [`Replication::Synchronous`] until commits wait for it, and no longer.
    ///
    /// # Panics
    /// None does.
    pub async fn is_followed(&self, replication: Replication) {
        let client = self.connect("postgres").await;
        let states = match replication {
            Replication::Synchronous => "'sync'",
            Replication::Asynchronous => "'sync', 'async'",
        };
        let streams = format!(
            "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ({states})"
        );
        until("the standby streams", START, async || client.query_opt(&streams, &[]).await.ok()?).await;
    }

    /// Makes a standby the primary. Its former primary is not told: stop, kill or freeze it first.
    ///
    /// # Panics
    /// It is not promoted.
    pub async fn promote(&self) {
        let client = self.connect("postgres").await;
        let promoted = must("pg_promote", client.query_one("SELECT pg_promote(true, 30)", &[]).await);
        assert!(promoted.get::<_, bool>(0), "the standby is not promoted, see {}", self.log().display());
    }

    /// A fresh database, and its name.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn create_database(&self) -> String {
        let name = unique("ringpad");
        let create = format!("CREATE DATABASE \"{name}\"");
        must(&create, self.connect("postgres").await.batch_execute(&create).await);
        name
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.address(), database)
    }

    /// The URL through a proxy at `address`.
    pub fn url_at(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://postgres:not-a-secret@{address}/{database}")
    }

    /// What it sees as its machine.
    ///
    /// # Panics
    /// It was not started with [`start_on_machine`](Self::start_on_machine), and no server that it copied was.
    pub fn machine(&self) -> &Machine {
        self.directory.machine().expect("it has a machine")
    }

    /// Its address, which stays the same over a restart.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A bare connection.
    ///
    /// # Panics
    /// The server does not accept it.
    pub async fn connect(&self, database: &str) -> Client {
        let connected = within("a connection to PostgreSQL", SOON, connect(&self.url(database))).await;
        must("a connection to PostgreSQL", connected)
    }

    /// Runs a client program of PostgreSQL, e.g. `pg_dump`, on this server.
    ///
    /// # Panics
    /// It fails.
    pub async fn client(&self, name: &str, arguments: &[&str]) {
        let mut command = Command::new(binary(name));
        command.args(["--host=127.0.0.1", "--username=postgres", &format!("--port={}", self.port)]);
        command.args(arguments);
        run(command, name).await;
    }

    /// Makes the server's user the owner of a directory that a test has made for it.
    ///
    /// # Panics
    /// It cannot.
    pub async fn give(directory: &Path) {
        directory::give(directory).await;
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), with the same port and data.
    ///
    /// # Panics
    /// It does not come up.
    pub async fn resume(&mut self) {
        let begun = Instant::now();
        let mut running = self.directory.server().spawn();
        let (url, log) = (self.url("postgres"), self.log());
        until(&format!("PostgreSQL accepts connections, see {}", log.display()), START, async || {
            assert!(running.status().is_none(), "PostgreSQL ended at its start:\n{}", tail(&log));
            connect(&url).await.ok()
        })
        .await;
        self.running = Some(running);
        eprintln!("PostgreSQL on port {} is up after {:.1} s", self.port, begun.elapsed().as_secs_f64());
    }

    /// Stops it as for maintenance, without waiting for its clients.
    ///
    /// # Panics
    /// It does not end.
    pub async fn stop(&mut self) {
        send(self.pid(), Signal::INT);
        if let Some(mut running) = self.running.take() {
            running.exit(STOP).await;
        }
    }

    /// `kill -9` of all its processes.
    pub async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().await;
        }
    }

    /// Stops all its processes (`SIGSTOP`), and returns when none runs any more; its connections stay open.
    ///
    /// # Panics
    /// They do not stop.
    pub fn freeze(&self) {
        // The first one starts the others, so it stops first.
        self.processes().into_iter().for_each(freeze);
    }

    /// Continues it after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.processes().into_iter().for_each(|process| send(process, Signal::CONT));
    }

    /// The server's first process.
    ///
    /// # Panics
    /// It is not running.
    pub fn pid(&self) -> Pid {
        let running = self.running.as_ref().expect("the server is running");
        *children(running.pid()).first().expect("the namespaces have a first process")
    }

    /// All its processes, the first one first.
    ///
    /// # Panics
    /// It is not running.
    pub fn processes(&self) -> Vec<Pid> {
        let first = self.pid();
        std::iter::once(first).chain(children(first)).collect()
    }

    /// The server's output.
    pub fn log(&self) -> PathBuf {
        self.directory.log()
    }
}

fn children(process: Pid) -> Vec<Pid> {
    let process = process.as_raw_nonzero();
    let children =
        must("its children", fs::read_to_string(format!("/proc/{process}/task/{process}/children")));
    children.split_whitespace().filter_map(|child| child.parse().ok().and_then(Pid::from_raw)).collect()
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client; its error is also the client's.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
