//! What a process uses: memory, tasks, threads, open files. After the run it must be what it was before.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{installation::Installation, verdict::Verdict};
use crate::{http::Client, services::Service};

/// Memory may grow to `GROWTH` times what it was, plus `SLACK` KiB, for a longer log and for memory that the allocator keeps.
const GROWTH: u64 = 2;
const SLACK: u64 = 16 * 1024;
/// How much more of each is normal: a scrape, a connection that is being opened, a thread for blocking work, and files that the
/// log's readers open at their first query.
const BUSY: [(&str, u64); 3] = [("tasks", 4), ("threads", 6), ("open files", 16)];
/// How long connections may take to end: idle ones stay for 75 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// What one process uses.
#[derive(Debug, Clone, Copy)]
struct Usage {
    resident_kib: u64,
    /// In the order of [`BUSY`].
    counts: [u64; 3],
}

/// What each service uses, ingest-svc first.
#[derive(Debug)]
pub(super) struct Footprint(Vec<Usage>);

impl Footprint {
    /// # Panics
    /// A service does not run.
    pub(super) async fn of(installation: &Installation) -> Self {
        let mut usages = Vec::new();
        for (_, service, admin) in services(installation) {
            let counts = counts(service, admin).await;
            let (resident_kib, counts) = resident(service).zip(counts).expect("it runs");
            usages.push(Usage { resident_kib, counts });
        }
        Self(usages)
    }

    /// Compares the memory of now with this.
    pub(super) fn compare_memory(&self, installation: &Installation, verdict: &mut Verdict) {
        for ((name, service, _), before) in services(installation).zip(&self.0) {
            let (before, after) = (before.resident_kib, resident(service).unwrap_or(u64::MAX));
            verdict.footprint.push(format!("memory of {name}  {before} KiB before, {after} KiB after"));
            if after > GROWTH * before + SLACK {
                verdict.left_over.push(format!("{name} has grown from {before} KiB to {after} KiB"));
            }
        }
    }

    /// Waits until there are no more tasks, threads and open files than in this, and reports how many there are.
    pub(super) async fn compare_counts(&self, installation: &Installation, verdict: &mut Verdict) {
        let begun = Instant::now();
        for ((name, service, admin), before) in services(installation).zip(&self.0) {
            let more = |now: &[u64; 3]| {
                let pairs = now.iter().zip(before.counts).zip(BUSY);
                pairs.filter(|((now, before), (_, busy))| **now > before + busy).count()
            };
            let after = loop {
                let now = counts(service, admin).await;
                if now.is_some_and(|now| more(&now) == 0) || begun.elapsed() > IDLE_TIMEOUT {
                    break now.unwrap_or([u64::MAX; 3]);
                }
                sleep(Duration::from_millis(200)).await;
            };
            let names = BUSY.map(|(name, _)| name).join(", ");
            let line = format!("{names} of {name}  {:?} before, {after:?} after", before.counts);
            if more(&after) > 0 {
                verdict.left_over.push(line.clone());
            }
            verdict.footprint.push(line);
        }
    }
}

fn services(installation: &Installation) -> impl Iterator<Item = (String, &Service, SocketAddr)> {
    let system = &installation.system;
    let ingests = installation.ingests().enumerate();
    let ingests = ingests.map(|(number, (service, at))| (format!("ingest-svc {number}"), service, at.admin));
    let push = system.push.iter().zip(&system.push_at).enumerate();
    let push = push.map(|(number, (service, at))| (format!("push-svc {number}"), service, at.admin));
    ingests.chain(push)
}

/// Tasks, threads and open files of a process; `None`: it does not run.
async fn counts(service: &Service, admin: SocketAddr) -> Option<[u64; 3]> {
    let metrics = Client::new(admin).get("/metrics").await.ok()?.text();
    let tasks = metrics.lines().find_map(|line| line.strip_prefix("ringpad_tasks ")?.parse().ok())?;
    let files = fs::read_dir(of_proc(service, "fd")).ok()?.count();
    Some([tasks, status(service, "Threads:")?, u64::try_from(files).ok()?])
}

/// KiB of a process in memory; `None`: it does not run.
fn resident(service: &Service) -> Option<u64> {
    status(service, "VmRSS:")
}

fn status(service: &Service, field: &str) -> Option<u64> {
    let status = fs::read_to_string(of_proc(service, "status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn of_proc(service: &Service, file: &str) -> String {
    format!("/proc/{}/{file}", service.running().pid().as_raw_nonzero())
}
