//! Each fault of `make chaos` alone, on a small scale: calls continue, one fault begins and ends, and in the end
//! every acknowledged record is on every pad of its store, once and in order, with nothing left over.

use std::time::Duration;

use ringpad_tests::{
    chaos::{
        Broker, Plan,
        fault::{Disk, Fault, Process, Route, Store},
        schedule::PlannedFault,
    },
    link::Direction,
    machine,
    rabbit::RabbitNode,
};

/// How long it lasts: a silent stream is dead after 5 s, and the broker's silence is noticed after 3 s.
const LASTS: Duration = Duration::from_secs(7);
/// Longer than the 15 s after which the connection to a silent bus is rebuilt.
const REBUILT: Duration = Duration::from_secs(18);

/// Injects these faults at the same time in a small installation.
async fn survive(broker: Broker, faults: &[Fault], lasts: Duration) {
    let verdict = Plan::small(Store::Sqlite, faults, lasts).run(broker).await;
    assert!(verdict.is_clean(), "{faults:?}:\n{verdict}");
}

/// A test for each fault that affects only this run's own processes and links.
macro_rules! on_a_shared_broker {
    ($($name:ident: $faults:expr, $lasts:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            survive(Broker::Shared(RabbitNode::shared().await), &$faults, $lasts).await;
        }
    )*};
}

/// The same for faults that affect the broker itself.
macro_rules! on_a_broker_of_its_own {
    ($($name:ident: $fault:expr, $lasts:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            survive(Broker::Own(RabbitNode::start().await), &[$fault], $lasts).await;
        }
    )*};
}

const INSTANT: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(1);

on_a_broker_of_its_own! {
    the_broker_is_killed: Fault::Kill(Process::Broker), SOON;
    the_broker_is_restarted: Fault::Restart(Process::Broker), SOON;
    the_broker_is_frozen: Fault::Freeze(Process::Broker), REBUILT;
    the_broker_raises_a_memory_alarm: Fault::MemoryAlarm, LASTS;
    the_broker_raises_a_disk_alarm: Fault::DiskAlarm, LASTS;
}

