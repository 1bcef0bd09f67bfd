//! Tablets that become pads: code, approval, credential, tokens, revocation.

mod edge;

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use http::StatusCode;
use ringpad_proto::v1::{
    ApprovePairingRequest, BeginRequest, BeginResponse, DeleteStoreRequest, IssueTokenRequest,
    IssueTokenResponse, ListPadsRequest, PadServiceListCallsRequest, PairedPad, PollRequest,
    RevokePadRequest, pad_service_client::PadServiceClient, pairing_service_client::PairingServiceClient,
};
use ringpad_tests::{
    http::{Client, channel},
    machine::Machine,
    pads::{Pad, StreamEnd, Subscription, Transport},
    postgres::PostgresServer,
    rabbit::RabbitNode,
    services::{System, binary},
    token::{Claims, with_token},
    wait::{SOON, must, until, within},
};
use tokio::process::Command;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::load_balancer::balanced;

/// Within how long a revoked pad's streams end.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// `PairingService` at one port of either service.
struct Tablet(PairingServiceClient<Channel>);

impl Tablet {
    async fn at(port: SocketAddr) -> Self {
        Self(PairingServiceClient::new(channel(port).await))
    }

    async fn begin(&mut self) -> BeginResponse {
        let begun = must("Begin", self.0.begin(BeginRequest {}).await).into_inner();
        assert!(begun.code.len() == 6 && begun.code.bytes().all(|byte| byte.is_ascii_digit()));
        begun
    }

    async fn poll(&mut self, credential: &str) -> Result<Option<PairedPad>, Status> {
        let request = PollRequest { credential: credential.to_owned() };
        self.0.poll(request).await.map(|answer| answer.into_inner().pad)
    }

    async fn token(&mut self, credential: &str) -> Result<IssueTokenResponse, Status> {
        let request = IssueTokenRequest { credential: credential.to_owned() };
        self.0.issue_token(request).await.map(tonic::Response::into_inner)
    }

    async fn approve(&mut self, request: Request<ApprovePairingRequest>) -> Result<PairedPad, Status> {
        let answer = self.0.approve_pairing(request).await?;
        Ok(answer.into_inner().pad.expect("an approval has its pad"))
    }

    async fn revoke(&mut self, pad: &str) {
        let request = RevokePadRequest { pad_id: pad.to_owned() };
        must("RevokePad", self.0.revoke_pad(request).await);
    }
}

fn approval(code: &str, store_id: &str, name: &str) -> ApprovePairingRequest {
    ApprovePairingRequest { code: code.to_owned(), store_id: store_id.to_owned(), name: name.to_owned() }
}

/// A tablet that was paired from the back office: its credential and the pad.
async fn paired(system: &System, store: &str, name: &str) -> (String, PairedPad) {
    let BeginResponse { credential, code, .. } = Tablet::at(system.push_at[0].pads).await.begin().await;
    let mut office = Tablet::at(system.ingest_at.grpc).await;
    let pad = must("an approval", office.approve(Request::new(approval(&code, store, name))).await);
    (credential, pad)
}

/// Runs `ringpad pads …`; what it prints.
async fn pads(system: &System, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary("ringpad"));
    command.arg("pads").args(arguments).env_remove("RUST_LOG").kill_on_drop(true);
    command.env("INGEST_URL", format!("http://{}", system.ingest_at.grpc));
    let output = must("ringpad", within("ringpad pads", SOON, command.output()).await);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Every file of the system: the log, and what the services have logged.
fn assert_in_no_file(system: &System, secret: &str) {
    let mut files = 0;
    for entry in must("the directory", fs::read_dir(system.directory.path())) {
        let path = must("a file", entry).path();
        if path.is_file() {
            let bytes = must("a file", fs::read(&path));
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "the credential is in {}", path.display());
            files += 1;
        }
    }
    assert!(files >= 4, "{files} files were searched");
}

