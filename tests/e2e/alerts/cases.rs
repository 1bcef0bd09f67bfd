//! The case of each alert, produced on real parts.

use super::*;

pub(super) async fn a_service_that_is_frozen() -> (Timeline, Continuation) {
    let (system, _, _pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    system.push[0].running().freeze();
    timeline.sample().await;
    system.push[0].running().thaw();
    (timeline, Continuation::Idle)
}

pub(super) async fn a_ring_that_comes_late() -> (Timeline, Continuation) {
    let (system, store, _pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    system.provider().deliver(&ring_at(&hours_ago(1), &store.virtual_number, &cdr::caller())).await;
    timeline.sample().await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_replica_whose_clock_is_ahead() -> (Timeline, Continuation) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    let machine = on_simulated_machine(&system.directory.path().join("replica"), &mut system.push[0]);
    system.ingest.start().await;
    system.push[0].start().await;
    let (_, _pads) = ready(&system).await;
    let mut timeline = Timeline::begin(&system).await;
    machine.set_clock(60_000);
    sample_until_above(&mut timeline, "ringpad_push_clock_offset_seconds", 2.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_clock_that_is_set_far_ahead() -> (Timeline, Continuation) {
    let settings = [("RETENTION", "2s")];
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &settings);
    let machine = on_simulated_machine(&system.directory.path().join("log"), &mut system.ingest);
    system.ingest.start().await;
    system.push[0].start().await;
    let (store, _pads) = ready(&system).await;
    system.ring(&store).await;
    let mut timeline = Timeline::begin(&system).await;
    machine.set_clock(100 * 24 * 60 * 60 * 1_000);
    sample_until_above(&mut timeline, "ringpad_retention_waits", 0.0).await;
    (timeline, Continuation::Idle)
}

/// Its clock can be set, and the disk of its log can be faulty, from its next start on.
fn on_simulated_machine(directory: &Path, service: &mut Service) -> Machine {
    must("a directory", fs::create_dir(directory));
    let log = directory.with_file_name("ringpad.db");
    let machine = Machine::new(directory, Some(&log));
    service.run_on(&machine);
    machine
}

pub(super) async fn a_disk_that_does_not_answer() -> (Timeline, Continuation) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    let machine = on_simulated_machine(&system.directory.path().join("disk"), &mut system.ingest);
    system.ingest.start().await;
    system.push[0].start().await;
    let (store, _pads) = ready(&system).await;
    let mut timeline = Timeline::begin(&system).await;
    machine.set_disk(Disk::Hanging);
    let answer = must("an answer", system.provider().post(&store.ring()).await);
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.text());
    sample_until_above(&mut timeline, "ringpad_log_unwritten_seconds", 5.0).await;
    assert_eq!(timeline.value("ringpad_log_failed_commits_total"), 0.0, "nothing has failed yet");
    machine.set_disk(Disk::Healthy);
    (timeline, Continuation::Idle)
}

pub(super) async fn a_record_that_is_answered_503() -> (Timeline, Continuation) {
    a_disk_that_does_not_answer().await
}

pub(super) async fn a_disk_that_is_slow() -> (Timeline, Continuation) {
    behind_a_slow_disk(400).await
}

pub(super) async fn popups_behind_a_slow_disk() -> (Timeline, Continuation) {
    behind_a_slow_disk(800).await
}

async fn behind_a_slow_disk(milliseconds: i64) -> (Timeline, Continuation) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    let machine = on_simulated_machine(&system.directory.path().join("disk"), &mut system.ingest);
    system.ingest.start().await;
    system.push[0].start().await;
    let (store, mut pads) = ready(&system).await;
    let mut timeline = Timeline::begin(&system).await;
    machine.slow_disk(milliseconds);
    for call in 0..3 {
        system.ring(&store).await;
        for pad in &mut pads {
            pad.until_position(call + 1).await;
        }
        timeline.sample().await;
    }
    machine.slow_disk(0);
    (timeline, Continuation::SameRates)
}

