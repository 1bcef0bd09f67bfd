//! How late a ring may be, fault by fault.

use super::*;
use crate::chaos::fault::Lost;

const SECOND: Duration = Duration::from_secs(1);

/// How long a ring of second 100 may take to a pad, with faults from and to these seconds.
fn at(transport: Transport, faults: &[(Fault, u32, u32)]) -> (Class, Duration) {
    on(Store::Sqlite, transport, faults)
}

fn on(store: Store, transport: Transport, faults: &[(Fault, u32, u32)]) -> (Class, Duration) {
    let begun = Instant::now();
    let mut fault_log = FaultLog::new(store);
    for (fault, from, until) in faults {
        fault_log.add(*fault, begun + *from * SECOND, begun + *until * SECOND);
    }
    allowed(&fault_log, transport, begun + 100 * SECOND)
}

#[test]
fn a_ring_without_a_fault_has_half_a_second() {
    let push = Fault::Kill(Process::Push(0));
    for faults in [
        vec![],
        vec![(Fault::MemoryAlarm, 10, 91)],
        vec![(push, 10, 81)],
        // It began when the ring was due.
        vec![(Fault::Freeze(Process::Ingest(0)), 101, 140)],
        vec![
            (Fault::BlackHole(Route::ProviderToNginx), 90, 120),
            (Fault::Cut(Route::NginxToIngest(0)), 100, 100),
        ],
        vec![(Fault::BlackHole(Route::PadsToNginx), 90, 120)],
    ] {
        assert_eq!(at(Transport::Grpc, &faults), (Class::Calm, CALM), "{faults:?}");
    }
}

#[test]
fn without_the_broker_it_has_four_seconds() {
    for fault in [
        Fault::Freeze(Process::Broker),
        Fault::MemoryAlarm,
        Fault::DiskAlarm,
        Fault::CutOff,
        Fault::BlackHole(Route::PushToBroker(1)),
    ] {
        for until in [93, 100, 300] {
            assert_eq!(at(Transport::Grpc, &[(fault, 90, until)]), (Class::Broker, LIVE), "{fault}");
        }
    }
    let (class, allowed) = at(Transport::WebSocket, &[(Fault::Clock(Process::Ingest(0), 7_200), 99, 130)]);
    assert_eq!((class, allowed), (Class::Clock, LIVE));
}

#[test]
fn a_fault_that_stops_the_ring_or_the_pad_adds_its_length() {
    let log = (Fault::BlackHole(Route::PushToIngest(0, 0)), 95, 110);
    assert_eq!(at(Transport::Grpc, &[log]), (Class::ReplicasToLog, LIVE));
    let both = at(Transport::Grpc, &[log, (Fault::MemoryAlarm, 99, 130)]);
    assert_eq!(both, (Class::ReplicasToLog, 10 * SECOND + LIVE));
    let (class, allowed) = at(Transport::Grpc, &[(Fault::PowerLoss, 100, 103)]);
    assert_eq!((class, allowed), (Class::Ingest, 3 * SECOND + LIVE));
    let (class, allowed) = at(Transport::Grpc, &[(Fault::Cut(Route::GrpcPadsToNginx), 90, 90)]);
    assert_eq!((class, allowed), (Class::Pads, RECONNECT));
    let slow = (Fault::Delay(Route::GrpcPadsToNginx, SECOND / 2), 95, 110);
    assert_eq!(at(Transport::Grpc, &[slow]), (Class::SlowPads, LIVE));
    // A fault that begins in the time that another one adds.
    let chain =
        at(Transport::Grpc, &[(Fault::PowerLoss, 100, 103), (Fault::Restart(Process::Nginx), 105, 106)]);
    assert_eq!(chain, (Class::Pads, 6 * SECOND + RECONNECT));
}

#[test]
fn a_ring_that_the_margin_does_not_explain_is_late() {
    let accepted = Instant::now() + 100 * SECOND;
    let delay = |took| Delay { pad: 0, accepted, came_back: false, took, took_from_sending: took };
    let delays = [CALM, CALM + SECOND / 10, CALM + SECOND, 3 * SECOND].map(delay);
    let stalls = Stalls(vec![
        (accepted, SECOND / 25),
        (accepted + SECOND, SECOND / 10),
        (accepted + 20 * SECOND, 10 * SECOND),
    ]);
    let (classes, wrongs) = judge(&delays, &FaultLog::default(), &stalls);
    let calm = classes[&Class::Calm];
    assert_eq!((calm.count, calm.late, calm.excused, calm.longest), (4, 2, 1, 3 * SECOND));
    assert_eq!(wrongs.len(), 2);
}

#[test]
fn with_two_ingest_svc_the_other_one_takes_over() {
    let at = |faults: &[_]| on(Store::Postgres, Transport::Grpc, faults);
    let killed = |number| (Fault::Kill(Process::Ingest(number)), 95, 103);
    assert_eq!(at(&[killed(0)]), (Class::Ingest, TAKE_OVER));
    assert_eq!(at(&[(Fault::Exit(1), 99, 101)]), (Class::Ingest, TAKE_OVER));
    assert_eq!(at(&[(Fault::BlackHole(Route::IngestToDatabase(1)), 95, 190)]), (Class::Ingest, TAKE_OVER));
    assert_eq!(at(&[killed(0), killed(1)]), (Class::Ingest, 3 * SECOND + TAKE_OVER));
    let log = |number| (Fault::BlackHole(Route::PushToIngest(2, number)), 95, 110);
    assert_eq!(at(&[log(0)]), (Class::ReplicasToLog, LIVE));
    assert_eq!(at(&[log(0), log(1)]), (Class::ReplicasToLog, LIVE), "the bus carries it");
    let alarm = (Fault::MemoryAlarm, 99, 130);
    assert_eq!(at(&[log(0), alarm]), (Class::ReplicasToLog, TAKE_OVER));
    assert_eq!(at(&[log(0), log(1), alarm]), (Class::ReplicasToLog, 10 * SECOND + TAKE_OVER));
    let (class, allowed) = at(&[killed(0), log(1)]);
    assert_eq!((class, allowed), (Class::ReplicasToLog, 10 * SECOND + TAKE_OVER));
}

#[test]
fn after_a_promotion_a_pad_is_renewed() {
    for fault in [
        Fault::Promotion(Lost::Frozen),
        Fault::Freeze(Process::Primary),
        Fault::Kill(Process::Standby),
        Fault::Delay(Route::StandbyToPrimary, SECOND),
    ] {
        let at = on(Store::Postgres, Transport::WebSocket, &[(fault, 95, 105)]);
        assert_eq!(at, (Class::Database, 5 * SECOND + RENEWED), "{fault}");
    }
}
