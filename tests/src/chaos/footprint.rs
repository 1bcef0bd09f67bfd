//! What a process takes: memory, tasks, open files. After the play they are back where they were.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{stage::Stage, verdict::Verdict};
use crate::{http::Client, services::Service};

/// Memory may grow to so many times what it was, and so many KiB: a log that is longer, an allocator that keeps some.
const GROWTH: u64 = 2;
const SLACK: u64 = 16 * 1024;
/// Tasks that come and go: a scrape, a connection that is being opened.
const BUSY: u64 = 4;
/// How long connections may take to be gone: idle ones stay for 75 s.
const LEAVING: Duration = Duration::from_secs(90);

/// One process's.
#[derive(Debug, Clone, Copy)]
struct Taken {
    resident_kib: u64,
    tasks: u64,
}

/// What each service takes, ingest-svc first.
#[derive(Debug)]
pub(super) struct Footprint(Vec<Taken>);

impl Footprint {
    pub(super) async fn of(stage: &Stage) -> Self {
        let mut taken = Vec::new();
        for (_, service, admin) in services(stage) {
            taken.push(Taken {
                resident_kib: resident(service),
                tasks: tasks(admin).await.unwrap_or_default(),
            });
        }
        Self(taken)
    }

    /// Says what memory has become of this footprint's.
    pub(super) fn compare_memory(&self, stage: &Stage, verdict: &mut Verdict) {
        for ((name, service, _), before) in services(stage).zip(&self.0) {
            let (before, after) = (before.resident_kib, resident(service));
            verdict.footprint.push(format!("memory of {name}  {before} KiB before, {after} KiB after"));
            if after > GROWTH * before + SLACK {
                verdict.left_over.push(format!("{name} has grown from {before} KiB to {after} KiB"));
            }
        }
    }

    /// Waits until there are no more tasks than then; says how many there are.
    pub(super) async fn compare_tasks(&self, stage: &Stage, verdict: &mut Verdict) {
        let begun = Instant::now();
        for ((name, _, admin), before) in services(stage).zip(&self.0) {
            let after = loop {
                let now = tasks(admin).await;
                if now.is_some_and(|now| now <= before.tasks + BUSY) || begun.elapsed() > LEAVING {
                    break now.unwrap_or(u64::MAX);
                }
                sleep(Duration::from_millis(200)).await;
            };
            verdict.footprint.push(format!("tasks of {name}  {} before, {after} after", before.tasks));
            if after > before.tasks + BUSY {
                verdict.left_over.push(format!("{name} has {after} tasks, {} before", before.tasks));
            }
        }
    }
}

fn services(stage: &Stage) -> impl Iterator<Item = (String, &Service, std::net::SocketAddr)> {
    let system = &stage.system;
    let push = system.push.iter().zip(&system.push_at).enumerate();
    let push = push.map(|(number, (service, at))| (format!("push-svc {number}"), service, at.admin));
    std::iter::once(("ingest-svc".to_owned(), &system.ingest, system.ingest_at.admin)).chain(push)
}

async fn tasks(admin: std::net::SocketAddr) -> Option<u64> {
    let metrics = Client::new(admin).get("/metrics").await.ok()?.text();
    metrics.lines().find_map(|line| line.strip_prefix("ringpad_tasks ")?.parse().ok())
}

/// KiB of a process in memory.
fn resident(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.running().pid().as_raw_nonzero()));
    let line = status.as_deref().unwrap_or_default().lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
}
