//! nginx with the configuration that is shipped, in front of a [`System`]. Only the addresses are the tests' own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    guard::{Program, Running},
    http::Client,
    port::free_address,
    rabbit::tail,
    services::System,
    wait::{SOON, must, until},
};

/// Where Debian has it.
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

/// A running nginx. Its output is in the system's directory, and is searched for secrets with the services' logs.
#[derive(Debug)]
pub struct Nginx {
    /// Where it listens.
    pub at: SocketAddr,
    log: PathBuf,
    _running: Running,
}

impl Nginx {
    /// Starts it in front of ingest-svc and three replicas, and waits until it answers.
    ///
    /// # Panics
    /// nginx is not installed or does not take the configuration, or the system has not three replicas.
    pub async fn start(system: &System) -> Self {
        assert!(Path::new(NGINX).exists(), "these tests need nginx: apt-get install nginx-light");
        let (at, directory) = (free_address(), system.directory.path().join("nginx"));
        must("a directory for nginx", fs::create_dir(&directory));
        configure(&directory, at, system);
        let log = system.directory.path().join("nginx.log");
        let prefix = directory.display();
        let mut running = Program::new(NGINX, &log)
            .argument("-p")
            .argument(prefix.to_string())
            .argument("-c")
            .argument(directory.join("nginx.conf").display().to_string())
            .argument("-g")
            .argument(format!("daemon off; pid {prefix}/nginx.pid;"))
            .spawn();
        let mut client = Client::new(at);
        until("nginx answers", SOON, async || {
            assert!(running.status().is_none(), "nginx ended at its start:\n{}", tail(&log));
            client.get("/nginx-livez").await.ok().filter(|answer| answer.status.is_success())
        })
        .await;
        Self { at, log, _running: running }
    }

    /// All it has said, errors too.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn logged(&self) -> String {
        must("nginx's log", fs::read_to_string(&self.log))
    }

    /// The lines of its access log so far.
    ///
    /// # Panics
    /// One of them is no JSON.
    pub fn accesses(&self) -> Vec<Value> {
        let logged = self.logged();
        // A line that is just being written has no end yet.
        let lines = logged.split_inclusive('\n').filter(|line| line.starts_with('{') && line.ends_with('\n'));
        lines.map(|line| must(line, serde_json::from_str(line))).collect()
    }
}

/// Copies the configuration and puts the tests' addresses in.
fn configure(directory: &Path, at: SocketAddr, system: &System) {
    let [first, second, third] = &system.push_at[..] else {
        panic!("the shipped configuration has three replicas, not {}", system.push_at.len());
    };
    let upstreams = [
        ("ingest-svc:8080", system.ingest_at.http),
        ("push-1:8081", first.pads),
        ("push-2:8081", second.pads),
        ("push-3:8081", third.pads),
    ];
    let mut text = shipped_text("deploy/nginx/upstreams.conf");
    for (name, address) in upstreams {
        text = replace(&text, name, &address.to_string());
    }
    // Debian's nginx would write below /var/lib.
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text.push_str(&format!("{kind}_temp_path {}/{kind};\n", directory.display()));
    }
    let listen =
        replace(&shipped_text("deploy/nginx/listen.conf"), "\nlisten 80;", &format!("\nlisten {at};"));
    let files = [
        ("upstreams.conf", text),
        ("listen.conf", listen),
        ("nginx.conf", shipped_text("deploy/nginx/nginx.conf")),
    ];
    for (name, text) in files {
        must(name, fs::write(directory.join(name), text));
    }
}

/// Replaces what must be there once.
fn replace(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old:?} is not there once:\n{text}");
    text.replace(old, new)
}