#[tokio::test]
async fn a_tablet_is_set_up_by_its_code_and_works_the_next_morning() {
    let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let BeginResponse { credential, code, expires_after, poll_interval } = tablet.begin().await;
    assert_eq!(expires_after.unwrap_or_default().seconds, 600);
    assert_eq!(poll_interval.unwrap_or_default().seconds, 2);
    assert_eq!(must("Poll", tablet.poll(&credential).await), None);
    let early = tablet.token(&credential).await.expect_err("a token before the approval");
    assert_eq!(early.code(), Code::Unauthenticated);

    let (first, last) = code.split_at(3);
    let shown = format!("{first} {last}");
    let arguments = ["pair", &shown, "--store", &store.id, "--name", "계산대"];
    let said = must("pads pair", pads(&system, &arguments).await);
    assert!(said.starts_with("paired ") && said.contains("계산대"), "{said}");
    let pad = must("Poll", tablet.poll(&credential).await).expect("it is paired");
    assert!(said.contains(&pad.id), "{said}");

    let issued = must("IssueToken", tablet.token(&credential).await);
    let lasts =
        issued.expires_at.unwrap_or_default().seconds - ringpad_tests::token::in_seconds(0).cast_signed();
    assert!((3_590..=3_600).contains(&lasts), "{lasts} s");
    for transport in Transport::ALL {
        let asked = Subscription::new(&issued.token);
        let mut open = Pad::open(transport, system.push_at[1].pads, &asked).await;
        let position = open.position() + 1;
        system.ring(&store).await;
        open.until_position(position).await;
    }
    let listed = until("the token is noted", SOON, async || {
        let listed = must("pads list", pads(&system, &["list", "--json", "--store", "gangnam"]).await);
        listed.contains("lastTokenAt").then_some(listed)
    })
    .await;
    let line: serde_json::Value = must("JSON", serde_json::from_str(&listed));
    assert_eq!((&line["id"], &line["name"]), (&pad.id.clone().into(), &"계산대".into()));

    works_the_next_morning(&mut system, &credential, &pad).await;
    assert_in_no_file(&system, &credential);
}

/// Both services are started again. The token of the evening has expired in the morning.
async fn works_the_next_morning(system: &mut System, credential: &str, pad: &PairedPad) {
    for service in std::iter::once(&mut system.ingest).chain(&mut system.push) {
        service.stop().await;
        service.start().await;
    }
    let mut claims = Claims::new("gangnam", &pad.id);
    claims.exp = ringpad_tests::token::in_seconds(-12 * 60 * 60);
    let asked = Subscription::new(&claims.token());
    let end = Pad::try_open(Transport::GrpcWeb, system.push_at[1].pads, &asked).await;
    assert_eq!(end.expect_err("an expired token"), StreamEnd::Unauthenticated);
    let mut tablet = Tablet::at(system.push_at[1].pads).await;
    let issued = must("IssueToken", tablet.token(credential).await);
    Pad::open(Transport::GrpcWeb, system.push_at[1].pads, &Subscription::new(&issued.token)).await;
}

