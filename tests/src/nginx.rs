//! nginx with the shipped configuration, in front of a [`System`]. Only the addresses are changed.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    guard::{Program, Running},
    http::Client,
    pads::Transport,
    port::free_address,
    rabbit::tail,
    services::System,
    wait::{SOON, must, until},
};

/// Its path on Debian.
const NGINX: &str = "/usr/sbin/nginx";

/// A file or folder of the project, by its path from the project's root.
pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file of the project.
///
/// # Panics
/// It cannot be read.
pub fn shipped_text(path: &str) -> String {
    must(path, fs::read_to_string(shipped(path)))
}

/// The servers to which nginx passes requests.
#[derive(Debug, Clone)]
pub struct Upstreams {
    /// ingest-svc, for number providers: one, or two that share a log.
    pub ingest: Vec<SocketAddr>,
    /// The replicas: the shipped configuration has three.
    pub push: [SocketAddr; 3],
}

impl Upstreams {
    /// The services themselves.
    ///
    /// # Panics
    /// The system does not have three replicas.
    pub fn of(system: &System) -> Self {
        let [first, second, third] = &system.push_at[..] else {
            panic!("the shipped configuration has three replicas, not {}", system.push_at.len());
        };
        Self { ingest: vec![system.ingest_at.http], push: [first.pads, second.pads, third.pads] }
    }

    /// The shipped `upstreams.conf` with these addresses, and in place of the file that it includes its text.
    ///
    /// # Panics
    /// There is neither one ingest-svc nor two.
    fn shipped(&self) -> String {
        let [first, second, third] = self.push;
        let (file, ingest) = match self.ingest[..] {
            [one] => ("ingest.conf", vec![("ingest-svc:8080", one)]),
            [one, other] => ("ingest-several.conf", vec![("ingest-1:8080", one), ("ingest-2:8080", other)]),
            _ => panic!("the shipped configuration has one ingest-svc or two, not {}", self.ingest.len()),
        };
        let shipped = shipped_text("deploy/nginx/upstreams.conf");
        let shipped =
            replace(&shipped, "include ingest.conf;", &shipped_text(&format!("deploy/nginx/{file}")));
        let push = [
            ("push-1:8081", first),
            ("push-2:8081", second),
            ("push-3:8081", third),
            // In place of the adopter's token server. It has no tokens, but its access log shows the request.
            ("127.0.0.1:9", self.ingest[0]),
        ];
        let addresses = ingest.iter().chain(&push);
        addresses.fold(shipped, |text, (name, address)| replace(&text, name, &address.to_string()))
    }
}

/// An nginx that can be killed and started again. Its output is in the system's directory, and is searched for secrets together
/// with the services' logs.
#[derive(Debug)]
pub struct Nginx {
    /// Its address.
    pub at: SocketAddr,
    /// Its address for native gRPC.
    pub grpc_at: SocketAddr,
    program: Program,
    running: Option<Running>,
    /// The directory of its files.
    directory: PathBuf,
}

impl Nginx {
    /// Starts it in front of ingest-svc and three replicas, and waits until it answers.
    ///
    /// # Panics
    /// nginx is not installed or refuses the configuration, or the system does not have three replicas.
    pub async fn start(system: &System) -> Self {
        Self::start_before(Upstreams::of(system), system.directory.path()).await
    }

    /// Starts it in front of `upstreams`, with its files in `directory`, and waits until it answers.
    ///
    /// # Panics
    /// nginx is not installed or refuses the configuration.
    pub async fn start_before(upstreams: Upstreams, directory: &Path) -> Self {
        Self::start_with(&upstreams.shipped(), directory).await
    }

    /// Starts it with this as `upstreams.conf`, with its files in `directory`, and waits until it answers.
    ///
    /// # Panics
    /// nginx is not installed or refuses the configuration.
    pub async fn start_with(upstreams: &str, directory: &Path) -> Self {
        assert!(Path::new(NGINX).exists(), "these tests need nginx: apt-get install nginx-light");
        let (at, grpc_at, own) = (free_address(), free_address(), directory.join("nginx"));
        must("a directory for nginx", fs::create_dir(&own));
        configure(&own, at, grpc_at, upstreams);
        let prefix = own.display();
        let program = Program::new(NGINX, directory.join("nginx.log"))
            .argument("-p")
            .argument(prefix.to_string())
            .argument("-c")
            .argument(own.join("nginx.conf").display().to_string())
            .argument("-g")
            .argument(format!("daemon off; pid {prefix}/nginx.pid;"));
        let mut nginx = Self { at, grpc_at, program, running: None, directory: own };
        nginx.resume().await;
        nginx
    }

