//! Each wrong that the ledger knows is found, by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use ringpad_proto::v1::{Call, CallState, Claim, Early};

use super::{
    pad_history::{POPUP_TTL, SLACK},
    *,
};
use crate::chaos::{
    fault::{Fault, Lost, Process, Store},
    stream_check::StreamCheck,
};

/// One pad of one store, and what the store's calls were acknowledged as: `a` and `b`, rung and over.
fn ledger() -> Ledger {
    let ledger = Ledger::new(2, 1);
    let now = Acknowledged { sent: Instant::now(), at: Instant::now(), wall: SystemTime::now() };
    for (store, call) in [(0, "a"), (0, "b"), (1, "c")] {
        for step in [Step::Ring, Step::End] {
            ledger.acknowledge(store, Record { call_id: call.to_owned(), step }, now);
        }
    }
    // Only the first store's pad is looked at.
    ledger.lock().histories.truncate(1);
    ledger
}

fn update(position: u64, call: &str, state: CallState) -> Update {
    let call = Call { id: call.to_owned(), revision: position, state: state.into(), ..Call::default() };
    Update { position, call: Some(call), pop_until: None }
}

const WHOLE: [(u64, &str, CallState); 4] = [
    (1, "a", CallState::Ringing),
    (2, "b", CallState::Ringing),
    (3, "a", CallState::Missed),
    (4, "b", CallState::Completed),
];

/// Brings updates on one stream, and shows each.
fn run(ledger: &Ledger, updates: &[(u64, &str, CallState)]) -> Verdict {
    let mut check = StreamCheck::new(ledger, 0, 0);
    for (position, call, state) in updates {
        let update = update(*position, call, *state);
        check.update(&update);
        ledger.show(0, &update);
    }
    drop(check);
    ledger.judge(&FaultLog::default())
}

#[test]
fn a_complete_stream_is_clean() {
    let verdict = run(&ledger(), &WHOLE);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.delays.len(), 2);
}

#[test]
fn a_missing_update_is_lost_and_a_gap_of_its_stream() {
    let verdict = run(&ledger(), &[WHOLE[0], WHOLE[1], WHOLE[3]]);
    assert_eq!((verdict.lost, verdict.broken), (1, 1));
    assert!(!verdict.is_clean());
}

#[test]
fn a_repeated_or_late_update_is_found_on_the_stream_and_on_the_pad() {
    let verdict = run(&ledger(), &[WHOLE[0], WHOLE[1], WHOLE[1], WHOLE[2], WHOLE[3]]);
    assert_eq!((verdict.twice, verdict.out_of_order), (2, 0), "on the stream, and on the pad");
    let verdict = run(&ledger(), &[WHOLE[2], WHOLE[0], WHOLE[1], WHOLE[3]]);
    assert_eq!(verdict.out_of_order, 3, "two came behind, and an end before its ring");
}

#[test]
fn a_call_of_another_store_is_found_in_its_turn_and_early() {
    let ledger = ledger();
    let mut check = StreamCheck::new(&ledger, 0, 4);
    let other = update(9, "c", CallState::Ringing);
    check.early(&Early { call: other.call.clone(), pop_until: None });
    drop(check);
    ledger.show(0, &other);
    assert_eq!(run(&ledger, &WHOLE).foreign, 2);
}

#[test]
fn an_early_ring_is_shown_once_and_never_after_its_update() {
    let ledger = ledger();
    let mut check = StreamCheck::new(&ledger, 0, 0);
    let ahead = update(2, "b", CallState::Ringing);
    let early = Early { call: ahead.call.clone(), pop_until: None };
    check.early(&early);
    assert!(ledger.lock().histories[0].1.wrongs.is_empty());
    check.early(&early);
    check.update(&update(1, "a", CallState::Ringing));
    check.update(&ahead);
    check.early(&early);
    assert_eq!(ledger.judge(&FaultLog::default()).twice, 2);
}

