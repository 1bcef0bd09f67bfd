//! Each fault of `make chaos STORE=postgres` that a run without a database does not have, alone and on a small scale: two ingest-svc share a
//! log on a primary with a synchronous standby, and no record is refused while one of them and the database are up.

use std::time::Duration;

use ringpad_tests::{
    chaos::{
        Broker, Plan, Tampering, Verdict,
        fault::{Fault, Lost, Process, Route, Store},
    },
    rabbit::RabbitNode,
};

/// How long it lasts: an ingest-svc that is silent for 5 s is taken over.
const LASTS: Duration = Duration::from_secs(8);
const SOON: Duration = Duration::from_millis(500);

async fn run(faults: &[Fault], lasts: Duration, tampering: Option<Tampering>) -> Verdict {
    let mut plan = Plan::small(Store::Postgres, faults, lasts);
    if tampering.is_some() {
        // What was lost never arrives.
        plan = Plan { settling: Duration::from_secs(10), tampering, ..plan };
    }
    plan.run(Broker::Shared(RabbitNode::shared().await)).await
}

/// One of the two ingest-svc is at fault: nothing is refused.
async fn none_is_refused(fault: Fault, lasts: Duration) {
    let verdict = run(&[fault], lasts, None).await;
    assert!(verdict.is_clean(), "{fault}:\n{verdict}");
    assert!(verdict.without_an_ingest.0 > 0, "{fault}: no record met it\n{verdict}");
    assert_eq!(verdict.refused, 0, "{fault}:\n{verdict}");
}

/// Both ingest-svc or the database are at fault: nothing is lost.
async fn none_is_lost(faults: &[Fault], lasts: Duration) -> Verdict {
    let verdict = run(faults, lasts, None).await;
    assert!(verdict.is_clean(), "{faults:?}:\n{verdict}");
    verdict
}

/// A test for each fault of one ingest-svc.
macro_rules! the_other_one_serves {
    ($($name:ident: $fault:expr, $lasts:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            none_is_refused($fault, $lasts).await;
        }
    )*};
}

/// A test for each fault of both, or of the database.
macro_rules! nothing_is_lost {
    ($($name:ident: $faults:expr, $lasts:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            none_is_lost(&$faults, $lasts).await;
        }
    )*};
}

the_other_one_serves! {
    one_ingest_svc_is_killed: Fault::Kill(Process::Ingest(1)), LASTS;
    one_ingest_svc_is_restarted: Fault::Restart(Process::Ingest(0)), SOON;
    one_ingest_svc_is_frozen: Fault::Freeze(Process::Ingest(0)), LASTS;
    one_ingest_svc_is_cut_off_from_the_database: Fault::BlackHole(Route::IngestToDatabase(1)), LASTS;
    nginx_is_cut_off_from_one_ingest_svc: Fault::BlackHole(Route::NginxToIngest(1)), LASTS;
}

nothing_is_lost! {
    both_ingest_svc_are_frozen: both(|ingest| Fault::Freeze(Process::Ingest(ingest))), LASTS;
    both_ingest_svc_are_cut_off_from_the_broker: both(|ingest| Fault::BlackHole(Route::IngestToBroker(ingest))), LASTS;
    both_ingest_svc_are_cut_off_from_the_database: both(|ingest| Fault::BlackHole(Route::IngestToDatabase(ingest))), LASTS;
    the_primary_is_killed: [Fault::Kill(Process::Primary)], SOON;
    the_primarys_clock_is_ahead: [Fault::Clock(Process::Primary, 600)], LASTS;
    the_primarys_clock_is_behind: [Fault::Clock(Process::Primary, -600)], LASTS;
    the_primary_is_frozen: [Fault::Freeze(Process::Primary)], LASTS;
    the_standby_is_frozen: [Fault::Freeze(Process::Standby)], LASTS;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_killed_and_its_standby_promoted() {
    standby_is_promoted(Lost::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_frozen_and_its_standby_promoted() {
    standby_is_promoted(Lost::Frozen).await;
}

async fn standby_is_promoted(lost: Lost) {
    let verdict = none_is_lost(&[Fault::Promotion(lost)], SOON).await;
    assert_eq!(verdict.promotions, 1);
    // Nine pads from the beginning; those that come late may come after it.
    assert!(verdict.renewals >= 9, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_that_loses_commits_fails() {
    let verdict = run(&[Fault::Promotion(Lost::Killed)], SOON, Some(Tampering::AsynchronousStandby)).await;
    assert!(!verdict.is_clean() && verdict.lost > 0 && verdict.broken > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_balancer_that_does_not_try_the_other_one_fails() {
    let kill = Fault::Kill(Process::Ingest(0));
    let verdict = run(&[kill], LASTS, Some(Tampering::OneUpstream)).await;
    assert!(!verdict.is_clean() && verdict.refused_without_reason > 0, "{verdict}");
    assert_eq!(verdict.lost, 0, "{verdict}");
}

fn both(fault: impl Fn(usize) -> Fault) -> [Fault; 2] {
    [fault(0), fault(1)]
}
