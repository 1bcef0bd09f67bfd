//! A full disk: requests are refused with a reason, nothing is half-written, and with free space everything continues.

use std::{collections::BTreeSet, fs, path::PathBuf};

use http::StatusCode;
use ringpad_proto::v1::{Cdr, IngestCallRequest};
use ringpad_tests::{
    http::Client,
    pads::{Pad, Transport},
    provider::cdr_answer,
    rabbit::RabbitNode,
    services::{Shop, System},
    wait::{SOON, must, until},
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

/// The size of the log's disk, and how much of it is used from the start, in KiB.
const DISK: (u32, u32) = (24 * 1024, 16 * 1024);
/// So long that it soon fills the rest.
const MEMO: usize = 30_000;
/// Records after which the disk must have been full.
const RECORDS: usize = 1_000;

fn large(store: &Shop) -> Cdr {
    Cdr { memo: "x".repeat(MEMO), ..store.ring() }
}

/// A system whose ingest-svc has started, with its log on a small disk; and that disk.
async fn on_small_disk(replicas: usize) -> (System, PathBuf) {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), replicas, &[]);
    let disk = system.directory.path().join("disk");
    must("a mount point", fs::create_dir(&disk));
    system.ingest.on_small_disk(&disk, DISK.0, DISK.1);
    system.ingest.set("DATABASE_URL", &format!("sqlite://{}/ringpad.db", disk.display()));
    system.ingest.start().await;
    (system, disk)
}

/// Whether HTTP on both ports and gRPC say that it is ready, if they agree; and the text of HTTP.
async fn ready(system: &System) -> Option<(bool, String)> {
    let mut health = HealthClient::new(system.channel().await);
    let asked = must("a health check", health.check(HealthCheckRequest::default()).await).into_inner();
    let serving = asked.status() == ServingStatus::Serving;
    let mut said = String::new();
    for port in [system.ingest_at.http, system.ingest_at.admin] {
        let answer = Client::new(port).get("/readyz").await.ok()?;
        said = answer.text();
        if serving != answer.status.is_success() {
            return None;
        }
    }
    Some((serving, said))
}

#[tokio::test]
async fn a_full_disk_is_noticed_before_any_record_is_refused() {
    let (system, disk) = on_small_disk(0).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    for _ in 0..20 {
        provider.deliver(&store.ring()).await;
    }
    until("all ports answer that it is ready", SOON, async || {
        ready(&system).await.filter(|(ready, _)| *ready)
    })
    .await;
    for _ in 0..2 {
        // No request comes, and the log's files still have room for a page.
        system.ingest.fill_disk(&disk);
        let (_, said) = until("all ports answer that it is not ready", SOON, async || {
            ready(&system).await.filter(|(ready, _)| !ready)
        })
        .await;
        assert!(said.contains("log: ") && said.contains("disk is full"), "{said}");
        system.ingest.free_disk(&disk);
        until("it is ready again", SOON, async || ready(&system).await.filter(|(ready, _)| *ready)).await;
        provider.deliver(&store.ring()).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing_that_was_accepted() {
    let (mut system, disk) = on_small_disk(1).await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;

    let (mut provider, mut accepted, mut refused) = (system.provider(), BTreeSet::new(), None);
    while refused.is_none() && accepted.len() < RECORDS {
        let answer = must("an answer", provider.post(&large(&store)).await);
        match answer.status {
            StatusCode::SERVICE_UNAVAILABLE => refused = Some(answer),
            _ => drop(accepted.insert(cdr_answer(&answer).call_id)),
        }
    }
    let refused = refused.expect("the disk was full in time");
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.text().contains("the log cannot be written"), "{}", refused.text());
    let over_grpc = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(large(&store)) };
    let over_grpc = system.calls().await.ingest_call(over_grpc).await.expect_err("the disk is full");
    assert_eq!(over_grpc.code(), Code::Unavailable, "{over_grpc:?}");
    assert!(over_grpc.get_details_retry_info().is_some(), "{over_grpc:?}");
    // Small records still fit for a while.
    until("no record fits any more: it is not ready, and says why", 3 * SOON, async || {
        for _ in 0..20 {
            let answer = must("an answer", provider.post(&store.ring()).await);
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                accepted.insert(cdr_answer(&answer).call_id);
            }
        }
        system.ingest.readiness().await.filter(|(status, why)| *status == 503 && why.contains("log: "))
    })
    .await;

    system.ingest.free_disk(&disk);
    system.ingest.ready().await;
    accepted.insert(provider.deliver(&store.ring()).await.call_id);
    let (listed, epoch) = system.listed_calls(&store).await;
    assert_eq!(listed, accepted, "what was accepted, and nothing else");
    // The harness's pads check that no position is missing and none comes twice.
    let from_the_start = system.subscription(&store.id).after(0, &epoch);
    let mut pad = Pad::open(Transport::Grpc, system.push_at[0].pads, &from_the_start).await;
    pad.until_position(u64::try_from(accepted.len()).expect("a small number")).await;
}
