//! Every shipped alert fires in its case, which is produced on real parts, and none fires without a fault.

mod cases;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use lapin::{BasicProperties, options::BasicPublishOptions};
use ringpad_bus::CONTENT_TYPE;
use ringpad_proto::v1::Cdr;
use ringpad_tests::{
    alerts::{Continuation, Timeline, names},
    cdr::{self, hours_ago, ring, ring_at},
    http::Client,
    link::Link,
    machine::{Disk, Machine},
    pads::{Pad, Transport},
    port::free_address,
    rabbit::RabbitNode,
    services::{Service, Shop, System},
    wait::{SOON, must, until},
};
use tokio::{net::TcpStream, time::sleep};

/// Connections of one address that a port of number providers accepts.
const CONNECTIONS_OF_ONE: usize = 1_024;
/// The time between two samples.
const PERIOD: Duration = Duration::from_secs(3);

/// Each alert and the test of its case.
macro_rules! cases {
    ($($alert:ident: $case:ident,)+) => {
        const CASES: &[&str] = &[$(stringify!($alert)),+];

        $(#[tokio::test]
        async fn $case() {
            judge(stringify!($alert), cases::$case().await).await;
        })+
    };
}

cases! {
    ServiceDown: a_service_that_is_frozen,
    LogRefusesRecords: a_disk_that_does_not_answer,
    RecordsRefused: a_record_that_is_answered_503,
    LogSlow: a_disk_that_is_slow,
    PopupsLate: popups_behind_a_slow_disk,
    EventsWaitForBroker: a_memory_alarm_on_a_quiet_line,
    BusSilent: a_broker_that_is_gone,
    PublisherSilent: an_ingest_svc_that_was_killed,
    AnotherLogOnExchange: two_installations_on_one_exchange,
    EventsExpired: rings_without_a_replica,
    EventsTooLarge: a_broker_with_a_small_message_limit,
    ConnectionsRefused: an_address_with_too_many_connections,
    RevocationsUnread: a_replica_that_does_not_learn_of_revocations,
    IngestInstanceFails: one_of_two_instances_that_does_not_answer,
    LogOutOfReach: a_replica_that_never_reached_the_log,
    PadsGone: pads_that_leave,
    PoisonMessages: another_programs_messages,
    SenderRefused: a_sender_with_a_wrong_secret,
    Quarantined: a_request_that_is_no_record,
    CallsWithoutStore: a_call_for_an_unknown_number,
    RingsLate: a_ring_that_comes_late,
    ClocksDiffer: a_replica_whose_clock_is_ahead,
    RetentionWaits: a_clock_that_is_set_far_ahead,
}

async fn judge(alert: &str, (timeline, then): (Timeline, Continuation)) {
    let verdict = timeline.judge(then).await;
    assert_eq!(verdict.quiet, BTreeSet::new(), "before anything had happened");
    assert!(verdict.end.contains(alert), "{alert} does not fire, only {:?}", verdict.end);
}

#[test]
fn every_alert_has_its_case() {
    let cases: BTreeSet<_> = CASES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        names().into_iter().collect::<BTreeSet<_>>(),
        cases,
        "tests/e2e/alerts.rs has a case for each"
    );
}

#[tokio::test]
async fn no_alert_fires_while_calls_ring_and_pads_show_them() {
    let (system, store, mut pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    for call in 0..20 {
        system.ring(&store).await;
        for pad in &mut pads {
            pad.until_position(call + 1).await;
        }
        sleep(PERIOD / 20).await;
    }
    timeline.sample().await;
    let mut verdict = timeline.judge(Continuation::SameRates).await;
    // The speed of a busy machine is a matter for benchmarks.
    verdict.end.retain(|alert| !["LogSlow", "PopupsLate"].contains(&alert.as_str()));
    assert_eq!((verdict.quiet, verdict.end), (BTreeSet::new(), BTreeSet::new()));
}

/// A system whose replica gets messages of ingest-svc, with a store and a pad on each transport.
async fn installation(amqp_url: &str) -> (System, Shop, Vec<Pad>) {
    let system = System::start(amqp_url, 1).await;
    let (store, pads) = ready(&system).await;
    (system, store, pads)
}

async fn ready(system: &System) -> (Shop, Vec<Pad>) {
    let store = system.store("gangnam").await;
    let pads = system.pads(&store.id).await;
    until("a message of ingest-svc has come", SOON, async || {
        let metrics = Client::new(system.push_at[0].admin).get("/metrics").await.ok()?.text();
        metrics.contains("bus_messages_total{kind=\"batch\"}").then_some(())
    })
    .await;
    (store, pads)
}

/// Takes samples until a metric is above a limit.
async fn sample_until_above(timeline: &mut Timeline, metric: &str, limit: f64) {
    until(&format!("{metric} is above {limit}"), 2 * SOON, async || {
        let mut now = timeline.clone();
        now.sample().await;
        (now.value(metric) > limit).then_some(())
    })
    .await;
    timeline.sample().await;
}
