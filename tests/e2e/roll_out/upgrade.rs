//! Two ingest-svc and three replicas are replaced one after the other, while calls come all the time: nobody outside notices.

use std::{collections::BTreeSet, error::Error, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use ringpad_proto::v1::{Cdr, IngestCallRequest, ingest_service_client::IngestServiceClient};
use ringpad_tests::{
    nginx::{Nginx, Upstreams},
    postgres::PostgresServer,
    provider::{CdrAnswer, Provider},
    rabbit::RabbitNode,
    secrets::Secrets,
    services::{Service, Shop, System},
    wait::must,
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tonic::transport::Endpoint;

use super::Follower;

/// Through nginx.
const CALLS: usize = 3_000;
/// After how many of them one more is sent over gRPC.
const GRPC: usize = 5;
/// All of them.
const ALL: usize = CALLS + CALLS / GRPC;
/// 50 calls a second through nginx.
const INTERVAL: Duration = Duration::from_millis(20);
/// For all calls to reach a pad.
const BOUND: Duration = Duration::from_secs(180);

/// Where calls can be sent to.
#[derive(Clone)]
struct Senders {
    nginx: SocketAddr,
    /// The internal gRPC of each ingest-svc.
    grpc: [SocketAddr; 2],
    secrets: Secrets,
}

impl Senders {
    /// Sends a call at each interval, whether the one before is answered or not, and some more over gRPC. Returns the ids of those that
    /// were accepted, and the others' errors.
    async fn send(self, store: Shop) -> (BTreeSet<String>, Vec<String>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            ticks.tick().await;
            let (senders, record) = (self.clone(), store.ring());
            calls.spawn(async move { senders.by_http(&record).await });
            if number % GRPC == 0 {
                let (senders, record) = (self.clone(), store.ring());
                let mut instances = self.grpc;
                instances.rotate_left(number / GRPC % 2);
                calls.spawn(async move { senders.by_grpc(&instances, record).await });
            }
        }
        let (mut accepted, mut refused) = (BTreeSet::new(), Vec::new());
        for outcome in calls.join_all().await {
            match outcome {
                Ok(call) => assert!(accepted.insert(call), "two calls have one id"),
                Err(error) => refused.push(error),
            }
        }
        (accepted, refused)
    }

    /// A provider that sends once, to nginx.
    async fn by_http(&self, record: &Cdr) -> Result<String, String> {
        let answer = Provider::new(self.nginx, self.secrets.clone()).post(record).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("{} {}", answer.status, answer.text()));
        }
        Ok(must("an answer", serde_json::from_slice::<CdrAnswer>(&answer.body)).call_id)
    }

    /// A program that knows both ingest-svc, and asks the next one when the first is unavailable or does not answer: a connection that
    /// was made just before ingest-svc stopped listening is reset.
    async fn by_grpc(&self, instances: &[SocketAddr], record: Cdr) -> Result<String, String> {
        self.secrets.note(&record);
        let mut errors = Vec::new();
        for at in instances {
            let request = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(record.clone()) };
            let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{at}")));
            let answer = match endpoint.connect().await {
                Ok(channel) => IngestServiceClient::new(channel).ingest_call(request).await,
                Err(error) => Err(tonic::Status::unavailable(error.to_string())),
            };
            match answer {
                Ok(answer) => return Ok(answer.into_inner().call_id),
                Err(status) => {
                    // With a source, it is the client's own status: there was no answer.
                    let has_no_answer =
                        status.code() == tonic::Code::Unavailable || Error::source(&status).is_some();
                    errors.push(status.to_string());
                    if !has_no_answer {
                        break;
                    }
                }
            }
        }
        Err(errors.join("; "))
    }
}

/// Two ingest-svc and three replicas, behind nginx.
async fn balanced() -> (System, Service, Senders, Nginx) {
    let server = PostgresServer::shared().await;
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 3, &[]);
    system.ingest.set("DATABASE_URL", &server.url(&server.create_database().await));
    let (mut second, second_at) = system.second_ingest();
    for service in [&mut system.ingest, &mut second].into_iter().chain(&mut system.push) {
        service.start().await;
    }
    let upstreams =
        Upstreams { ingest: vec![system.ingest_at.http, second_at.http], ..Upstreams::of(&system) };
    let nginx = Nginx::start_before(upstreams, system.directory.path()).await;
    let grpc = [system.ingest_at.grpc, second_at.grpc];
    let senders = Senders { nginx: nginx.at, grpc, secrets: system.secrets.clone() };
    (system, second, senders, nginx)
}

#[tokio::test]
async fn a_call_that_meets_an_ingest_svc_that_hangs_or_is_gone_is_accepted_by_the_other_one() {
    let (system, mut second, senders, _nginx) = balanced().await;
    let store = system.store("gangnam").await;
    // Each is tried, since nginx gives them requests one after the other.
    let all_are_accepted = async |moment: &str| {
        let records = [(); 4].map(|()| store.ring());
        for answer in join_all(records.iter().map(|record| senders.by_http(record))).await {
            must(moment, answer);
        }
    };
    second.running().freeze();
    all_are_accepted("one hangs").await;
    second.running().thaw();
    second.kill().await;
    all_are_accepted("one is gone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_refused_or_lost_while_two_ingest_svc_and_three_replicas_are_replaced() {
    let (mut system, mut second, senders, nginx) = balanced().await;
    let store = system.store("gangnam").await;
    let mut followers = JoinSet::new();
    for mut follower in Follower::eighteen(&nginx, &store).await {
        followers.spawn(async move {
            follower.follow_within(ALL as u64 + 1, BOUND).await;
            follower
        });
    }

    let calls = tokio::spawn(senders.send(store.clone()));
    let mut replaced = 0;
    while !calls.is_finished() {
        for service in [&mut system.ingest, &mut second].into_iter().chain(&mut system.push) {
            service.stop().await;
            service.start().await;
            replaced += 1;
        }
    }
    eprintln!("{replaced} processes were replaced");
    let (accepted, refused) = must("the senders", calls.await);
    assert_eq!(refused, Vec::<String>::new(), "{} of {ALL} were refused", refused.len());
    assert_eq!(accepted.len(), ALL);

    // What a pad was shown twice would be before it.
    let last = Provider::new(nginx.at, system.secrets.clone()).deliver(&store.ring()).await.call_id;
    for follower in followers.join_all().await {
        let mut shown = follower.shown();
        assert_eq!(shown.pop().as_ref(), Some(&last), "{:?}", follower.pad.transport);
        assert_eq!(shown.len(), ALL, "{:?}", follower.pad.transport);
        assert!(BTreeSet::from_iter(shown) == accepted, "{:?}", follower.pad.transport);
    }
}
