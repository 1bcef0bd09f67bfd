//! What came of a play, in figures.

use std::{collections::BTreeMap, fmt, time::Duration};

use tokio::time::Instant;

use super::weather::Weather;

/// Faults that are told one by one; the rest is only counted.
const TOLD: usize = 20;

/// How long an acknowledged ring took to a pad.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delay {
    /// The pad's number.
    pub(super) pad: usize,
    pub(super) rung: Instant,
    pub(super) took: Duration,
}

/// What came of a play. [`Verdict::is_clean`] says whether everything that is promised was kept.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Acknowledged records.
    pub events: usize,
    /// Updates that pads were shown, all pads together.
    pub shown: usize,
    /// Rings that pads were shown ahead of their turn.
    pub early: usize,
    /// Streams that brought a snapshot.
    pub streams: u64,
    /// Acknowledged records that a pad of their store was never shown.
    pub lost: usize,
    /// Updates that came twice on a stream, or were shown twice.
    pub twice: u64,
    /// Updates that came or were shown behind a later one.
    pub out_of_order: u64,
    /// Updates of another store, or of records that nobody sent.
    pub foreign: u64,
    /// Heartbeats that told another position than their stream's.
    pub heartbeats_off: u64,
    /// Streams that began anew though they could have gone on.
    pub not_resumed: u64,
    /// Requests of the provider that were not answered 200, and those of them while only the broker was at fault.
    pub refused: (usize, usize),
    /// Requests sent while only the broker was at fault.
    pub sent_without_broker: usize,
    /// How often each kind of fault came.
    pub faults: BTreeMap<&'static str, usize>,
    /// What is not back where it was, in words.
    pub left_over: Vec<String>,
    /// Memory, tasks and the like before and after, in words.
    pub footprint: Vec<String>,
    /// The first wrongs, in words.
    pub told: Vec<String>,
    pub(super) delays: Vec<Delay>,
    pub(super) weather: Weather,
}

impl Verdict {
    /// Nothing lost, twice, out of order, of another store, refused for the broker's sake, or left over.
    pub fn is_clean(&self) -> bool {
        self.events > 0
            && self.lost == 0
            && self.twice == 0
            && self.out_of_order == 0
            && self.foreign == 0
            && self.heartbeats_off == 0
            && self.not_resumed == 0
            && self.refused.1 == 0
            && self.left_over.is_empty()
    }

    pub(super) fn say(&mut self, wrong: String) {
        if self.told.len() < TOLD {
            self.told.push(wrong);
        }
    }

    /// The longest of the delays that are wanted, whose it was, and what was wrong meanwhile, in words.
    fn longest(&self, wanted: impl Fn(&Delay) -> bool) -> String {
        // They are sorted.
        let Some(delay) = self.delays.iter().rfind(|delay| wanted(delay)) else { return "none".to_owned() };
        let meanwhile = self.weather.during(delay.rung, delay.rung + delay.took);
        format!("{:.1} s (pad {}; meanwhile: {meanwhile})", delay.took.as_secs_f64(), delay.pad)
    }

    /// The share `of` the rings that were rung while `when`, e.g. 0.99, and how many these are.
    fn quantile(&self, of: f64, when: impl Fn(&Delay) -> bool) -> (Duration, usize) {
        let took: Vec<_> = self.delays.iter().filter(|delay| when(delay)).map(|delay| delay.took).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let index = ((took.len().saturating_sub(1)) as f64 * of).round() as usize;
        (took.get(index).copied().unwrap_or_default(), took.len())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.faults.values().sum();
        let kinds: Vec<_> = self.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "events        {} acknowledged, {} shown on pads", self.events, self.shown)?;
        writeln!(f, "streams       {} opened; {} rings shown ahead of their turn", self.streams, self.early)?;
        writeln!(f, "faults        {faults}: {}", kinds.join(", "))?;
        writeln!(f, "lost          {}", self.lost)?;
        writeln!(f, "twice         {}", self.twice)?;
        writeln!(f, "out of order  {}", self.out_of_order)?;
        writeln!(f, "another's     {}", self.foreign)?;
        let (refused, without_broker) = self.refused;
        writeln!(
            f,
            "refused       {refused}; while only the broker was down {without_broker} of {}",
            self.sent_without_broker
        )?;
        writeln!(f, "heartbeats    {} off; {} streams not resumed", self.heartbeats_off, self.not_resumed)?;
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
        let brokers = |delay: &Delay| self.weather.only_broker(delay.rung, delay.rung + delay.took);
        writeln!(f, "  while only the broker was down  {}", self.longest(brokers))?;
        let calm = |delay: &Delay| self.weather.is_calm(delay.rung);
        let (p99, rings) = self.quantile(0.99, calm);
        let (p50, _) = self.quantile(0.5, calm);
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        writeln!(f, "ring to pad while calm  p50 {:.1} ms, p99 {:.1} ms ({rings} shown)", ms(p50), ms(p99))?;
        for line in &self.footprint {
            writeln!(f, "{line}")?;
        }
        for wrong in self.told.iter().chain(&self.left_over) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        write!(f, "{}", if self.is_clean() { "clean" } else { "NOT CLEAN" })
    }
}
