//! What one pad was shown, compared with what was acknowledged.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringpad_proto::v1::Call;
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
    /// Of a pad that comes late: the position of its first snapshot, and the calls in it.
    pub(super) late: Option<FirstSnapshot>,
}

/// The first snapshot of a pad that comes late.
#[derive(Debug, Default)]
pub(super) struct FirstSnapshot {
    pub(super) position: u64,
    pub(super) calls: Vec<String>,
}

/// The positions of a store's records, as its pads were shown them.
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
        let begun_with = self.late.iter().flat_map(|late| &late.calls).map(|call_id| ("began with", call_id));
        for (how, call_id) in early.chain(begun_with) {
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

    /// Whether a record is older than the first snapshot of a pad that came late.
    fn began_behind(&self, record: &Record, positions: &Positions<'_>) -> bool {
        let position = positions.get(record);
        self.late.as_ref().zip(position).is_some_and(|(late, position)| *position <= late.position)
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
        let calls = self.late.as_ref().map_or(&[][..], |late| &late.calls);
        if is_open && !calls.contains(&record.call_id) {
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
        for ShownEvent { position, record, pop_until, at } in &self.shown {
            let Some(acknowledged) = acknowledged.get(record) else {
                verdict.foreign += 1;
                verdict.say(format!("pad {pad} was shown {record:?}, which is not its store's"));
                continue;
            };
            if first.insert(record, *at).is_some() {
                verdict.twice += 1;
                verdict.say(format!("pad {pad} was shown {record:?} twice"));
            }
            let ring = Record { step: Step::Ring, ..record.clone() };
            if record.step != Step::Ring && !first.contains_key(&ring) && !self.began_behind(&ring, positions)
            {
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
