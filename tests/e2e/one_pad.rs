//! A tablet that floods has an effect on its own shop, and on no other.

use ringpad_proto::v1::{
    ClaimCallRequest, PadServiceListCallsRequest, SaveNoteRequest, pad_service_client::PadServiceClient,
};
use ringpad_tests::{
    http::{channel, metrics},
    pads::Transport,
    rabbit::RabbitNode,
    services::{Shop, System},
    token::{Claims, with_token},
    wait::must,
};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

/// Calls of a very busy store, written into the file while ingest-svc is stopped.
const CALLS: &str = "
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 45000)
    INSERT INTO calls (id, source, seq, sdt, store, caller, state, facts, call, fingerprints)
        SELECT randomblob(16), 'bizcall', 'old' || n, unixepoch() - n, stores.key, '+821012345678', 3, '{}', x'', x''
        FROM number, stores WHERE stores.id = 'flood';
";

/// One pad's requests, with no limit at a time.
#[derive(Clone)]
struct Flood {
    client: PadServiceClient<Channel>,
    token: String,
}

impl Flood {
    async fn of(system: &System, store: &Shop, pad: &str) -> Self {
        let client = PadServiceClient::new(channel(system.push_at[0].pads).await);
        Self { client, token: Claims::new(&store.id, pad).token() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        with_token(&self.token, message)
    }

    async fn search(mut self) -> Result<(), Status> {
        let nobody =
            PadServiceListCallsRequest { caller_suffix: "99999999".to_owned(), ..Default::default() };
        self.client.list_calls(self.request(nobody)).await.map(drop)
    }

    async fn claim(mut self) -> Result<(), Status> {
        let [call_id, request_id] = [Uuid::new_v4(), Uuid::new_v4()].map(|id| id.to_string());
        self.client.claim_call(self.request(ClaimCallRequest { call_id, request_id })).await.map(drop)
    }

    async fn note(mut self, call_id: String) -> Result<(), Status> {
        let request_id = Uuid::new_v4().to_string();
        let note = format!("{request_id}{}", "가".repeat(1_900));
        let request = SaveNoteRequest { call_id, request_id, note, reservation: None };
        self.client.save_note(self.request(request)).await.map(drop)
    }
}

/// How many were answered as expected. All others were refused with the time to try again.
fn answered(answers: &[Result<(), Status>], expected: Code) -> usize {
    let (as_expected, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.as_ref().map_or_else(Status::code, |()| Code::Ok) == expected);
    for answer in refused {
        let Err(status) = answer else { panic!("{answer:?}") };
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert!(retry.is_some(), "it says when to try again: {status}");
    }
    as_expected.len()
}

#[tokio::test]
async fn a_pad_that_floods_does_not_delay_another_stores_pads_and_rings() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let (flooded, other) = (system.store("flood").await, system.store("gangnam").await);
    system.ingest.stop().await;
    let log = Connection::open(system.directory.path().join("ringpad.db"));
    must("calls", must("the log", log).execute_batch(CALLS));
    system.ingest.start().await;

    let flood = Flood::of(&system, &flooded, "1").await;
    let (mut searches, mut claims) = (JoinSet::new(), JoinSet::new());
    for _ in 0..200 {
        searches.spawn(flood.clone().search());
    }
    for _ in 0..64 {
        claims.spawn(flood.clone().claim());
    }
    for transport in Transport::ALL {
        let mut pad = system.pad(transport, 0, &other.id).await;
        let before = pad.snapshot.position;
        system.ring(&other).await;
        pad.until_position(before + 1).await;
    }
    // The pad gets its share of answers; the refusals say when to try again.
    let (searches, claims) = (searches.join_all().await, claims.join_all().await);
    let (searched, claimed) = (answered(&searches, Code::Ok), answered(&claims, Code::NotFound));
    assert!((1..200).contains(&(searched + claimed)), "{searched} searches, {claimed} claims");
    let metrics = metrics(system.push_at[0].admin).await;
    assert!(metrics.contains("ringpad_push_requests_turned_away_total{share=\"pad"), "it is counted");
}

#[tokio::test]
async fn a_flood_of_notes_becomes_a_bounded_number_of_events() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("flood").await;
    let call_id = system.ring(&store).await;
    let mut notes = JoinSet::new();
    for pad in 0..4 {
        let flood = Flood::of(&system, &store, &pad.to_string()).await;
        for _ in 0..500 {
            notes.spawn(flood.clone().note(call_id.clone()));
        }
    }
    let written = answered(&notes.join_all().await, Code::Ok);
    assert!((1..1_000).contains(&written), "{written} of 2,000");
    let pad = system.pad(Transport::Grpc, 0, &store.id).await;
    assert_eq!(pad.snapshot.position, 1 + written as u64, "and no other is in the log");
}