    /// Makes it pass requests to other `upstreams`, and waits until it does. Its connections stay open.
    ///
    /// # Panics
    /// It does not, or is not running.
    pub async fn use_upstreams(&self, upstreams: Upstreams) {
        configure(&self.directory, self.at, self.grpc_at, &upstreams.shipped());
        self.running.as_ref().expect("it is running").signal(Signal::HUP);
        let (mut client, push) = (Client::new(self.at), upstreams.push.map(|at| at.to_string()));
        until("nginx passes requests to the new upstreams", SOON, async || {
            client.get("/livez").await.ok()?;
            // The line is written after the answer, so this may be an earlier line; then it is tried again.
            let asked = self.accesses().pop()?["upstream"].as_str()?.to_owned();
            push.iter().any(|at| asked.ends_with(at)).then_some(())
        })
        .await;
    }

    /// Starts it again after [`kill`](Self::kill), and waits until it answers.
    ///
    /// # Panics
    /// It does not.
    pub async fn resume(&mut self) {
        let (mut running, mut client) = (self.program.spawn(), Client::new(self.at));
        until("nginx answers", SOON, async || {
            assert!(running.status().is_none(), "nginx ended at its start:\n{}", tail(&self.program.log));
            client.get("/nginx-livez").await.ok().filter(|answer| answer.status.is_success())
        })
        .await;
        self.running = Some(running);
    }

    /// Stops it immediately with SIGTERM: its connections are closed.
    ///
    /// # Panics
    /// It does not end.
    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal(Signal::TERM);
            running.exit(SOON).await;
        }
    }

    /// Stops it and its workers (`SIGSTOP`); their connections stay open.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Continues them after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.signal_group(signal);
        }
    }

    /// `kill -9`, its workers too.
    pub async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().await;
        }
    }

    /// Its address for pads of this transport.
    pub fn at_for(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Grpc => self.grpc_at,
            Transport::GrpcWeb | Transport::WebSocket => self.at,
        }
    }

    /// Its output so far, errors too.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn logged(&self) -> String {
        must("nginx's log", fs::read_to_string(&self.program.log))
    }

    /// The lines of its access log so far.
    ///
    /// # Panics
    /// One of them is not JSON.
    pub fn accesses(&self) -> Vec<Value> {
        let logged = self.logged();
        // A line that is being written has no end yet.
        let lines = logged.split_inclusive('\n').filter(|line| line.starts_with('{') && line.ends_with('\n'));
        lines.map(|line| must(line, serde_json::from_str(line))).collect()
    }
}

/// Copies the configuration with the addresses of the test.
fn configure(directory: &Path, at: SocketAddr, grpc_at: SocketAddr, upstreams: &str) {
    let mut text = upstreams.to_owned();
    // Debian's nginx would write below /var/lib.
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text.push_str(&format!("{kind}_temp_path {}/{kind};\n", directory.display()));
    }
    let listen = |file: &str, port: &str, at: SocketAddr| {
        let text = shipped_text(&format!("deploy/nginx/{file}"));
        replace(&text, &format!("\nlisten {port}"), &format!("\nlisten {at}"))
    };
    // To the same output as the errors, which is searched for secrets.
    let shipped = shipped_text("deploy/nginx/nginx.conf");
    let main = replace(&shipped, "access_log /var/log/nginx/access.log ", "access_log /dev/stdout ");
    let files = [
        ("upstreams.conf", text),
        ("listen.conf", listen("listen.conf", "80", at)),
        ("listen-grpc.conf", listen("listen-grpc.conf", "81", grpc_at)),
        ("nginx.conf", main),
    ];
    for (name, text) in files {
        must(name, fs::write(directory.join(name), text));
    }
}

/// Replaces text that must occur exactly once.
fn replace(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old:?} is not there once:\n{text}");
    text.replace(old, new)
}
