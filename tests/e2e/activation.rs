//! Socket activation as systemd does it: the listening sockets stay open while a service is replaced, and requests that come
//! meanwhile wait for the next process.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use ringpad_proto::v1::ListCallsRequest;
use ringpad_tests::{
    cdr::{self, ring},
    nginx::shipped_text,
    pads::{Pad, Transport},
    port::{free_address, free_port},
    provider::Provider,
    rabbit::RabbitNode,
    secrets::Secrets,
    services::{PassedSockets, Shop, System},
    wait::{SOON, must, until, within},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::settings::{refused, valid};

/// The time between two requests of one sender: below the 500 ms of silence after which an ingest-svc that shuts down closes a connection.
const PERIOD: Duration = Duration::from_millis(100);

/// The sockets of ingest-svc, by the names that the shipped units give them.
fn sockets_of_ingest(system: &System) -> PassedSockets {
    let at = system.ingest_at;
    let unit = |unit: &str| {
        let text = shipped_text(&format!("deploy/systemd/{unit}"));
        let name = text.lines().find_map(|line| line.strip_prefix("FileDescriptorName="));
        name.expect("a socket's name").to_owned()
    };
    let (http, grpc) = (unit("ingest-svc-http.socket"), unit("ingest-svc-grpc.socket"));
    let admin = unit("ingest-svc-admin.socket");
    PassedSockets::listen(&[(&http, at.http), (&grpc, at.grpc), (&admin, at.admin)])
}

/// Senders that continue during every replacement: 20 requests a second, half of them on new connections.
struct Traffic {
    sent: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    /// Each returns the calls of its answers.
    senders: JoinSet<Vec<String>>,
}

impl Traffic {
    fn start(system: &System, store: &Shop) -> Self {
        let (stop, _) = watch::channel(false);
        let mut traffic =
            Self { sent: Arc::default(), answered: Arc::default(), stop, senders: JoinSet::new() };
        let sender = || Sender {
            ingest: system.ingest_at.http,
            virtual_number: store.virtual_number.clone(),
            secrets: system.secrets.clone(),
            sent: traffic.sent.clone(),
            answered: traffic.answered.clone(),
        };
        let (one_connection, new_connections) = (sender(), sender());
        traffic.senders.spawn(one_connection.on_one_connection(traffic.stop.subscribe()));
        traffic.senders.spawn(new_connections.on_a_connection_each(traffic.stop.subscribe()));
        traffic
    }

    /// Waits until so many more have been counted.
    async fn more(&self, counted: &AtomicUsize, count: usize) {
        let before = counted.load(SeqCst);
        until("the senders continue", SOON, async || (counted.load(SeqCst) >= before + count).then_some(()))
            .await;
    }

    /// Ends it, and returns all calls that were answered.
    async fn end(mut self) -> Vec<String> {
        self.stop.send_replace(true);
        let mut calls = Vec::new();
        while let Some(sender) = within("the last answers", SOON, self.senders.join_next()).await {
            calls.extend(must("every request is answered 200", sender));
        }
        calls
    }
}

#[derive(Clone)]
struct Sender {
    ingest: SocketAddr,
    virtual_number: String,
    secrets: Secrets,
    sent: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl Sender {
    /// Sends one record once; any other answer than 200 is a panic.
    async fn send(&self, provider: &mut Provider) -> String {
        self.sent.fetch_add(1, SeqCst);
        let taken = provider.deliver(&ring(&self.virtual_number, &cdr::caller())).await;
        self.answered.fetch_add(1, SeqCst);
        taken.call_id
    }

    fn provider(&self) -> Provider {
        Provider::new(self.ingest, self.secrets.clone())
    }

    async fn on_one_connection(self, stop: watch::Receiver<bool>) -> Vec<String> {
        let (mut provider, mut calls) = (self.provider(), Vec::new());
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            ticks.tick().await;
            calls.push(self.send(&mut provider).await);
        }
        calls
    }

    async fn on_a_connection_each(self, stop: watch::Receiver<bool>) -> Vec<String> {
        let mut requests = JoinSet::new();
        let mut ticks = interval(PERIOD);
        while !*stop.borrow() {
            ticks.tick().await;
            let sender = self.clone();
            requests.spawn(async move { sender.send(&mut sender.provider()).await });
        }
        let mut calls = Vec::new();
        while let Some(call) = requests.join_next().await {
            calls.push(must("every request is answered 200", call));
        }
        calls
    }
}

#[tokio::test]
async fn while_ingest_is_replaced_every_request_waits_for_its_answer() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    let sockets = sockets_of_ingest(&system);
    system.ingest.pass(&sockets);
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;

    let traffic = Traffic::start(&system, &store);
    for _ in 0..2 {
        traffic.more(&traffic.answered, 20).await;
        system.ingest.stop().await;
        // There is no process, and the requests come nevertheless.
        traffic.more(&traffic.sent, 5).await;
        let mut internal = system.calls().await;
        let request = ListCallsRequest { store_id: store.id.clone(), ..ListCallsRequest::default() };
        let (listed, ()) = tokio::join!(internal.list_calls(request), system.ingest.start());
        assert!(must("the next process answers", listed).into_inner().position > 0);
    }
    traffic.more(&traffic.answered, 20).await;
    let mut answered = traffic.end().await;

    pad.until_position(answered.len() as u64).await;
    let mut shown = pad.shown();
    answered.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, answered, "each call once");
}