#[test]
fn a_heartbeat_with_another_position_and_a_late_popup_are_found() {
    let ledger = ledger();
    StreamCheck::new(&ledger, 0, 7).heartbeat(8);
    assert_eq!(ledger.judge(&FaultLog::default()).broken, 1);
    let late = SystemTime::now() + POPUP_TTL + 2 * SLACK;
    let seconds = late.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let until = ringpad_proto::Timestamp { seconds: seconds.cast_signed(), nanos: 0 };
    ledger.show(0, &Update { pop_until: Some(until), ..update(1, "a", CallState::Ringing) });
    assert_eq!(ledger.judge(&FaultLog::default()).late_pops, 1);
}

fn ringing(id: &str) -> Call {
    Call { id: id.to_owned(), state: CallState::Ringing.into(), ..Call::default() }
}

#[test]
fn a_pad_that_comes_late_is_shown_all_after_its_snapshot() {
    let ledger = ledger();
    // Two histories of one store: a pad from the beginning, and one that comes late.
    ledger.lock().histories.push((0, PadHistory { late: Some(Calls::default()), ..PadHistory::default() }));
    run(&ledger, &WHOLE);
    let snapshot = |calls: &[&str]| Snapshot {
        position: 2,
        open_calls: calls.iter().map(|id| ringing(id)).collect(),
        ..Snapshot::default()
    };
    ledger.begin(1, &snapshot(&["a", "b"]));
    ledger.show(1, &update(3, "a", CallState::Missed));
    assert_eq!(ledger.judge(&FaultLog::default()).lost, 1, "the end of b");
    ledger.show(1, &update(4, "b", CallState::Completed));
    let verdict = ledger.judge(&FaultLog::default());
    assert!(verdict.is_clean(), "{verdict}");
    let begin_again = |calls| {
        ledger.lock().histories[1].1.streams = 0;
        ledger.begin(1, &snapshot(calls));
    };
    begin_again(&["a"]);
    assert_eq!(ledger.judge(&FaultLog::default()).lost, 1, "b was open");
    begin_again(&["a", "b", "c"]);
    assert_eq!(ledger.judge(&FaultLog::default()).foreign, 1, "c is another's");
}

#[test]
fn an_action_is_shown_once_in_its_turn_and_stays() {
    let claim = Claim { pad_id: "counter".to_owned(), ..Claim::default() };
    let ring = ringing("a");
    let claimed = Call { claim: Some(claim), ..ring.clone() };
    let ended = Call { state: CallState::Completed.into(), ..claimed.clone() };
    let closed = Call { closed: true, ..ended.clone() };
    let noted = Call { note: "white".to_owned(), ..closed.clone() };
    let reopened = Call { closed: false, ..noted.clone() };
    let judged = |calls: &[&Call]| {
        let ledger = Ledger::new(1, 1);
        ledger.lock().histories.truncate(1);
        let now = Acknowledged { sent: Instant::now(), at: Instant::now(), wall: SystemTime::now() };
        for step in [Step::Ring, Step::Claim, Step::End, Step::Close, Step::Note, Step::Reopen] {
            ledger.acknowledge(0, Record { call_id: "a".to_owned(), step }, now);
        }
        ledger.answer(0, "a", PadState::of(&reopened));
        for (call, position) in calls.iter().zip(1..) {
            ledger.show(0, &Update { position, call: Some((*call).clone()), pop_until: None });
        }
        ledger.judge(&FaultLog::default())
    };
    let verdict = judged(&[&ring, &claimed, &ended, &closed, &noted, &reopened]);
    assert!(verdict.is_clean() && verdict.actions == 4, "{verdict}");
    assert_eq!(judged(&[&ring, &ended, &closed, &noted, &reopened]).lost, 1, "the claim");
    assert_eq!(judged(&[&ring, &claimed, &claimed, &ended, &closed, &noted, &reopened]).twice, 1);
    assert_eq!(judged(&[&claimed, &ring, &ended, &closed, &noted, &reopened]).out_of_order, 1);
    let verdict = judged(&[&ring, &claimed, &ended, &closed, &noted]);
    assert_eq!((verdict.undone, verdict.lost), (1, 1), "the reopening");
    let unclaimed = Call { claim: None, ..reopened.clone() };
    let verdict = judged(&[&ring, &claimed, &ended, &closed, &noted, &unclaimed]);
    assert!(!verdict.is_clean() && (verdict.undone, verdict.lost) == (1, 0), "{verdict}");
}

