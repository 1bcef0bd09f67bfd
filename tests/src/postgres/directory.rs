//! The directory of a server, and the programs that work on it.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::process::Command;

use crate::{
    guard::{Program, Running},
    machine::Machine,
    wait::{must, within},
};

/// Where Debian has each version's programs.
const VERSIONS: &str = "/usr/lib/postgresql";
/// How long one program may take.
const PROGRAM: Duration = Duration::from_secs(60);

/// The user that the server runs as when the tests run as root.
const USER: &str = "postgres";

/// Small, so that the server starts soon. Without `fsync`: tests kill processes, not the machine, and the kernel keeps what it was
/// given. A killed server must not leave files in `/dev/shm`.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
fsync = off
full_page_writes = off
wal_keep_size = 64MB
wal_retrieve_retry_interval = 200ms
jit = off
log_min_duration_statement = 1s
log_lock_waits = on
";

/// A server's directory. It is removed when this is dropped, or the test process ends.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// What the server sees as its machine, if a test controls that.
    machine: Option<Machine>,
    // Lives as long as this: when it has ended, its guard removes the directory.
    _keeper: Running,
}

impl Directory {
    pub(super) async fn new() -> Self {
        let made = must("a directory", tempfile::Builder::new().prefix("ringpad-postgres-").tempdir());
        let path = made.keep();
        let mut keeper = Program::new("sleep", path.join("keeper.log")).argument("infinity");
        keeper.remove = Some(path.clone());
        let directory = Self { path, machine: None, _keeper: keeper.spawn() };
        give(&directory.path).await;
        directory
    }

    /// Gives the server a machine, from its next start on.
    pub(super) fn add_machine(&mut self) {
        let directory = self.path.join("machine");
        must("a directory", fs::create_dir(&directory));
        self.machine = Some(Machine::new(&directory, None));
    }

    pub(super) fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// Makes an empty cluster.
    pub(super) async fn make_cluster(&self) {
        let arguments =
            ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres"];
        self.run("initdb", &arguments).await;
        self.configure(CONFIGURATION);
    }

    /// Copies the cluster of the server at `primary`, to be a standby of it. What was there is deleted. `pg_basebackup` could write the configuration itself, but
    /// one of a newer version than the server writes parameters that the server does not know.
    pub(super) async fn copy_cluster(&self, primary: SocketAddr) {
        if self.data().exists() {
            must("the former cluster", fs::remove_dir_all(self.data()));
        }
        let connection = format!("host={} port={} user=postgres", primary.ip(), primary.port());
        let source = format!("--dbname={connection}");
        self.run("pg_basebackup", &[source.as_str(), "--checkpoint=fast", "--no-sync"]).await;
        self.configure(&format!("primary_conninfo = '{connection}'"));
        must("standby.signal", fs::write(self.data().join("standby.signal"), ""));
    }

    /// Adds lines to its `postgresql.conf`; later ones count.
    pub(super) fn configure(&self, lines: &str) {
        let file = OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        must("postgresql.conf", file.and_then(|mut file| writeln!(file, "{lines}")));
    }

    /// The server, in namespaces of its own: all its processes and its shared memory end with the first process.
    pub(super) fn server(&self) -> Program {
        let mut program = Program::new("unshare", self.log());
        if !geteuid().is_root() {
            program = program.argument("--user").argument("--map-current-user");
        }
        program = program.argument("--ipc").argument("--pid").argument("--fork").argument("--");
        let server = as_user(&binary("postgres"));
        let data = format!("-D{}", self.data().display());
        let program = server.into_iter().chain([data]).fold(program, Program::argument);
        self.machine.as_ref().map_or_else(|| program.clone(), |machine| machine.run(program.clone()))
    }

    /// A connection pooler in front of the server, with this configuration.
    pub(super) fn pooler(&self, configuration: &str) -> Program {
        let file = self.path.join("pgbouncer.ini");
        must("pgbouncer.ini", fs::write(&file, configuration));
        let words = as_user(Path::new("/usr/sbin/pgbouncer"));
        let [first, rest @ ..] = words.as_slice() else { panic!("{NEEDED}") };
        let program = rest.iter().cloned().fold(Program::new(first, self.log()), Program::argument);
        program.argument(file.display().to_string())
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    async fn run(&self, name: &str, arguments: &[&str]) {
        let program = as_user(&binary(name));
        let [file, first @ ..] = program.as_slice() else { return };
        let mut command = Command::new(file);
        command.args(first).arg("--pgdata").arg(self.data()).args(arguments).current_dir(&self.path);
        run(command, name).await;
    }
}

/// Runs a program to its end.
pub(super) async fn run(mut command: Command, what: &str) {
    command.kill_on_drop(true);
    let output = must(what, within(what, PROGRAM, command.output()).await);
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

const NEEDED: &str = "these tests need PostgreSQL: apt-get install postgresql pgbouncer";

/// Makes the server's user the owner of a directory and what is in it.
pub(super) async fn give(directory: &Path) {
    if geteuid().is_root() {
        let mut chown = Command::new("chown");
        chown.arg("--recursive").arg(USER).arg(directory);
        run(chown, NEEDED).await;
    }
}

/// The program in `POSTGRES_BIN`, a directory, or the newest installed version's.
pub(super) fn binary(name: &str) -> PathBuf {
    if let Some(directory) = env::var_os("POSTGRES_BIN") {
        return PathBuf::from(directory).join(name);
    }
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let installed = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let file = version.path().join("bin").join(name);
        file.exists().then_some((number, file))
    });
    installed.max().expect(NEEDED).1
}

/// A command line that runs a program as a user that the server accepts.
fn as_user(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    if !geteuid().is_root() {
        return vec![program];
    }
    let words = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "--"];
    words.map(str::to_owned).into_iter().chain([program]).collect()
}