pub(super) async fn a_memory_alarm_on_a_quiet_line() -> (Timeline, Continuation) {
    let node = RabbitNode::start().await;
    let (system, store, _pads) = installation(&node.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    node.raise_memory_alarm().await;
    // Only canaries are sent, until the broker takes no more of them.
    sleep(PERIOD).await;
    for _ in 0..3 {
        system.ring(&store).await;
    }
    sample_until_above(&mut timeline, "ringpad_outbox_age_seconds", 5.0).await;
    assert_eq!(timeline.value("ringpad_outbox_events"), 3.0);
    node.end_memory_alarm().await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_broker_that_is_gone() -> (Timeline, Continuation) {
    let mut node = RabbitNode::start().await;
    let (system, _, _pads) = installation(&node.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    node.kill().await;
    timeline.sample().await;
    sleep(PERIOD).await;
    timeline.sample().await;
    (timeline, Continuation::Idle)
}

pub(super) async fn an_ingest_svc_that_was_killed() -> (Timeline, Continuation) {
    let (mut system, _, _pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    system.ingest.kill().await;
    system.ingest.start().await;
    sample_until_above(&mut timeline, "ringpad_push_silent_publishers", 0.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn one_of_two_instances_that_does_not_answer() -> (Timeline, Continuation) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    // The second instance is the first one at another address.
    let second = Link::to(system.ingest_at.grpc).await;
    let urls = [system.ingest_at.grpc, second.at].map(|at| format!("http://{at}")).join(",");
    system.push[0].set("INGEST_URL", &urls);
    system.ingest.start().await;
    system.push[0].start().await;
    let (_, _pads) = ready(&system).await;
    let mut timeline = Timeline::begin(&system).await;
    second.black_hole();
    sample_until_above(&mut timeline, r#"ringpad_push_ingest_instances{state="fails"}"#, 0.0).await;
    (timeline, Continuation::SameRates)
}

pub(super) async fn two_installations_on_one_exchange() -> (Timeline, Continuation) {
    let node = RabbitNode::shared().await;
    let (system, _, _pads) = installation(&node.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    let mut other = System::prepare(&node.url(), 0, &[]);
    other.ingest.set("AMQP_EXCHANGE", &system.exchange);
    other.ingest.start().await;
    sample_until_above(&mut timeline, "ringpad_push_bus_messages_total{kind=\"other_log\"}", 0.0).await;
    sleep(PERIOD).await;
    timeline.sample().await;
    (timeline, Continuation::SameRates)
}

pub(super) async fn rings_without_a_replica() -> (Timeline, Continuation) {
    let settings = [("POPUP_TTL", "1s")];
    let system = System::start_with(&RabbitNode::shared().await.url(), 0, &settings).await;
    let store = system.store("gangnam").await;
    let mut timeline = Timeline::begin(&system).await;
    system.ring(&store).await;
    sample_until_above(&mut timeline, "ringpad_relay_expired_total", 0.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_broker_with_a_small_message_limit() -> (Timeline, Continuation) {
    let node = RabbitNode::start_with("max_message_size = 1500").await;
    let (system, store, _pads) = installation(&node.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    let long = Cdr { memo: "x".repeat(2_000), ..store.ring() };
    system.provider().deliver(&long).await;
    sample_until_above(&mut timeline, "ringpad_relay_too_large_total", 0.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn an_address_with_too_many_connections() -> (Timeline, Continuation) {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut timeline = Timeline::begin(&system).await;
    let mut held = Vec::new();
    for _ in 0..=CONNECTIONS_OF_ONE {
        held.push(must("a connection", TcpStream::connect(system.ingest_at.http).await));
    }
    sample_until_above(&mut timeline, "ringpad_connections_refused_total", 0.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_replica_that_never_reached_the_log() -> (Timeline, Continuation) {
    let (mut system, store, pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    drop(pads);
    system.push[0].kill().await;
    system.push[0].set("INGEST_URL", &format!("http://{}", free_address()));
    system.push[0].start().await;
    for _ in 0..2 {
        let asked = system.subscription(&store.id);
        assert!(Pad::try_open(Transport::Grpc, system.push_at[0].pads, &asked).await.is_err());
        timeline.sample().await;
    }
    (timeline, Continuation::SameRates)
}

pub(super) async fn a_replica_that_does_not_learn_of_revocations() -> (Timeline, Continuation) {
    let (mut system, _, _pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    system.ingest.kill().await;
    sample_until_above(&mut timeline, "ringpad_push_revocations_age_seconds", 10.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn pads_that_leave() -> (Timeline, Continuation) {
    let (system, _, pads) = installation(&RabbitNode::shared().await.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    assert!(timeline.value("ringpad_push_pads") > 2.0);
    drop(pads);
    until("no pad is there any more", SOON, async || {
        let mut now = timeline.clone();
        now.sample().await;
        (now.value("ringpad_push_pads") == 0.0).then_some(())
    })
    .await;
    timeline.sample().await;
    (timeline, Continuation::Idle)
}

pub(super) async fn another_programs_messages() -> (Timeline, Continuation) {
    let node = RabbitNode::shared().await;
    let (system, _, _pads) = installation(&node.url()).await;
    let mut timeline = Timeline::begin(&system).await;
    let channel = must("a channel", node.connect().await.create_channel().await);
    let properties = BasicProperties::default().with_content_type(CONTENT_TYPE.into());
    let options = BasicPublishOptions::default();
    let sent =
        channel.basic_publish(system.exchange.as_str().into(), "".into(), options, b"poison", properties);
    must("a message", sent.await);
    sample_until_above(&mut timeline, "ringpad_push_bus_messages_total{kind=\"poison\"}", 0.0).await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_sender_with_a_wrong_secret() -> (Timeline, Continuation) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &[]);
    system.sources("[[source]]\nname = \"bizcall\"\nsecret = \"right\"\n");
    system.ingest.start().await;
    let mut timeline = Timeline::begin(&system).await;
    for _ in 0..7 {
        let answer = Client::new(system.ingest_at.http).get("/v1/cdr/bizcall/wrong").await;
        assert_eq!(must("an answer", answer).status.as_u16(), 404);
        timeline.sample().await;
    }
    (timeline, Continuation::Idle)
}

pub(super) async fn a_request_that_is_no_record() -> (Timeline, Continuation) {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut timeline = Timeline::begin(&system).await;
    let answer = Client::new(system.ingest_at.http).get("/v1/cdr/bizcall?x=y").await;
    assert_eq!(must("an answer", answer).status.as_u16(), 422);
    timeline.sample().await;
    (timeline, Continuation::Idle)
}

pub(super) async fn a_call_for_an_unknown_number() -> (Timeline, Continuation) {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let mut timeline = Timeline::begin(&system).await;
    system.provider().deliver(&ring(&cdr::virtual_number(), &cdr::caller())).await;
    timeline.sample().await;
    (timeline, Continuation::Idle)
}
