//! The `ringpad` binary under test: started, read line by line, ended.

use std::{
    io::{BufRead, BufReader, Read, Write, pipe},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Every wait's bound: far longer than anything takes, also on a machine that builds something else meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// The ports of `ringpad dev`.
const PORTS: [u16; 7] = [8080, 8081, 8082, 9464, 9465, 9466, 50_051];
/// Offsets outside the range from which the kernel takes ports of outgoing connections.
const OFFSETS: std::ops::Range<u16> = 10_950..15_484;

/// Held while ports are tried and while a child starts: a child has our open sockets until it runs its program, and a port that is
/// tried would stay in use for as long.
static SPAWNING: Mutex<()> = Mutex::new(());

/// A running command. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Mutex<Receiver<String>>,
    remarks: Mutex<Option<JoinHandle<String>>>,
}

/// A running `ringpad dev`.
pub(crate) struct Dev {
    program: Program,
    curl: String,
    /// What `--port-offset` is.
    pub(crate) offset: u16,
    /// The pads it printed.
    pub(crate) pads: Vec<Pad>,
}

/// A pad that `ringpad dev` printed.
pub(crate) struct Pad {
    /// The store's name.
    pub(crate) store: String,
    /// The replica.
    pub(crate) url: String,
    token: String,
}

/// `ringpad` with these arguments, and nothing of our environment that it would take for settings.
pub(crate) fn ringpad(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringpad"));
    command.args(arguments);
    for variable in ["AMQP_URL", "INGEST_URL", "INTERNAL_TOKEN", "LOG_FORMAT", "PAD_TOKEN_SECRET", "RUST_LOG"]
    {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end: exit code, standard output, standard error.
pub(crate) fn output(mut command: Command) -> (Option<i32>, String, String) {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The same with this on its standard input.
pub(crate) fn output_of(mut command: Command, input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs a command whose standard output has no reader: exit code, standard error.
pub(crate) fn unread(mut command: Command) -> (Option<i32>, String) {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let child = spawn(command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()));
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// The same with standard error, too: exit code.
pub(crate) fn unheard(mut command: Command) -> Option<i32> {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let child = spawn(command.stdout(writer.try_clone().expect("one more")).stderr(writer));
    child.wait_with_output().expect("it ends").status.code()
}

fn spawn(command: &mut Command) -> Child {
    let _spawning = SPAWNING.lock().expect("not poisoned");
    command.spawn().expect("the command starts")
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(ringpad(arguments))
    }

    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stdout = child.stdout.take().expect("a pipe");
        let mut stderr = child.stderr.take().expect("a pipe");
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let remarks = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("UTF-8");
            text
        });
        Self { child, lines: Mutex::new(lines), remarks: Mutex::new(Some(remarks)) }
    }

    /// Waits for the next line of standard output that `wanted` accepts.
    pub(crate) fn line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let lines = self.lines.lock().expect("not poisoned");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{what} did not come within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the program ended before {what} came: {}", self.remarks())
                }
            }
        }
    }

    /// Waits for the next event of this kind on a pad with `--json`; heartbeats and the like are passed over.
    pub(crate) fn event(&self, kind: &str) -> Value {
        let read = |line: &str| serde_json::from_str::<Value>(line).expect("a line is one JSON value");
        let line = self.line(kind, |line| read(line).get(kind).is_some());
        read(&line)[kind].take()
    }

    /// Presses Ctrl-C and waits for the end.
    pub(crate) fn interrupt(self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let (code, _, said) = output({
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -INT \"$0\"", &id]);
            kill
        });
        assert_eq!((code, said.as_str()), (Some(0), ""));
        self.end()
    }

    /// Waits for the end: exit code and standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "the program did not end within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        };
        (status.code(), self.remarks())
    }

    /// Standard error of a program that has ended.
    fn remarks(&self) -> String {
        let reader = self.remarks.lock().expect("not poisoned").take();
        reader.expect("joined once").join().expect("read")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a child that has ended, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Dev {
    /// Starts it on free ports.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_at(free_offset(), flags)
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start_at(offset: u16, flags: &[&str]) -> Self {
        let program = Program::start(&[&["dev", "--port-offset", &offset.to_string()], flags].concat());
        let mut pads = Vec::new();
        let curl = loop {
            let line =
                program.line("the curl line", |line| line.contains("/#token=") || line.starts_with("curl "));
            match line.split_once(": http://") {
                Some((store, page)) => {
                    let (host, token) = page.split_once("/#token=").expect("a pad page");
                    let (url, token) = (format!("http://{host}"), token.to_owned());
                    pads.push(Pad { store: store.to_owned(), url, token });
                }
                None => break line,
            }
        };
        Self { program, curl, offset, pads }
    }

    /// Where CDRs go.
    pub(crate) fn http(&self) -> String {
        format!("http://127.0.0.1:{}", 8080 + self.offset)
    }

    /// Runs the printed line as a newcomer does; the answer.
    pub(crate) fn curl(&self) -> Value {
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.curl]);
        let (code, answer, complaints) = output(shell);
        assert_eq!(code, Some(0), "{}: {complaints}", self.curl);
        serde_json::from_str(&answer).expect("the answer is JSON")
    }

    /// Runs the printed line that creates a token as a newcomer does; a pad that has it, on the first replica.
    pub(crate) fn one_more_pad(&self) -> Pad {
        let line = self.program.line("the token line", |line| line.starts_with("PAD_TOKEN_SECRET="));
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]);
        let (code, token, complaints) = output(shell);
        assert_eq!(code, Some(0), "{line}: {complaints}");
        let Pad { store, url, .. } = &self.pads[0];
        Pad { store: store.clone(), url: url.clone(), token: token.trim().to_owned() }
    }

    /// Rings with `ringpad ring`; the call's id, once for each record.
    pub(crate) fn ring(&self, vn: &str, from: &str, flags: &[&str]) -> Vec<String> {
        let (code, printed, complaints) =
            output(ringpad(&[&["ring", "--vn", vn, "--from", from, "--url", &self.http()], flags].concat()));
        assert_eq!(code, Some(0), "{complaints}");
        let id = |line: &str| line.strip_prefix("accepted ").map(str::to_owned).expect("accepted");
        printed.lines().map(id).collect()
    }

    /// Runs `ringpad stores`.
    pub(crate) fn stores(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        output(self.stores_command(arguments))
    }

    /// `ringpad stores`, not yet run.
    pub(crate) fn stores_command(&self, arguments: &[&str]) -> Command {
        let url = format!("http://127.0.0.1:{}", 50_051 + self.offset);
        ringpad(&[&["stores"], arguments, &["--ingest-url", &url]].concat())
    }

    /// Presses Ctrl-C and waits for the end.
    pub(crate) fn interrupt(self) -> (Option<i32>, String) {
        self.program.interrupt()
    }
}

