//! Child processes that cannot outlive the tests.
//!
//! Each child runs under a small shell, the guard, whose standard input is a pipe that only this process holds. When this process
//! ends for any reason, the pipe closes and the guard kills the child's whole process group. `Drop` does the same. The guard's
//! exit status is the child's.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::{SOON, must, until};

/// `$1` is the child's limit of open files, `$2` the file of its output, `$3` a directory to remove at the end (or nothing), the
/// rest is its command line. The directory may still be in use by another child that is being killed, so it is tried again. The
/// child's process group is made by `setsid` and not by bash's job control, with which `wait` returns when a child is stopped.
/// Before `setsid` has run there is no group; then the child itself is killed.
const SCRIPT: &str = r#"
ulimit -n "$1"; log=$2; remove=$3; shift 3
exec 3<&0
setsid -- "$@" </dev/null >>"$log" 2>&1 3<&- & child=$!
echo "$child"
exec >/dev/null 2>&1
{ read -r -N 1 <&3; kill -9 -- "-$child" || kill -9 "$child"; } & watch=$!
wait "$child"; status=$?
kill -9 "$watch"
if [ -n "$remove" ]; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$remove" && break; sleep 0.2; done
fi
exit "$status"
"#;

/// How long a killed child may take to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program's file.
    pub file: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// The file to which its output is appended.
    pub log: PathBuf,
    /// How many files it may have open.
    pub open_files: u32,
    /// A directory that is removed when it has ended.
    pub remove: Option<PathBuf>,
}

impl Program {
    /// A program without arguments and settings of its own, with `PATH` and 16,384 open files.
    pub fn new(file: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            arguments: Vec::new(),
            environment: vec![("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())],
            log: log.into(),
            open_files: 16_384,
            remove: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable, in place of an earlier value.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(&self) -> Running {
        // Without the guard's standard error: bash would print how the child ended into the child's output.
        let mut guard = Command::new("bash")
            .args(["-c", SCRIPT, "guard", &self.open_files.to_string()])
            .arg(&self.log)
            .arg(self.remove.as_deref().unwrap_or(Path::new("")))
            .arg(&self.file)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A signal of a terminal or of `timeout` to the tests' process group must not end the guard.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start bash: {error}"));
        let alive = guard.stdin.take();
        let mut line = String::new();
        let read = guard.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let Some(pid) = pid else {
            panic!("cannot start {}: {read:?}, see {}", self.file.display(), self.log.display());
        };
        Running { guard, alive, pid }
    }
}

/// A running child.
#[derive(Debug)]
pub struct Running {
    guard: Child,
    alive: Option<ChildStdin>,
    pid: Pid,
}

impl Running {
    /// The child's process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to the child; that it has ended already is not an error.
    pub fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Stops the child (`SIGSTOP`), and returns when none of its threads runs any more; its connections stay open.
    ///
    /// # Panics
    /// It does not stop.
    pub fn freeze(&self) {
        freeze(self.pid);
    }

    /// Continues the child after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal to the child and to its own children.
    ///
    /// # Panics
    /// It cannot be sent.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid, signal).expect("the child's group takes signals");
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// Its state cannot be read.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.guard.try_wait().expect("the guard is our own child")
    }

    /// Waits until it has ended, and returns its exit code; 128 and the signal's number when a signal ended it.
    ///
    /// # Panics
    /// It has not ended after `bound`.
    pub async fn exit(&mut self, bound: Duration) -> i32 {
        let pid = self.pid.as_raw_nonzero();
        let status = until(&format!("process {pid} has ended"), bound, async || self.status()).await;
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    /// Kills the whole process group immediately, and waits until it has ended.
    pub async fn kill(&mut self) {
        self.alive = None;
        self.exit(KILL_TIMEOUT).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.alive = None;
        let begun = Instant::now();
        while self.status().is_none() && begun.elapsed() < KILL_TIMEOUT {
            sleep(Duration::from_millis(5));
        }
    }
}

/// Sends `signal` to the process `pid`; that it has ended already is not an error.
pub(crate) fn send(pid: Pid, signal: Signal) {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("cannot signal process {}: {error}", pid.as_raw_nonzero()),
    }
}

/// Stops a process (`SIGSTOP`), and returns when none of its threads runs any more; its connections stay open.
pub(crate) fn freeze(pid: Pid) {
    send(pid, Signal::STOP);
    let begun = Instant::now();
    while !halted(pid) {
        assert!(begun.elapsed() < SOON, "process {} does not stop", pid.as_raw_nonzero());
        sleep(Duration::from_millis(1));
    }
}

/// Whether all threads of a process are stopped: the signal reaches one after the other.
fn halted(pid: Pid) -> bool {
    let tasks = must("its threads", fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())));
    // The state follows the name, which stands in parentheses.
    let state = |stat: String| stat.rsplit_once(')').and_then(|(_, rest)| rest.trim().chars().next());
    tasks.flatten().all(|task| {
        let stat = fs::read_to_string(task.path().join("stat"));
        // A thread that has just ended does not run either.
        stat.map_or(true, |stat| matches!(state(stat), Some('T' | 'Z' | 'X')))
    })
}