on_a_shared_broker! {
    a_private_queue_is_deleted: [Fault::QueueDeleted(0)], INSTANT;
    ingest_svc_is_killed: [Fault::Kill(Process::Ingest(0))], SOON;
    ingest_svc_is_restarted: [Fault::Restart(Process::Ingest(0))], SOON;
    ingest_svc_is_frozen: [Fault::Freeze(Process::Ingest(0))], LASTS;
    ingest_svc_loses_power: [Fault::PowerLoss], SOON;
    the_logs_disk_is_slow: [Fault::Disk(Disk::Slow(Duration::from_millis(200)))], LASTS;
    the_logs_disk_hangs: [faulty(machine::Disk::Hanging)], LASTS;
    the_logs_disk_fails: [faulty(machine::Disk::Failing)], LASTS;
    the_logs_disk_is_full: [faulty(machine::Disk::Full)], LASTS;
    the_clock_of_ingest_svc_is_ahead: [Fault::Clock(Process::Ingest(0), 7_200)], LASTS;
    the_clock_of_ingest_svc_is_behind: [Fault::Clock(Process::Ingest(0), -7_200)], LASTS;
    the_clocks_of_replicas_differ: [Fault::Clock(Process::Push(0), 600), Fault::Clock(Process::Push(1), -600)], LASTS;
    ingest_svc_alone_is_cut_off_from_the_broker: [Fault::CutOff], REBUILT;
    a_replica_is_killed: [Fault::Kill(Process::Push(0))], SOON;
    a_replica_is_restarted: [Fault::Restart(Process::Push(0))], SOON;
    a_replica_is_frozen: [Fault::Freeze(Process::Push(0))], 2 * LASTS;
    all_replicas_are_killed: [0, 1, 2].map(|replica| Fault::Kill(Process::Push(replica))), SOON;
    nginx_is_killed: [Fault::Kill(Process::Nginx)], SOON;
    nginx_is_restarted: [Fault::Restart(Process::Nginx)], INSTANT;
    nginx_is_frozen: [Fault::Freeze(Process::Nginx)], LASTS;
    a_replica_loses_its_queue_while_the_log_is_a_black_hole:
        [Fault::BlackHole(Route::PushToIngest(0, 0)), Fault::Cut(Route::PushToBroker(0))], LASTS;
    connections_to_the_broker_are_cut: TO_BROKER.map(Fault::Cut), INSTANT;
    connections_to_the_broker_are_slow: TO_BROKER.map(slow), LASTS;
    connections_to_the_broker_are_black_holes: TO_BROKER.map(Fault::BlackHole), REBUILT;
    connections_to_the_broker_are_half_closed_by_the_server: TO_BROKER.map(server_half_closes), INSTANT;
    connections_to_the_broker_are_half_closed_by_the_client: TO_BROKER.map(client_half_closes), INSTANT;
    connections_to_ingest_svc_are_cut: TO_INGEST.map(Fault::Cut), INSTANT;
    connections_to_ingest_svc_are_slow: TO_INGEST.map(slow), LASTS;
    connections_to_ingest_svc_are_black_holes: TO_INGEST.map(Fault::BlackHole), LASTS;
    connections_to_ingest_svc_are_half_closed_by_the_server: TO_INGEST.map(server_half_closes), INSTANT;
    connections_to_ingest_svc_are_half_closed_by_the_client: TO_INGEST.map(client_half_closes), INSTANT;
    connections_of_pads_are_cut: OF_PADS.map(Fault::Cut), INSTANT;
    connections_of_pads_are_slow: OF_PADS.map(slow), LASTS;
    connections_of_pads_are_black_holes: OF_PADS.map(Fault::BlackHole), LASTS;
    connections_of_pads_are_half_closed_by_the_server: OF_PADS.map(server_half_closes), INSTANT;
    connections_of_pads_are_half_closed_by_the_client: OF_PADS.map(client_half_closes), INSTANT;
}

/// As an upgrade does it: one after the other, 6 s apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_is_restarted_one_after_the_other() {
    let replicas = [0, 1, 2].map(Process::Push);
    let order = replicas.into_iter().chain([Process::Ingest(0), Process::Nginx, Process::Broker]);
    let planned = |(index, process)| PlannedFault {
        at: Duration::from_secs(2) + 6 * SOON * index,
        lasts: Duration::from_millis(100),
        fault: Fault::Restart(process),
    };
    let planned_faults: Vec<_> = (0..).zip(order).map(planned).collect();
    let length = planned_faults.iter().map(|planned| planned.at).max().unwrap_or_default() + 10 * SOON;
    let plan = Plan {
        length,
        planned_faults,
        stores: 5,
        calls_a_second: 30,
        ..Plan::small(Store::Sqlite, &[], Duration::ZERO)
    };
    let verdict = plan.run(Broker::Own(RabbitNode::start().await)).await;
    assert!(verdict.is_clean(), "{verdict}");
}

const TO_BROKER: [Route; 2] = [Route::IngestToBroker(0), Route::PushToBroker(0)];
const TO_INGEST: [Route; 3] = [Route::NginxToIngest(0), Route::PushToIngest(0, 0), Route::ProviderToNginx];
const OF_PADS: [Route; 3] = [Route::NginxToPush(0), Route::PadsToNginx, Route::GrpcPadsToNginx];

fn faulty(disk: machine::Disk) -> Fault {
    Fault::Disk(Disk::Faulty(disk))
}

fn slow(route: Route) -> Fault {
    Fault::Delay(route, Duration::from_millis(300))
}

/// The side that opened the connections receives nothing more, and can still send.
fn server_half_closes(route: Route) -> Fault {
    Fault::HalfClose(route, Direction::Down)
}

/// The side that opened the connections can send nothing more, and still receives.
fn client_half_closes(route: Route) -> Fault {
    Fault::HalfClose(route, Direction::Up)
}
