//! The order in which the writer does its jobs: what has accumulated is done together, and the parts of an import one by one,
//! each after the live jobs that are there by then. So a record waits for one part at most, and an import continues under any
//! load.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::job::Job;
use crate::capacity::LogCapacity;

/// The jobs that wait for the writer.
pub(super) struct Queue {
    jobs: mpsc::Receiver<Job>,
    /// Parts of imports that came between live jobs. An import waits for one part before it sends the next.
    imports: VecDeque<Job>,
    /// Whether the last transaction was of live jobs.
    is_imports_turn: bool,
    /// Jobs in one transaction at most.
    batch_jobs: usize,
    /// Bytes of quarantined requests in one transaction, about.
    batch_bytes: usize,
}

impl Queue {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, capacity: &LogCapacity) -> Self {
        let LogCapacity { batch_jobs, batch_bytes, .. } = *capacity;
        Self { jobs, imports: VecDeque::new(), is_imports_turn: false, batch_jobs, batch_bytes }
    }

    /// Waits for the jobs of the next transaction; `None`: every sender is gone, and nothing is left.
    pub(super) async fn next(&mut self) -> Option<Vec<Job>> {
        let live =
            if self.is_imports_turn && !self.imports.is_empty() { Vec::new() } else { self.live().await? };
        self.is_imports_turn = !live.is_empty();
        if live.is_empty() { self.imports.pop_front().map(|import| vec![import]) } else { Some(live) }
    }

    /// The live jobs that there are. Waits for one unless there is an import; `None` as for [`Self::next`].
    async fn live(&mut self) -> Option<Vec<Job>> {
        let mut next =
            if self.imports.is_empty() { Some(self.jobs.recv().await?) } else { self.jobs.try_recv().ok() };
        let (mut live, mut bytes) = (Vec::new(), 0);
        while let Some(job) = next {
            if job.is_part_of_import() {
                self.imports.push_back(job);
            } else {
                bytes += job.bytes();
                live.push(job);
            }
            next = if live.len() < self.batch_jobs && bytes < self.batch_bytes {
                self.jobs.try_recv().ok()
            } else {
                None
            };
        }
        Some(live)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::{
        super::job::{Import, Work},
        *,
    };
    use crate::store::{Assigned, Moving};

    const BATCH: usize = 16;

    fn probe() -> Job {
        Job::Probe(Work::new(()).0)
    }

    fn import() -> Job {
        let import = Import { entries: vec![], moving: Moving::Refused, assigned: Arc::new(Assigned::new()) };
        Job::Import(Work::new(import).0)
    }

    /// Of the next transaction: how many live jobs, how many parts of an import.
    fn next(queue: &mut Queue) -> Option<(usize, usize)> {
        let jobs = queue.next().now_or_never().unwrap()?;
        let imports = jobs.iter().filter(|job| matches!(job, Job::Import(..))).count();
        Some((jobs.len() - imports, imports))
    }

    #[test]
    fn live_jobs_and_parts_of_imports_take_turns() {
        let (sender, jobs) = mpsc::channel(1_024);
        let mut queue = Queue::new(jobs, &LogCapacity { batch_jobs: BATCH, ..LogCapacity::default() });
        for job in [import(), probe(), import(), probe(), import()] {
            sender.try_send(job).unwrap();
        }
        assert_eq!(next(&mut queue), Some((2, 0)), "live jobs go first");
        assert_eq!(next(&mut queue), Some((0, 1)));
        sender.try_send(probe()).unwrap();
        assert_eq!(next(&mut queue), Some((1, 0)), "and again between two parts");
        assert_eq!(next(&mut queue), Some((0, 1)));
        for _ in 0..BATCH + 1 {
            sender.try_send(probe()).unwrap();
        }
        assert_eq!(next(&mut queue), Some((BATCH, 0)));
        assert_eq!(next(&mut queue), Some((0, 1)), "an import continues, however many live jobs there are");
        drop(sender);
        assert_eq!((next(&mut queue), next(&mut queue)), (Some((1, 0)), None));
    }
}