#[tokio::test]
async fn a_pad_that_comes_while_a_replica_is_replaced_is_served_by_the_next_process() {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 1, &[]);
    // Its other port is not passed.
    let sockets = PassedSockets::listen(&[("pads", system.push_at[0].pads)]);
    system.push[0].pass(&sockets);
    system.ingest.start().await;
    system.push[0].start().await;
    let store = system.store("gangnam").await;
    system.push[0].stop().await;

    let (at, asked) = (system.push_at[0].pads, system.subscription(&store.id));
    let (mut pad, ()) = tokio::join!(Pad::open(Transport::GrpcWeb, at, &asked), system.push[0].start());
    system.ring(&store).await;
    pad.until_position(1).await;
    must("the port that was not passed", TcpStream::connect(system.push_at[0].admin));
}

#[tokio::test]
async fn sockets_for_another_process_are_not_used() {
    let settings = [("LISTEN_PID", "1"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "any:thing")];
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    system.ring(&store).await;
    pad.until_position(1).await;
}

#[tokio::test]
async fn a_socket_of_an_unknown_name_is_a_wrong_setting() {
    let directory = tempfile::tempdir().expect("a directory");
    let cases = [
        ("ingest-svc", "htpp", "one of http, grpc, admin is expected"),
        ("ingest-svc", "ingest-svc.socket", "FileDescriptorName="),
        ("push-svc", "http", "one of pads, admin is expected"),
    ];
    for (name, socket, what_is_expected) in cases {
        let passed = PassedSockets::listen(&[("admin", free_address()), (socket, free_address())]);
        let program = passed.to(valid(name, directory.path()));
        refused(program, &["LISTEN_FDNAMES", &format!("{socket:?}"), what_is_expected]).await;
    }
    let twice = PassedSockets::listen(&[("http", free_address()), ("http", free_address())]);
    refused(twice.to(valid("ingest-svc", directory.path())), &["LISTEN_FDNAMES", "http is listed twice"])
        .await;
    let one = must("a socket", TcpListener::bind(free_address()));
    let unnamed = PassedSockets::new("http:grpc", [one]);
    refused(unnamed.to(valid("ingest-svc", directory.path())), &["2 names", "1 sockets"]).await;
}

#[tokio::test]
async fn a_descriptor_that_is_not_a_listening_tcp_socket_is_a_wrong_setting() {
    let directory = tempfile::tempdir().expect("a directory");
    let listener = must("a socket", TcpListener::bind("127.0.0.1:0"));
    let connection = must("a connection", TcpStream::connect(must("an address", listener.local_addr())));
    let path = directory.path().join("socket");
    let descriptors: [OwnedFd; 4] = [
        must("a file", File::open("/dev/null")).into(),
        connection.into(),
        must("a socket", UdpSocket::bind("127.0.0.1:0")).into(),
        must("a socket", UnixListener::bind(path)).into(),
    ];
    for descriptor in descriptors {
        let listening: OwnedFd = must("a socket", TcpListener::bind("127.0.0.1:0")).into();
        for (name, first) in [("ingest-svc", "http"), ("push-svc", "pads")] {
            let passed = PassedSockets::new(&format!("{first}:admin"), [&listening, &descriptor]);
            let words = ["LISTEN_FDS", "descriptor 4, admin", "a listening TCP socket is expected"];
            refused(passed.to(valid(name, directory.path())), &words).await;
        }
    }
}

#[tokio::test]
async fn a_socket_of_the_internal_grpc_beyond_loopback_needs_a_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let everywhere = must("an address", format!("0.0.0.0:{}", free_port()).parse());
    let passed = PassedSockets::listen(&[("grpc", everywhere)]);
    let program = passed.to(valid("ingest-svc", directory.path()).set("RUST_LOG", "error"));
    refused(program, &["INTERNAL_TOKEN", "the socket passed as grpc 0.0.0.0"]).await;
}