impl Pad {
    /// What it shows who it is with.
    pub(crate) fn token(&self) -> String {
        self.token.clone()
    }

    /// Opens it in the terminal, for machines.
    pub(crate) fn open(&self, transport: &str) -> Program {
        self.start(&["--json", "--transport", transport])
    }

    /// Opens it in the terminal.
    pub(crate) fn open_for_people(&self) -> Program {
        self.start(&[])
    }

    fn start(&self, flags: &[&str]) -> Program {
        Program::start(&[&["pad", "--token", &self.token, "--url", &self.url], flags].concat())
    }
}

/// An offset at which all ports are free; each one is given once in this process.
fn free_offset() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = OFFSETS.end - OFFSETS.start;
    let _spawning = SPAWNING.lock().expect("not poisoned");
    // Test binaries of other processes begin elsewhere.
    let begin = u16::try_from(std::process::id() % u32::from(span)).expect("below a u16");
    loop {
        let step = NEXT.fetch_add(13, Ordering::Relaxed);
        assert!(step < span, "no free ports");
        let offset = OFFSETS.start + (begin + step) % span;
        let listen = |port: u16| TcpListener::bind(("127.0.0.1", port + offset));
        if PORTS.into_iter().map(listen).collect::<Result<Vec<_>, _>>().is_ok() {
            return offset;
        }
    }
}
