//! Processor time that each process spends: unlike rates it does not depend on what else the machine does.

use std::{fs, time::Duration};

use ringpad_tests::{postgres::PostgresServer, rabbit::RabbitNode, services::System};
use rustix::process::{Pid, getpid};

use crate::installation::Installation;

/// Linux's `USER_HZ`, the unit of `/proc/<pid>/stat`, is 100 on every platform that Rust knows.
const TICK: Duration = Duration::from_millis(10);

/// What is measured, in the order of [`Spent`].
pub(crate) const PARTS: [&str; 5] = ["ingest-svc", "PostgreSQL", "RabbitMQ", "push-svc", "load generator"];

/// The processor time of each part so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent([Duration; PARTS.len()]);

impl Spent {
    /// Reads it.
    pub(crate) fn now(system: &System, node: &RabbitNode) -> Self {
        let ingest = of(system.ingest.running().pid());
        Self([ingest, Duration::ZERO, of(node.pid()), of(system.push[0].running().pid()), of(getpid())])
    }

    /// Reads it, of all ingest-svc and of their database.
    pub(crate) fn of(installation: &Installation<'_>, node: &RabbitNode) -> Self {
        let Self([ingest, _, rabbit, push, own]) = Self::now(&installation.system, node);
        let others: Duration =
            installation.others.iter().map(|(service, _)| of(service.running().pid())).sum();
        Self([ingest + others, installation.server.map_or(Duration::ZERO, of_server), rabbit, push, own])
    }

    /// Microseconds of each part from `self` to `later`, for each of `calls`.
    pub(crate) fn each(self, later: Self, calls: u32) -> [f64; PARTS.len()] {
        std::array::from_fn(|part| {
            later.0[part].saturating_sub(self.0[part]).as_secs_f64() * 1e6 / f64::from(calls.max(1))
        })
    }
}

/// The parts that spent something, in words.
pub(crate) fn words(each: [f64; PARTS.len()]) -> String {
    let spent = PARTS.iter().zip(each).filter(|(_, spent)| *spent > 0.0);
    let words: Vec<_> = spent.map(|(part, spent)| format!("{part} {spent:.0}")).collect();
    format!("CPU µs each: {}", words.join(", "))
}

/// All processes of a server, also those that have ended: the first process has waited for them.
fn of_server(server: &PostgresServer) -> Duration {
    let [first, others @ ..] = &*server.processes() else { return Duration::ZERO };
    // One that ends in between is counted by the next reading.
    fields(*first, 4).unwrap_or_default()
        + others.iter().filter_map(|process| fields(*process, 2)).sum::<Duration>()
}

/// The processor time of a process so far.
pub(crate) fn of(process: Pid) -> Duration {
    fields(process, 2).expect("the process runs")
}

/// The sum of its times: user and system, and with 4 those of its children that have ended.
fn fields(process: Pid, count: usize) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // The name, in parentheses, may hold spaces; utime, stime, cutime and cstime are the 14th to 17th fields of all.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(count).filter_map(|field| field.parse::<u32>().ok());
    Some(TICK * ticks.sum::<u32>())
}