#[tokio::test]
async fn wrong_and_expired_codes_pair_nothing_and_tell_nothing_of_stores() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    let machine = Machine::new(system.directory.path(), None);
    system.ingest.run_on(&machine);
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let begun = tablet.begin().await;
    let token = Claims::new(&store.id, "counter").token();
    let mut tried = async |code: &str| {
        let request = with_token(&token, approval(code, "", "입구"));
        let status = tablet.approve(request).await.expect_err("a wrong code");
        (status.code(), status.message().to_owned())
    };
    let wrong = if begun.code == "000000" { "000001" } else { "000000" };
    let no_such_code = tried(wrong).await;
    assert_eq!(no_such_code, (Code::NotFound, "no tablet shows this code".to_owned()));
    assert_eq!(tried("12345").await.0, Code::InvalidArgument);
    for nobodys in ["", "hunter2", &begun.credential[1..]] {
        assert_eq!(tablet.poll(nobodys).await.expect_err("nobody's").code(), Code::NotFound);
        assert_eq!(tablet.token(nobodys).await.expect_err("nobody's").code(), Code::Unauthenticated);
    }

    machine.set_clock(600_000);
    let mut tried = async |code: &str| {
        let request = with_token(&token, approval(code, "", "입구"));
        let status = tablet.approve(request).await.expect_err("an expired code");
        (status.code(), status.message().to_owned())
    };
    assert_eq!(tried(&begun.code).await, no_such_code, "as if there had never been one");
    assert_eq!(tablet.poll(&begun.credential).await.expect_err("it has expired").code(), Code::NotFound);
    let said = pads(&system, &["pair", &begun.code, "--store", "gangnam", "--name", "입구"]).await;
    assert_eq!(said, Err("ringpad: no tablet shows this code\n".to_owned()));
}

#[tokio::test]
async fn a_revoked_pads_streams_end_on_all_replicas_and_its_token_is_refused() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let (credential, pad) = paired(&system, &store.id, "계산대").await;
    let (others_credential, _) = paired(&system, &store.id, "입구").await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let token = must("IssueToken", tablet.token(&credential).await).token;
    let others = must("IssueToken", tablet.token(&others_credential).await).token;
    let (mut open, mut staying) = (Vec::new(), Vec::new());
    for replica in &system.push_at {
        for transport in Transport::ALL {
            open.push(Pad::open(transport, replica.pads, &Subscription::new(&token)).await);
            staying.push(Pad::open(transport, replica.pads, &Subscription::new(&others)).await);
        }
    }
    let begun = Instant::now();
    let said = must("pads revoke", pads(&system, &["revoke", &pad.id]).await);
    assert_eq!(said, format!("revoked {}\n", pad.id));
    for pad in &mut open {
        assert_eq!(pad.end().await, StreamEnd::Unauthenticated, "{:?}", pad.transport);
    }
    assert!(begun.elapsed() < REVOKED_WITHIN, "{:?}", begun.elapsed());

    for replica in &system.push_at {
        for transport in Transport::ALL {
            let end = Pad::try_open(transport, replica.pads, &Subscription::new(&token)).await;
            assert_eq!(end.expect_err("a revoked pad"), StreamEnd::Unauthenticated);
        }
        let mut calls = PadServiceClient::new(channel(replica.pads).await);
        let request = with_token(&token, PadServiceListCallsRequest::default());
        assert_eq!(calls.list_calls(request).await.expect_err("revoked").code(), Code::Unauthenticated);
    }
    let code = tablet.begin().await.code;
    let refused = tablet.approve(with_token(&token, approval(&code, "", "x"))).await;
    assert_eq!(refused.expect_err("revoked").code(), Code::Unauthenticated);
    assert_eq!(tablet.token(&credential).await.expect_err("revoked").code(), Code::Unauthenticated);
    assert_eq!(tablet.poll(&credential).await.expect_err("revoked").code(), Code::NotFound);

    system.ring(&store).await;
    for pad in &mut staying {
        pad.until_position(1).await;
    }
    assert_eq!(pads(&system, &["revoke", &pad.id]).await, Ok(said), "a repeat does no harm");
    let unknown = "6c7fa8ba-0000-4000-8000-000000000000";
    for id in [unknown, "계산대"] {
        assert_eq!(pads(&system, &["revoke", id]).await, Err("ringpad: there is no such pad\n".to_owned()));
    }
    let listed = must("pads list", pads(&system, &["list"]).await);
    let revoked: Vec<_> = listed.lines().filter(|line| line.contains(&pad.id)).collect();
    assert!(revoked.len() == 1 && !revoked[0].contains("Z  -  "), "{listed}");
}

