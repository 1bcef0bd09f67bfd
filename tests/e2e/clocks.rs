//! Records with times that a current call cannot have.

use http::StatusCode;
use ringpad_proto::v1::{CallState, Cdr, IngestCallRequest, ReplayQuarantineRequest};
use ringpad_tests::{
    cdr::{self, hours_ago, missed, ring_at},
    http::metrics,
    pads::Transport,
    rabbit::RabbitNode,
    services::System,
    wait::must,
};
use tonic::Code;
use tonic_types::StatusExt;

/// A time of the provider's clock, this many minutes from now.
fn in_minutes(minutes: i64) -> String {
    cdr::later(&hours_ago(0), 60 * minutes)
}

#[tokio::test]
async fn a_ring_pops_only_around_now() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    let (mut provider, mut grpc) = (system.provider(), system.calls().await);
    for (minutes, pops) in [(-3, false), (-1, true), (1, true), (3, false), (23 * 60, false)] {
        let record = ring_at(&in_minutes(minutes), &store.virtual_number, &cdr::caller());
        assert_eq!(provider.deliver(&record).await.status, "accepted");
        let over_grpc = ring_at(&in_minutes(minutes), &store.virtual_number, &cdr::caller());
        system.secrets.note(&over_grpc);
        let request = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(over_grpc) };
        must("IngestCall", grpc.ingest_call(request).await);
        for _ in ["HTTP", "gRPC"] {
            assert_eq!(pad.update().await.pop_until.is_some(), pops, "{minutes} min from now");
        }
    }

    // A late end, and a late ring for a number that no store owns, stop no other popup.
    provider.deliver(&missed(&ring_at(&in_minutes(-30), &store.virtual_number, &cdr::caller()))).await;
    provider.deliver(&ring_at(&in_minutes(-30), &cdr::virtual_number(), &cdr::caller())).await;
    let metrics = metrics(system.ingest_at.admin).await;
    assert!(metrics.contains("ringpad_records_late_total{source=\"bizcall\"} 6\n"), "{metrics}");
}

#[tokio::test]
async fn a_record_with_a_time_far_ahead_is_refused_and_is_faulty_also_in_a_replay() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let (mut provider, mut grpc) = (system.provider(), system.calls().await);
    let right = store.ring();
    let with = |sdt: &str, edt: &str, swidt: &str| Cdr {
        sdt: sdt.to_owned(),
        edt: edt.to_owned(),
        swidt: swidt.to_owned(),
        ..right.clone()
    };
    let far = in_minutes(25 * 60);
    for (faulty, field) in [
        (with(&far, "", ""), "sdt"),
        (with("20990101000000", "", ""), "sdt"),
        (with("19991231235959", "", ""), "sdt"),
        (with(&right.sdt, &far, ""), "edt"),
        (with(&right.sdt, "", &far), "swidt"),
    ] {
        let answer = must("an answer", provider.post(&faulty).await);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], field);
        let request = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(faulty) };
        let status = grpc.ingest_call(request).await.expect_err("it is no record");
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().map(|details| details.field_violations);
        assert_eq!(violations.unwrap_or_default()[0].field, field);
    }
    let replayed = must("replay", grpc.replay_quarantine(ReplayQuarantineRequest::default()).await);
    let replayed = replayed.into_inner();
    assert_eq!(
        (replayed.accepted, replayed.still_faulty),
        (0, 5),
        "each one is measured by its time of receipt"
    );
}

#[tokio::test]
async fn zeros_and_first_dates_are_not_times_of_an_answer_or_an_end() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let mut provider = system.provider();
    for nothing in ["00000000000000", "00010101000000", "1970-01-01 00:00:00", "-", "null"] {
        let ringing = store.ring();
        let open = Cdr { edt: nothing.to_owned(), swidt: nothing.to_owned(), ..ringing.clone() };
        provider.deliver(&open).await;
        let update = pad.update().await;
        assert!(update.pop_until.is_some(), "{nothing}: it rings");
        let ended = Cdr { swidt: nothing.to_owned(), ..missed(&ringing) };
        provider.deliver(&ended).await;
        let call = pad.update().await.call.expect("a call");
        assert_eq!((call.state(), call.answered_at), (CallState::Missed, None), "{nothing}");
    }
}
