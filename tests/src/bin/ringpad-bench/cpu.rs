//! Processor time that each process spends: unlike rates it does not depend on what else the machine does.

use std::{fs, time::Duration};

use ringpad_tests::{rabbit::RabbitNode, services::System};
use rustix::process::{Pid, getpid};

/// Linux's `USER_HZ`, the unit of `/proc/<pid>/stat`, is 100 on every platform that Rust knows.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of each process so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent([Duration; 4]);

impl Spent {
    /// Reads it.
    pub(crate) fn now(system: &System, node: &RabbitNode) -> Self {
        Self([system.ingest.running().pid(), node.pid(), system.push[0].running().pid(), getpid()].map(of))
    }

    /// What was spent from `self` to `later`, shared among `calls`.
    pub(crate) fn each(self, later: Self, calls: u32) -> String {
        let [ingest, rabbit, push, own] = std::array::from_fn(|part| {
            let spent = later.0[part].saturating_sub(self.0[part]);
            format!("{:.0}", spent.as_secs_f64() * 1e6 / f64::from(calls.max(1)))
        });
        format!("CPU µs each: ingest-svc {ingest}, RabbitMQ {rabbit}, push-svc {push}, load generator {own}")
    }
}

impl Spent {
    /// Microseconds that ingest-svc spent from `self` to `later`, for each of `calls`.
    pub(crate) fn ingest_each(self, later: Self, calls: u32) -> f64 {
        later.0[0].saturating_sub(self.0[0]).as_secs_f64() * 1e6 / f64::from(calls.max(1))
    }
}

fn of(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).expect("the process runs");
    // The name, in parentheses, may hold spaces; utime and stime are the 14th and 15th fields of all.
    let (_, rest) = stat.rsplit_once(')').expect("a process's name");
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}