#[tokio::test]
async fn a_deleted_stores_pads_are_revoked_also_if_it_is_made_again() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let (credential, _) = paired(&system, &store.id, "계산대").await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let token = must("IssueToken", tablet.token(&credential).await).token;
    let request = DeleteStoreRequest { store_id: store.id.clone() };
    must("DeleteStore", system.stores().await.delete_store(request).await);
    system.upsert(&store, &[&store.virtual_number]).await;
    assert_eq!(tablet.token(&credential).await.expect_err("deleted").code(), Code::Unauthenticated);
    until("its token is refused", REVOKED_WITHIN, async || {
        let asked = Subscription::new(&token);
        let opened = Pad::try_open(Transport::Grpc, system.push_at[0].pads, &asked).await;
        (opened.err()? == StreamEnd::Unauthenticated).then_some(())
    })
    .await;
    assert_eq!(pads(&system, &["list", "--json"]).await, Ok(String::new()));
}

/// A wrong INTERNAL_TOKEN is answered UNAUTHENTICATED; no tablet may lose its credential for that, nor while ingest-svc is down.
#[tokio::test]
async fn a_credential_is_refused_only_if_the_log_says_so() {
    let settings = [("INTERNAL_TOKEN", "an-internal-token-for-tests")];
    let mut system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let credential = tablet.begin().await.credential;
    assert_eq!(tablet.token(&credential).await.expect_err("not approved").code(), Code::Unauthenticated);
    system.push[0].stop().await;
    system.push[0].set("INTERNAL_TOKEN", "another-token-altogether");
    system.push[0].start().await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    assert_eq!(tablet.token(&credential).await.expect_err("a wrong token").code(), Code::Unavailable);
    assert_eq!(tablet.poll(&credential).await.expect_err("a wrong token").code(), Code::Unavailable);
    until("it says that it cannot ask", SOON, async || {
        system.push[0].logged().contains("cannot ask which pads were revoked").then_some(())
    })
    .await;
    system.ingest.stop().await;
    assert_eq!(tablet.token(&credential).await.expect_err("nobody answers").code(), Code::Unavailable);
}

#[tokio::test]
async fn two_ingest_svc_share_tablets_in_postgresql() {
    let server = PostgresServer::shared().await;
    let url = server.url(&server.create_database().await);
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    system.ingest.set("DATABASE_URL", &url);
    let (mut second, second_at) = system.second_ingest();
    for service in [&mut system.ingest, &mut second].into_iter().chain(&mut system.push) {
        service.start().await;
    }
    let store = system.store("gangnam").await;
    let (mut one, mut other) = (Tablet::at(system.ingest_at.grpc).await, Tablet::at(second_at.grpc).await);
    let begun = one.begin().await;
    assert_eq!(must("Poll", other.poll(&begun.credential).await), None);
    let approve = || Request::new(approval(&begun.code, &store.id, "계산대"));
    let approved = must("an approval", other.approve(approve()).await);
    assert_eq!(must("a repeat", one.approve(approve()).await), approved);
    assert_eq!(must("Poll", one.poll(&begun.credential).await), Some(approved.clone()));

    // Many tablets at the same time, at both.
    let begin = async |at: SocketAddr| Tablet::at(at).await.begin().await.code;
    let many =
        (0..20).map(|index| begin(if index % 2 == 0 { system.ingest_at.grpc } else { second_at.grpc }));
    let mut codes = futures_util::future::join_all(many).await;
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 20);

    system.ingest.kill().await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let token = must("IssueToken", tablet.token(&begun.credential).await).token;
    let mut pad = Pad::open(Transport::GrpcWeb, system.push_at[0].pads, &Subscription::new(&token)).await;
    let revoked = Instant::now();
    other.revoke(&approved.id).await;
    assert_eq!(pad.end().await, StreamEnd::Unauthenticated);
    assert!(revoked.elapsed() < REVOKED_WITHIN, "{:?}", revoked.elapsed());
}
