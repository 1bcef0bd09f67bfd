//! What one pad was shown, compared with what was acknowledged.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringpad_proto::v1::{Call, Snapshot};
use tokio::time::Instant;

use super::{
    super::{
        fault_log::FaultLog,
        verdict::{Delay, Verdict},
    },
    expiry::Expiries,
    pad_state::{LastShown, Step},
};

/// How long a popup is shown after a ring: the setting's default.
pub(super) const POPUP_TTL: Duration = Duration::from_secs(30);
/// How far two readings of one clock may lie apart.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// One of a call's two records, or an action on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::chaos) struct Record {
    pub(in crate::chaos) call_id: String,
    pub(in crate::chaos) step: Step,
}

impl Record {
    /// The record that left a call as it is.
    pub(super) fn last_of(call: &Call) -> Self {
        Self { call_id: call.id.clone(), step: Step::last_of(call) }
    }
}

/// When a record was first sent, and when it was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(in crate::chaos) struct Acknowledged {
    pub(in crate::chaos) sent: Instant,
    pub(in crate::chaos) at: Instant,
    pub(in crate::chaos) wall: SystemTime,
}

/// An event that a pad was shown.
#[derive(Debug)]
pub(super) struct ShownEvent {
    pub(super) position: u64,
    pub(super) record: Record,
    pub(super) pop_until: Option<Duration>,
    pub(super) at: Instant,
}

/// What one pad was shown.
#[derive(Debug, Default)]
pub(super) struct PadHistory {
    pub(super) shown: Vec<ShownEvent>,
    /// Rings that it was shown ahead of their turn.
    pub(super) early: HashMap<String, Instant>,
    /// How its streams broke the protocol, in words.
    pub(super) wrongs: Vec<(StreamFault, String)>,
    pub(super) streams: u64,
    pub(super) last_shown: LastShown,
    pub(super) expiries: Expiries,
    /// Of a pad that comes late: its first snapshot.
    pub(super) late: Option<Calls>,
    /// The snapshots of new epochs, which replaced all that the pad had.
    pub(super) renewals: Vec<Renewal>,
    /// The last position that it has.
    pub(super) position: u64,
}

/// The snapshot of a new epoch.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) epoch: String,
    pub(super) calls: Calls,
    /// How many events the pad had been shown before.
    pub(super) shown_before: usize,
    pub(super) at: Instant,
}

/// The calls of a snapshot that does not resume a stream.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) position: u64,
    /// The last step of each.
    last: HashMap<String, Step>,
}

impl Calls {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let calls = snapshot.open_calls.iter().chain(&snapshot.recent_calls);
        let last = calls.map(|call| (call.id.clone(), Step::last_of(call))).collect();
        Self { position: snapshot.position, last }
    }

    /// Whether the record is in them: the steps of a call come in one order.
    pub(super) fn show(&self, record: &Record) -> bool {
        self.last.get(&record.call_id).is_some_and(|last| record.step <= *last)
    }
}

/// The positions of a store's records, as its pads were shown them. A record that was only in snapshots has the least of their positions.
pub(super) type Positions<'a> = HashMap<&'a Record, u64>;

/// How a stream can break the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) enum StreamFault {
    /// It brought something twice.
    Twice,
    /// It brought an update after a later one.
    OutOfOrder,
    /// It left an update out, named a wrong position, did not begin with what was asked for, or ended for a reason that no fault
    /// explains.
    Broken,
}

impl PadHistory {
    /// Compares what the pad was shown with what was acknowledged.
    pub(super) fn judge(
        &self,
        pad: usize,
        acknowledged: &HashMap<Record, Acknowledged>,
        positions: &Positions<'_>,
        fault_log: &FaultLog,
        verdict: &mut Verdict,
    ) {
        verdict.streams += self.streams;
        verdict.shown += self.shown.len();
        verdict.early += self.early.len();
        self.judge_streams(pad, fault_log, verdict);
        let first = self.judge_shown(pad, acknowledged, positions, fault_log, verdict);
        self.judge_foreign(pad, acknowledged, verdict);
        for (record, acknowledged) in acknowledged {
            match first.get(record) {
                Some(shown) if record.step == Step::Ring => {
                    verdict.delays.push(self.delay(pad, record, *acknowledged, *shown));
                }
                Some(_) => {}
                None if self.renewed(record).is_some() => {
                    let shown = self.renewed(record).filter(|_| record.step == Step::Ring);
                    let shown = shown.filter(|_| !self.began_behind(record, positions));
                    let delay = shown.map(|renewal| self.delay(pad, record, *acknowledged, renewal.at));
                    verdict.delays.extend(delay);
                }
                None if self.began_behind(record, positions) => {
                    self.judge_begun_with(pad, record, positions, verdict);
                }
                None => {
                    verdict.lost += 1;
                    verdict.say(format!("pad {pad} was never shown {record:?}"));
                }
            }
        }
    }

