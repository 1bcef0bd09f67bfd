//! The result of a run, in figures.

use std::{collections::BTreeMap, fmt, time::Duration};

use tokio::time::Instant;

use super::{
    fault_log::FaultLog,
    lateness::{self, Class, Rings, Stalls},
};

/// Wrongs that are described; the rest is only counted.
const DESCRIBED: usize = 20;

/// How long an acknowledged ring took to a pad.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delay {
    /// The pad's number.
    pub(super) pad: usize,
    pub(super) accepted: Instant,
    /// Whether the pad's token ended meanwhile.
    pub(super) came_back: bool,
    pub(super) took: Duration,
    /// From its first sending, whether it was answered then or not.
    pub(super) took_from_sending: Duration,
}

/// The result of a run. [`Verdict::is_clean`]: everything that the product promises was kept.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Acknowledged records and pads' actions.
    pub events: usize,
    /// Of these, pads' actions.
    pub actions: usize,
    /// Calls that a pad shows in another state than the last action was answered with.
    pub undone: usize,
    /// How often stores were renamed, and one was removed and made again.
    pub(super) office: (usize, usize),
    /// The answers to a pad that floods, by code.
    pub(super) flood: BTreeMap<String, usize>,
    /// Updates that pads were shown, all pads together.
    pub shown: usize,
    /// Rings that pads were shown ahead of their turn.
    pub early: usize,
    /// Streams that brought a snapshot.
    pub streams: u64,
    /// How often a standby was promoted, and how many snapshots of new epochs pads have got for it.
    pub promotions: usize,
    /// See [`promotions`](Self::promotions).
    pub renewals: usize,
    /// Streams that ended with their token, or were refused for it.
    pub expired: usize,
    /// Acknowledged records and answered actions that a pad of their store was never shown.
    pub lost: usize,
    /// Updates that came twice on a stream, or were shown twice.
    pub twice: u64,
    /// Updates that came or were shown after a later one.
    pub out_of_order: u64,
    /// Updates of another store, or of records that nobody sent.
    pub foreign: u64,
    /// Other violations of the protocol: gaps, wrong heartbeats, beginnings and ends.
    pub broken: u64,
    /// Records that were to pop after the time for a popup.
    pub late_pops: u64,
    /// Rings that came to a pad later than the faults of that time allow.
    pub late: usize,
    /// Requests of the provider that were not answered 200.
    pub refused: usize,
    /// Of these, requests without a fault between the provider and the log.
    pub refused_without_reason: usize,
    /// Requests sent while only the broker was at fault, and those of them that were not answered 200.
    pub without_broker: (usize, usize),
    /// Requests sent while one of several ingest-svc could not take them, another one and the database could, and those of them that were not
    /// answered 200.
    pub without_an_ingest: (usize, usize),
    /// The longest time that one of these took.
    pub slowest_without_an_ingest: Duration,
    /// How often each kind of fault came.
    pub faults: BTreeMap<&'static str, usize>,
    /// What is not as before, in words.
    pub left_over: Vec<String>,
    /// Memory, tasks and the like before and after, in words.
    pub footprint: Vec<String>,
    /// The first wrongs, in words.
    pub described: Vec<String>,
    pub(super) delays: Vec<Delay>,
    /// The rings of each class.
    pub(super) classes: BTreeMap<Class, Rings>,
    pub(super) fault_log: FaultLog,
}

impl Verdict {
    /// Nothing was lost, twice, out of order, of another store, late, refused because of the broker, or left over.
    pub fn is_clean(&self) -> bool {
        self.events > 0
            && self.lost == 0
            && self.twice == 0
            && self.out_of_order == 0
            && self.foreign == 0
            && self.broken == 0
            && self.late_pops == 0
            && self.late == 0
            && self.undone == 0
            && self.refused_without_reason == 0
            && self.left_over.is_empty()
    }

    /// Looks for rings that were later than they may be.
    pub(super) fn find_late(&mut self, stalls: &Stalls) {
        let (classes, wrongs) = lateness::judge(&self.delays, &self.fault_log, stalls);
        self.late = classes.values().map(|rings| rings.late).sum();
        self.classes = classes;
        wrongs.into_iter().for_each(|wrong| self.say(wrong));
    }

