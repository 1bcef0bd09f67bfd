//! One service: its binary, its settings, and the process while it runs.

use std::{net::SocketAddr, path::PathBuf};

use rustix::process::Signal;

use crate::{
    guard::{Program, Running},
    http::Client,
    machine::Machine,
    rabbit::tail,
    wait::{SOON, until},
};

/// The file of one of the project's binaries, next to the running test.
///
/// # Panics
/// It has not been built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let found =
        test.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no {name} next to {}: run `cargo build --workspace --bins` first", test.display())
    })
}

/// A service that is started, ended and started again with the same settings.
#[derive(Debug)]
pub struct Service {
    pub(super) program: Program,
    ready_at: SocketAddr,
    pub(super) running: Option<Running>,
}

impl Service {
    /// A service that is not started yet; `ready_at` is the address of its `/readyz`.
    pub fn new(program: Program, ready_at: SocketAddr) -> Self {
        Self { program, ready_at, running: None }
    }

    /// Changes a setting, for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.program = self.program.clone().set(name, value);
    }

    /// Makes it log to a file that cannot be written, from the next start on.
    pub fn log_to_full_device(&mut self) {
        let Program { file, arguments, .. } = &mut self.program;
        let shell = ["-c", r#"exec "$0" "$@" >/dev/full 2>&1"#].map(str::to_owned);
        arguments.splice(..0, shell.into_iter().chain([file.display().to_string()]));
        *file = "/bin/sh".into();
    }

    /// Makes it run on this machine, from the next start on.
    pub fn run_on(&mut self, machine: &Machine) {
        self.program = machine.run(self.program.clone());
    }

    /// Starts it and returns immediately.
    pub fn spawn(&mut self) {
        self.running = Some(self.program.spawn());
    }

    /// Starts it and waits until `/readyz` is 200.
    ///
    /// # Panics
    /// It ends, or is not ready in time.
    pub async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Waits until `/readyz` is 200.
    ///
    /// # Panics
    /// It ends, or is not ready in time.
    pub async fn ready(&mut self) {
        let (mut client, mut last) = (Client::new(self.ready_at), String::new());
        let log = self.program.log.clone();
        let running = self.running.as_mut().expect("it has been started");
        until(&format!("/readyz is 200; see {}", log.display()), 3 * SOON, async || {
            if let Some(status) = running.status() {
                panic!("ended before it was ready ({status}):\n{}", tail(&log));
            }
            let answer = client.get("/readyz").await.ok()?;
            if answer.text() != last {
                last = answer.text();
                eprintln!("{}: {}", log.display(), last.trim());
            }
            answer.status.is_success().then_some(())
        })
        .await;
    }

    /// The answer of `/readyz` now: the status and the text.
    pub async fn readiness(&self) -> Option<(u16, String)> {
        let answer = Client::new(self.ready_at).get("/readyz").await.ok()?;
        Some((answer.status.as_u16(), answer.text()))
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// It is not running.
    pub fn terminate(&self) {
        self.running.as_ref().expect("it is running").signal(Signal::TERM);
    }

    /// Sends SIGTERM, and waits for its end.
    ///
    /// # Panics
    /// It is not running, does not end in time, or with another exit code than 0.
    pub async fn stop(&mut self) {
        self.terminate();
        assert_eq!(self.exit().await, 0, "{}", self.logged());
    }

    /// Waits until `/readyz` is 503; returns the reason.
    ///
    /// # Panics
    /// It stays ready.
    pub async fn not_ready(&self) -> String {
        let refused = async || self.readiness().await.filter(|(status, _)| *status == 503);
        until("/readyz is 503", SOON, refused).await.1
    }

    /// Whether it has ended, or was never started.
    pub fn has_ended(&mut self) -> bool {
        self.running.as_mut().is_none_or(|running| running.status().is_some())
    }

    /// Its exit code if it has ended by itself; `None`: it runs, or is not started.
    pub async fn ended_with(&mut self) -> Option<i32> {
        self.running.as_mut()?.status()?;
        Some(self.exit().await)
    }

    /// Waits for its end and returns its exit code.
    ///
    /// # Panics
    /// It was not running, or does not end in time.
    pub async fn exit(&mut self) -> i32 {
        let code = self.running.as_mut().expect("it is running").exit(2 * SOON).await;
        self.running = None;
        code
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().await;
        }
    }

    /// Whether it has been started, and not stopped or killed since.
    pub fn is_started(&self) -> bool {
        self.running.is_some()
    }

    /// The process itself.
    ///
    /// # Panics
    /// It is not running.
    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it is running")
    }

    /// Its log so far.
    pub fn logged(&self) -> String {
        std::fs::read(&self.program.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}