    /// How its streams broke the protocol, and how its tokens ended.
    fn judge_streams(&self, pad: usize, fault_log: &FaultLog, verdict: &mut Verdict) {
        verdict.expired += self.expiries.count();
        for words in self.expiries.too_early(fault_log) {
            verdict.broken += 1;
            verdict.say(format!("pad {pad} {words}"));
        }
        for (wrong, words) in &self.wrongs {
            *match wrong {
                StreamFault::Twice => &mut verdict.twice,
                StreamFault::OutOfOrder => &mut verdict.out_of_order,
                StreamFault::Broken => &mut verdict.broken,
            } += 1;
            verdict.say(format!("pad {pad}: {words}"));
        }
    }

    /// Calls of other stores that were shown early, or that the pad began with.
    fn judge_foreign(&self, pad: usize, acknowledged: &HashMap<Record, Acknowledged>, verdict: &mut Verdict) {
        let early = self.early.keys().map(|call_id| ("was shown early", call_id));
        let begun_with =
            self.late.iter().flat_map(|late| late.last.keys()).map(|call_id| ("began with", call_id));
        let renewed = self.renewals.iter().flat_map(|renewal| renewal.calls.last.keys());
        let renewed = renewed.map(|call_id| ("was shown in a new epoch", call_id));
        for (how, call_id) in early.chain(begun_with).chain(renewed) {
            if !acknowledged.contains_key(&Record { call_id: call_id.clone(), step: Step::Ring }) {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} {how} {call_id}, which is not its store's"));
            }
        }
    }

    /// How long a ring took to the pad, in its turn or ahead of it.
    fn delay(&self, pad: usize, ring: &Record, acknowledged: Acknowledged, shown: Instant) -> Delay {
        let shown = self.early.get(&ring.call_id).map_or(shown, |early| shown.min(*early));
        Delay {
            pad,
            accepted: acknowledged.at,
            came_back: self.expiries.came_back(acknowledged.at, shown),
            took: shown.saturating_duration_since(acknowledged.at),
            took_from_sending: shown.saturating_duration_since(acknowledged.sent),
        }
    }

    /// The first snapshot of a new epoch that showed the record.
    fn renewed(&self, record: &Record) -> Option<&Renewal> {
        self.renewals.iter().find(|renewal| renewal.calls.show(record))
    }

    /// Whether a record is older than the first snapshot of a pad that came late.
    fn began_behind(&self, record: &Record, positions: &Positions<'_>) -> bool {
        let Some(late) = &self.late else { return false };
        late.show(record) || positions.get(record).is_some_and(|position| *position <= late.position)
    }

    /// A pad that comes while a call is open begins with it: its ring is older than the snapshot, its end is not.
    fn judge_begun_with(
        &self,
        pad: usize,
        record: &Record,
        positions: &Positions<'_>,
        verdict: &mut Verdict,
    ) {
        let end = Record { step: Step::End, ..record.clone() };
        let is_open = record.step == Step::Ring && !self.began_behind(&end, positions);
        if is_open && !self.late.as_ref().is_some_and(|late| late.show(record)) {
            verdict.lost += 1;
            verdict
                .say(format!("pad {pad} came while {} was open, and did not begin with it", record.call_id));
        }
    }

    /// Judges the shown events one after the other. Returns when each record was shown first.
    fn judge_shown<'a>(
        &'a self,
        pad: usize,
        acknowledged: &HashMap<Record, Acknowledged>,
        positions: &Positions<'_>,
        fault_log: &FaultLog,
        verdict: &mut Verdict,
    ) -> HashMap<&'a Record, Instant> {
        let mut first = HashMap::new();
        for (number, ShownEvent { position, record, pop_until, at }) in self.shown.iter().enumerate() {
            let Some(acknowledged) = acknowledged.get(record) else {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} was shown {record:?}, which is not its store's"));
                continue;
            };
            let was_renewed =
                |record| self.renewed(record).is_some_and(|renewal| renewal.shown_before <= number);
            if first.insert(record, *at).is_some() || was_renewed(record) {
                verdict.twice += 1;
                verdict.say(format!("pad {pad} was shown {record:?} twice"));
            }
            let ring = Record { step: Step::Ring, ..record.clone() };
            let has_ring = first.contains_key(&ring) || was_renewed(&ring);
            if record.step != Step::Ring && !has_ring && !self.began_behind(&ring, positions) {
                verdict.out_of_order += 1;
                verdict.say(format!("pad {pad} was shown {record:?} at {position} before the ring"));
            }
            // By ingest-svc's clock.
            let ahead = fault_log.clock_ahead(acknowledged.sent, acknowledged.at);
            let latest = acknowledged.wall + ahead + POPUP_TTL + SLACK;
            let in_time = |until: Duration| record.step == Step::Ring && UNIX_EPOCH + until <= latest;
            if pop_until.is_some_and(|until| !in_time(until)) {
                verdict.late_pops += 1;
                verdict.say(format!("pad {pad} was to pop {record:?} after its time for a popup was over"));
            }
        }
        first
    }
}
