//! The checker of `make chaos` is checked: a run fails if streams are changed as a faulty hub would change them.

use std::time::Duration;

use ringpad_tests::{
    chaos::{
        Broker, Plan, Tampering, Verdict,
        fault::{Fault, Store},
        schedule::PlannedFault,
    },
    rabbit::RabbitNode,
};

/// Some 2,000 updates on 15 pads.
async fn run(tampering: Option<Tampering>) -> Verdict {
    run_with(tampering, Vec::new()).await
}

async fn run_with(tampering: Option<Tampering>, planned_faults: Vec<PlannedFault>) -> Verdict {
    // What a faulty hub dropped never arrives.
    let settling = Duration::from_secs(if tampering.is_none() { 60 } else { 5 });
    let plan = Plan {
        store: Store::Sqlite,
        length: Duration::from_secs(8),
        planned_faults,
        stores: 5,
        calls_a_second: 50,
        settling,
        npm_package: None,
        tampering,
    };
    plan.run(Broker::Shared(RabbitNode::shared().await)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correct_hub_passes() {
    let verdict = run(None).await;
    assert!(verdict.is_clean() && verdict.shown > 1_000 && verdict.actions > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_drops_one_in_a_thousand_fails() {
    let verdict = run(Some(Tampering::Drop)).await;
    assert!(!verdict.is_clean() && verdict.lost > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_sends_one_twice_fails() {
    let verdict = run(Some(Tampering::Twice)).await;
    assert!(!verdict.is_clean() && verdict.twice > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_swaps_two_fails() {
    let verdict = run(Some(Tampering::Swap)).await;
    assert!(!verdict.is_clean() && verdict.out_of_order > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_late_once_fails() {
    let verdict = run(Some(Tampering::Late)).await;
    assert!(!verdict.is_clean() && verdict.late > 0 && verdict.lost == 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_forgets_who_has_claimed_a_call_fails() {
    let verdict = run(Some(Tampering::Unclaim)).await;
    assert!(!verdict.is_clean() && verdict.undone > 0 && verdict.lost == 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_flushed_fails_at_a_power_loss() {
    let at = Duration::from_secs(4);
    let power_loss = PlannedFault { at, lasts: Duration::from_millis(500), fault: Fault::PowerLoss };
    let verdict = run_with(Some(Tampering::LyingDisk), vec![power_loss]).await;
    assert!(!verdict.is_clean() && verdict.lost + verdict.left_over.len() > 0, "{verdict}");
}