#[test]
fn a_token_that_ends_before_its_time_is_found_unless_a_clock_was_wrong() {
    let ledger = ledger();
    let now = Instant::now();
    ledger.expire(0, now - TOKEN_LIFETIME);
    let verdict = ledger.judge(&FaultLog::default());
    assert_eq!((verdict.expired, verdict.broken), (1, 0));
    ledger.expire(0, now - TOKEN_LIFETIME / 2);
    let verdict = ledger.judge(&FaultLog::default());
    assert_eq!((verdict.expired, verdict.broken), (2, 1));
    let mut fault_log = FaultLog::default();
    fault_log.add(Fault::Clock(Process::Push(1), 600), now - TOKEN_LIFETIME / 4, now);
    assert_eq!(ledger.judge(&fault_log).broken, 0);
}

/// A pad that was shown the first two updates in one epoch, and comes to another one.
fn renewed(
    position: u64,
    calls: &[(&str, CallState)],
    then: &[(u64, &str, CallState)],
    promotions: usize,
) -> Verdict {
    let ledger = ledger();
    let call = |(id, state): &(&str, CallState)| Call {
        id: (*id).to_owned(),
        state: (*state).into(),
        ..Call::default()
    };
    let snapshot = Snapshot {
        position,
        epoch: "second".to_owned(),
        recent_calls: calls.iter().map(call).collect(),
        ..Snapshot::default()
    };
    let show = |updates: &[(u64, &str, CallState)]| {
        updates.iter().for_each(|(position, call, state)| ledger.show(0, &update(*position, call, *state)));
    };
    show(&WHOLE[..2]);
    ledger.begin(0, &snapshot);
    ledger.renew(0, &snapshot);
    show(then);
    let (now, mut fault_log) = (Instant::now(), FaultLog::new(Store::Postgres));
    (0..promotions).for_each(|_| fault_log.add(Fault::Promotion(Lost::Killed), now, now));
    ledger.judge(&fault_log)
}

#[test]
fn the_snapshot_of_a_new_epoch_shows_what_is_in_it_and_nothing_else() {
    let both = [("a", CallState::Missed), ("b", CallState::Completed)];
    let verdict = renewed(4, &both, &[], 1);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.promotions, verdict.renewals), (1, 1));
    let open = [("a", CallState::Missed), ("b", CallState::Ringing)];
    let verdict = renewed(3, &open, &WHOLE[3..], 1);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(renewed(4, &open, &[], 1).lost, 1, "the end of b");
    assert_eq!(renewed(4, &both[..1], &[], 1).lost, 1, "b was not in it");
    assert_eq!(renewed(4, &both, &WHOLE[3..], 1).twice, 1, "b was shown by it, and again");
    assert_eq!(renewed(2, &open, &WHOLE[1..], 1).twice, 2, "b rings again, and a ends again");
    let with_another = [both[0], both[1], ("c", CallState::Ringing)];
    assert_eq!(renewed(4, &with_another, &[], 1).foreign, 1, "c is another's");
}

#[test]
fn an_epoch_comes_only_after_a_promotion_and_does_not_go_back() {
    let both = [("a", CallState::Missed), ("b", CallState::Completed)];
    assert_eq!(renewed(4, &both, &[], 0).broken, 1, "nothing was promoted");
    assert_eq!(renewed(1, &both, &WHOLE[2..], 1).broken, 1, "a commit was lost");
    let (now, mut fault_log) = (Instant::now(), FaultLog::new(Store::Postgres));
    fault_log.add(Fault::Promotion(Lost::Killed), now, now);
    assert_eq!(ledger().judge(&fault_log).broken, 1, "no pad has begun again");
}