    pub(super) fn say(&mut self, wrong: String) {
        if self.described.len() < DESCRIBED {
            self.described.push(wrong);
        }
    }

    /// The longest of the wanted delays, its pad, and the faults of that time, in words.
    fn longest(&self, wanted: impl Fn(&Delay) -> bool) -> String {
        // They are sorted.
        let Some(delay) = self.delays.iter().rfind(|delay| wanted(delay)) else { return "none".to_owned() };
        let meanwhile = self.fault_log.during(delay.accepted, delay.accepted + delay.took);
        format!("{:.1} s (pad {}; meanwhile: {meanwhile})", delay.took.as_secs_f64(), delay.pad)
    }

    /// How long the rings of calm times took to pads from their first sending: p50, p99, and how many they were.
    fn calm(&self) -> (Duration, Duration, usize) {
        let calm = self.delays.iter().filter(|delay| self.fault_log.is_calm(delay.accepted));
        let mut took: Vec<_> = calm.map(|delay| delay.took_from_sending).collect();
        took.sort();
        let of = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        (of(50), of(99), took.len())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.faults.values().sum();
        let kinds: Vec<_> = self.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "events        {} acknowledged, {} shown on pads", self.events, self.shown)?;
        writeln!(
            f,
            "actions       {} answered, {} shown in another state in the end",
            self.actions, self.undone
        )?;
        let flood: Vec<_> = self.flood.iter().map(|(code, count)| format!("{code} {count}")).collect();
        writeln!(f, "flood         {}", flood.join(", "))?;
        let (renamed, removed) = self.office;
        writeln!(f, "stores        {renamed} times renamed, {removed} times removed")?;
        writeln!(f, "streams       {} opened, {} ended with their token", self.streams, self.expired)?;
        writeln!(f, "early         {} rings shown ahead of their turn", self.early)?;
        writeln!(f, "faults        {faults}: {}", kinds.join(", "))?;
        writeln!(f, "lost          {}", self.lost)?;
        writeln!(f, "twice         {}", self.twice)?;
        writeln!(f, "out of order  {}", self.out_of_order)?;
        writeln!(f, "another's     {}", self.foreign)?;
        let (sent, refused) = self.without_broker;
        writeln!(f, "refused       {}, without reason {}", self.refused, self.refused_without_reason)?;
        writeln!(f, "  while only the broker was down  {refused} of {sent}")?;
        let (sent, refused) = self.without_an_ingest;
        if sent > 0 {
            let slowest = self.slowest_without_an_ingest.as_secs_f64();
            writeln!(
                f,
                "  while another ingest-svc and the database were up  {refused} of {sent}; slowest answer {slowest:.1} s"
            )?;
        }
        if self.promotions > 0 {
            writeln!(f, "promotions    {}; {} snapshots of new epochs", self.promotions, self.renewals)?;
        }
        writeln!(f, "broken        {} streams; {} popups too late", self.broken, self.late_pops)?;
        self.fmt_lateness(f)?;
        for line in &self.footprint {
            writeln!(f, "{line}")?;
        }
        for wrong in self.described.iter().chain(&self.left_over) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        write!(f, "{}", if self.is_clean() { "clean" } else { "NOT CLEAN" })
    }
}

impl Verdict {
    fn fmt_lateness(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "late          {}", self.late)?;
        for (class, Rings { count, late, excused, longest }) in &self.classes {
            let longest = longest.as_secs_f64();
            writeln!(
                f,
                "  {class:15} {late} of {count} rings late, {excused} by no more than the machine was; longest {longest:.2} s"
            )?;
        }
        writeln!(f, "longest time without popups  {}", self.longest(|_| true))?;
        let late = |than: u64| self.delays.iter().filter(|delay| delay.took.as_secs() >= than).count();
        writeln!(
            f,
            "  later than 4 s {}, 10 s {}, 30 s {}, of {}",
            late(4),
            late(10),
            late(30),
            self.delays.len()
        )?;
        let brokers = |delay: &Delay| self.fault_log.only_broker(delay.accepted, delay.accepted + delay.took);
        writeln!(f, "  while only the broker was down  {}", self.longest(brokers))?;
        let (p50, p99, rings) = self.calm();
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        writeln!(f, "ring to pad while calm  p50 {:.1} ms, p99 {:.1} ms ({rings} shown)", ms(p50), ms(p99))
    }
}
