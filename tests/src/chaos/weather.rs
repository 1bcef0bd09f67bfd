//! When which fault was on, for whoever asks afterwards.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::fault::{Fault, Process};

/// What a fault leaves behind is still its doing for so long: connections that were broken and not yet missed.
const WAKE: Duration = Duration::from_secs(2);
/// After so long without a fault it is calm.
const SETTLED: Duration = Duration::from_secs(8);

/// One fault's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spell {
    pub(super) fault: Fault,
    from: Instant,
    pub(super) until: Option<Instant>,
    /// Whether it found its victim.
    happened: bool,
}

/// All faults' times.
#[derive(Debug, Clone, Default)]
pub(super) struct Weather(Vec<Spell>);

impl Weather {
    /// A fault begins; returns its number.
    pub(super) fn begin(&mut self, fault: Fault) -> usize {
        self.0.push(Spell { fault, from: Instant::now(), until: None, happened: false });
        self.0.len() - 1
    }

    /// It has ended, and its victim is itself again; or it found none.
    pub(super) fn end(&mut self, number: usize, happened: bool) {
        self.0[number].until = Some(Instant::now());
        self.0[number].happened = happened;
    }

    /// How often each kind of fault happened.
    pub(super) fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for spell in self.0.iter().filter(|spell| spell.happened) {
            *kinds.entry(spell.fault.kind()).or_default() += 1;
        }
        kinds
    }

    /// Whether a fault on the provider's way was on at some time between the two.
    pub(super) fn excuses_refusal(&self, from: Instant, until: Instant) -> bool {
        self.0.iter().any(|spell| spell.fault.touches_provider() && spell.was_on(from, until, WAKE))
    }

    /// Whether a fault of the broker, and no other, was on at some time between the two.
    pub(super) fn only_broker(&self, from: Instant, until: Instant) -> bool {
        let mut on = self.0.iter().filter(|spell| spell.was_on(from, until, WAKE)).peekable();
        on.peek().is_some() && on.all(|spell| spell.fault.is_the_brokers())
    }

    /// Those that found their victim.
    pub(super) fn spells(&self) -> impl Iterator<Item = &Spell> {
        self.0.iter().filter(|spell| spell.happened)
    }

    /// By how much ingest-svc's clock may have been ahead of the right time at some time between the two.
    pub(super) fn clock_ahead(&self, from: Instant, until: Instant) -> Duration {
        let on = self.0.iter().filter(|spell| spell.was_on(from, until, Duration::ZERO));
        on.map(|spell| spell.fault.clock_ahead()).max().unwrap_or_default()
    }

    /// Whether a replica's clock was wrong at some time between the two.
    pub(super) fn replicas_clock_is_wrong(&self, from: Instant, until: Instant) -> bool {
        let mut on = self.0.iter().filter(|spell| spell.was_on(from, until, WAKE));
        on.any(|spell| matches!(spell.fault, Fault::Clock(Process::Push(_), _)))
    }

    #[cfg(test)]
    pub(super) fn add(&mut self, fault: Fault, from: Instant, until: Instant) {
        self.0.push(Spell { fault, from, until: Some(until), happened: true });
    }

    /// The faults that were on at some time between the two, in words.
    pub(super) fn during(&self, from: Instant, until: Instant) -> String {
        let on = self.0.iter().filter(|spell| spell.was_on(from, until, WAKE));
        let words: Vec<_> = on.map(|spell| spell.fault.to_string()).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }

    /// Whether no fault was on, nor had been for a while.
    pub(super) fn is_calm(&self, at: Instant) -> bool {
        !self.0.iter().any(|spell| spell.was_on(at, at, SETTLED))
    }
}

impl Spell {
    pub(super) fn was_on(&self, from: Instant, until: Instant, wake: Duration) -> bool {
        self.from <= until && self.until.is_none_or(|ended| ended + wake >= from)
    }
}
