//! When each fault was active.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::fault::{Blocked, Fault, Process, Store};

/// For so long after its end a fault still has effects: broken connections that were not noticed yet.
const WAKE: Duration = Duration::from_secs(2);
/// After so long without a fault the system is calm.
const SETTLED: Duration = Duration::from_secs(8);

/// When one fault was active.
#[derive(Debug, Clone, Copy)]
pub(super) struct FaultSpan {
    pub(super) fault: Fault,
    from: Instant,
    pub(super) until: Option<Instant>,
    /// Whether there was something to strike.
    happened: bool,
}

/// Which ingest-svc could take a request, and write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takers {
    All,
    /// Not all of them: nginx has to find one that can.
    Rest,
    Nobody,
}

/// All faults of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultLog {
    store: Store,
    spans: Vec<FaultSpan>,
}

impl FaultLog {
    pub(super) fn new(store: Store) -> Self {
        Self { store, spans: Vec::new() }
    }

    /// A fault begins; returns its number.
    pub(super) fn begin(&mut self, fault: Fault) -> usize {
        self.spans.push(FaultSpan { fault, from: Instant::now(), until: None, happened: false });
        self.spans.len() - 1
    }

    /// It has ended, and what it struck works again; or there was nothing to strike.
    pub(super) fn end(&mut self, number: usize, happened: bool) {
        self.spans[number].until = Some(Instant::now());
        self.spans[number].happened = happened;
    }

    /// How often each kind of fault was injected.
    pub(super) fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for span in self.spans().filter(|span| !matches!(span.fault, Fault::Exit(_))) {
            *kinds.entry(span.fault.kind()).or_default() += 1;
        }
        kinds
    }

    /// How often a standby was promoted.
    pub(super) fn promotions(&self) -> usize {
        self.spans().filter(|span| matches!(span.fault, Fault::Promotion(_))).count()
    }

    /// How often an ingest-svc has ended by itself.
    pub(super) fn exits(&self, ingest: usize) -> usize {
        self.spans().filter(|span| span.fault == Fault::Exit(ingest)).count()
    }

    pub(super) fn store(&self) -> Store {
        self.store
    }

    /// Who could take a request between the two: a fault on its way counts if it was active at any time of it.
    pub(super) fn takers(&self, from: Instant, until: Instant) -> Takers {
        let on = self.spans.iter().filter(|span| span.was_active(from, until, WAKE));
        let blocked: Vec<_> = on.map(|span| span.fault.blocks()).collect();
        let is_up = |ingest: &usize| !blocked.contains(&Blocked::Ingest(*ingest));
        let up = (0..self.store.ingests()).filter(is_up).count();
        match up {
            0 => Takers::Nobody,
            _ if blocked.contains(&Blocked::All) => Takers::Nobody,
            up if up == self.store.ingests() => Takers::All,
            _ => Takers::Rest,
        }
    }

    /// Whether a fault of the broker, and no other one, was active at some time between the two.
    pub(super) fn only_broker(&self, from: Instant, until: Instant) -> bool {
        let mut on = self.spans.iter().filter(|span| span.was_active(from, until, WAKE)).peekable();
        on.peek().is_some() && on.all(|span| span.fault.is_the_brokers())
    }

    /// The faults that struck something.
    pub(super) fn spans(&self) -> impl Iterator<Item = &FaultSpan> {
        self.spans.iter().filter(|span| span.happened)
    }

    /// How far the clock of an ingest-svc may have been ahead at some time between the two.
    pub(super) fn clock_ahead(&self, from: Instant, until: Instant) -> Duration {
        let on = self.spans.iter().filter(|span| span.was_active(from, until, Duration::ZERO));
        on.map(|span| span.fault.clock_ahead()).max().unwrap_or_default()
    }

    /// Whether a replica's clock was wrong at some time between the two.
    pub(super) fn replicas_clock_is_wrong(&self, from: Instant, until: Instant) -> bool {
        let mut on = self.spans.iter().filter(|span| span.was_active(from, until, WAKE));
        on.any(|span| matches!(span.fault, Fault::Clock(Process::Push(_), _)))
    }

    #[cfg(test)]
    pub(super) fn add(&mut self, fault: Fault, from: Instant, until: Instant) {
        self.spans.push(FaultSpan { fault, from, until: Some(until), happened: true });
    }

    /// The faults that were active at some time between the two, in words.
    pub(super) fn during(&self, from: Instant, until: Instant) -> String {
        let on = self.spans.iter().filter(|span| span.was_active(from, until, WAKE));
        let words: Vec<_> = on.map(|span| span.fault.to_string()).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }

    /// Whether no fault was active then or shortly before.
    pub(super) fn is_calm(&self, at: Instant) -> bool {
        !self.spans.iter().any(|span| span.was_active(at, at, SETTLED))
    }
}

impl FaultSpan {
    pub(super) fn was_active(&self, from: Instant, until: Instant, wake: Duration) -> bool {
        self.from <= until && self.until.is_none_or(|ended| ended + wake >= from)
    }
}
