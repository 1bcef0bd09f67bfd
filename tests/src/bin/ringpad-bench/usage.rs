//! The processor time of each process of an installation, split by its threads' names: unlike rates it does not depend on what else
//! the machine does.

use std::{cmp::Reverse, collections::BTreeMap, fs, path::Path, time::Duration};

use ringpad_tests::{postgres::PostgresServer, rabbit::RabbitNode};
use rustix::process::{Pid, getpid};

use crate::installation::Installation;

/// Linux's `USER_HZ`, the unit of `/proc/<pid>/stat`, is 100 on every platform that Rust knows.
const TICK: Duration = Duration::from_millis(10);

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Ingest,
    Postgres,
    RabbitMq,
    FirstReplica,
    OtherReplicas,
    LoadGenerator,
}

/// All of them, and their names.
const PARTS: [(Part, &str); 6] = [
    (Part::Ingest, "ingest-svc"),
    (Part::Postgres, "PostgreSQL"),
    (Part::RabbitMq, "RabbitMQ"),
    (Part::FirstReplica, "push-svc, first replica"),
    (Part::OtherReplicas, "push-svc, other replicas"),
    (Part::LoadGenerator, "load generator"),
];

/// What threads have spent.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    /// Nanoseconds on a processor.
    nanoseconds: u64,
    /// How often one of them was given a processor: context switches to it.
    switches: u64,
}

/// The threads of each part by their processes and ids, each with its name and what it has spent so far.
type Threads = BTreeMap<(Part, String), (String, Spent)>;

/// What each part has spent, by the names of its threads.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    before: Threads,
    spent: BTreeMap<(Part, String), Spent>,
}

impl Usage {
    /// Begins to count.
    pub(crate) fn begin(&mut self, installation: &Installation<'_>, node: &RabbitNode) {
        self.before = read(installation, node);
    }

    /// Adds what was spent since.
    pub(crate) fn end(&mut self, installation: &Installation<'_>, node: &RabbitNode) {
        for (id, (name, spent)) in read(installation, node) {
            let before = self.before.get(&id).map_or_else(Spent::default, |(_, before)| *before);
            let sum = self.spent.entry((id.0, name)).or_default();
            sum.nanoseconds += spent.nanoseconds.saturating_sub(before.nanoseconds);
            sum.switches += spent.switches.saturating_sub(before.switches);
        }
    }

    /// Microseconds of a part for each of `calls`.
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52")]
    pub(crate) fn each(&self, wanted: Part, calls: u32) -> f64 {
        let of_part = self.spent.iter().filter(|((part, _), _)| *part == wanted);
        of_part.map(|(_, spent)| spent.nanoseconds).sum::<u64>() as f64 / 1e3 / f64::from(calls)
    }

    /// Prints the microseconds of each part for each of `calls`, and those of its threads with their context switches.
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52")]
    pub(crate) fn print(&self, calls: u32) {
        println!("  CPU µs each = by threads (context switches each):");
        for (part, part_name) in PARTS {
            let threads = self.spent.iter().filter(|((of, _), spent)| *of == part && spent.switches > 0);
            let mut threads: Vec<_> = threads.collect();
            threads.sort_by_key(|(_, spent)| Reverse(spent.nanoseconds));
            let words = threads.iter().map(|((_, name), spent)| {
                let (spent, switches) = (spent.nanoseconds as f64 / 1e3, spent.switches as f64);
                format!("{name} {:.0} ({:.1})", spent / f64::from(calls), switches / f64::from(calls))
            });
            let words = words.collect::<Vec<_>>().join(" + ");
            if !words.is_empty() {
                println!("    {part_name}: {:.0} = {words}", self.each(part, calls));
            }
        }
    }
}

/// The processor time of a process so far, with that of its threads that have ended.
pub(crate) fn of(process: Pid) -> Duration {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).expect("the process runs");
    // The name, in parentheses, may hold spaces; utime and stime are the 14th and 15th fields of all.
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// What all threads have spent so far.
fn read(installation: &Installation<'_>, node: &RabbitNode) -> Threads {
    let system = &installation.system;
    let ingest =
        std::iter::once(&system.ingest).chain(installation.others.iter().map(|(service, _)| service));
    let mut replicas =
        system.push.iter().filter(|replica| replica.is_started()).map(|replica| replica.running().pid());
    let first = replicas.next();
    let processes: [(Part, Vec<Pid>); PARTS.len()] = [
        (Part::Ingest, ingest.map(|service| service.running().pid()).collect()),
        (Part::Postgres, installation.server.map(PostgresServer::processes).unwrap_or_default()),
        (Part::RabbitMq, vec![node.pid()]),
        (Part::FirstReplica, first.into_iter().collect()),
        (Part::OtherReplicas, replicas.collect()),
        (Part::LoadGenerator, vec![getpid()]),
    ];
    let mut threads = Threads::new();
    for (part, process) in
        processes.iter().flat_map(|(part, all)| all.iter().map(move |process| (part, process)))
    {
        // A process or a thread that has just ended is left out.
        let tasks = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()));
        for task in tasks.into_iter().flatten().flatten() {
            if let Some(thread) = thread(&task.path()) {
                threads.insert((*part, task.file_name().to_string_lossy().into_owned()), thread);
            }
        }
    }
    threads
}

/// The name of a thread and what it has spent.
fn thread(task: &Path) -> Option<(String, Spent)> {
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let statistics = fs::read_to_string(task.join("schedstat")).ok()?;
    let mut fields = statistics.split_whitespace().map(str::parse::<u64>);
    let (nanoseconds, _waited, switches) = (fields.next()?.ok()?, fields.next()?, fields.next()?.ok()?);
    Some((without_number(name.trim()), Spent { nanoseconds, switches }))
}

/// The name without the thread's number at its end, so that those of one kind are one: RabbitMQ's `1_scheduler` is `scheduler`.
fn without_number(name: &str) -> String {
    name.trim_matches(|character: char| character.is_ascii_digit() || "_-: ".contains(character)).to_owned()
}
